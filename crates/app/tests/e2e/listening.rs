//! Where the process listens: beyond this machine only protected, or by word.

use crate::support::{Running, Sandbox, tendon};

/// What the file must say.
const WORDS: &str = "server: { plain_http: keys and personal data may travel unencrypted }\n";

#[test]
fn plain_http_leaves_the_machine_only_by_word() {
    let sandbox = Sandbox::new(0);
    let refused = sandbox.run(&["up", "--listen", "0.0.0.0:0"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("reached from other machines"), "{text}");
    assert!(text.contains("server.tls") && text.contains("plain_http"), "says what to do: {text}");

    let sandbox = Sandbox::with(0, WORDS);
    let mut command = tendon(&["up", "--listen", "0.0.0.0:0", "--project"]);
    let running = Running::of(command.arg(sandbox.path("")));
    assert_eq!(running.address.ip().to_string(), "0.0.0.0");
}

#[test]
fn the_file_says_where_to_listen_and_check_finds_what_is_wrong_there() {
    let sandbox = Sandbox::with(0, "server: { listen: \"127.0.0.1:0\" }\n");
    let mut command = tendon(&["up", "--project"]);
    let running = Running::of(command.arg(sandbox.path("")));
    assert!(running.address.port() > 0 && running.address.port() != 8400, "{}", running.address);
    drop(running);

    for (lines, place, code) in [
        ("server: { listen: \"0.0.0.0:8400\" }\n", "tendon.yaml:11:19", "listen_without_tls"),
        ("server: { listen: \"localhost:8400\" }\n", "tendon.yaml:11:19", "bad_listen"),
        ("server: { plain_http: yes }\n", "tendon.yaml:11:23", "not_accepted"),
        ("server: { tls: { cert: a.pem, key: a.key } }\n", "tendon.yaml:11:24", "tls_files"),
        ("outgoing: { ca: a.pem }\n", "tendon.yaml:11:17", "outgoing_ca"),
    ] {
        let sandbox = Sandbox::with(0, lines);
        let found = sandbox.run(&["check"]);
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(found.status.code(), Some(1), "{lines}: {text}");
        assert!(text.contains(place) && text.contains(code), "{lines}: {text}");
    }
}
