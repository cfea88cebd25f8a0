//! `tendon status` and `tendon top`: what they say, with which exit code, to whom and how wide.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::{Command, Output},
};

use serde_json::Value as Json;
use tendon_testkit::certs::{Authority, Wanted};

use crate::{
    console::Visitor,
    support::{Running, Sandbox, Terminal, body, eventually, plain, tendon},
};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `tendon status` of a server, with a key and more arguments.
fn asked(server: &str, key: &str, more: &[&str]) -> Output {
    let mut command = tendon(&["status", "--server", server, "--output", "json"]);
    command.args(more).env_remove("TENDON_KEY");
    if !key.is_empty() {
        command.env("TENDON_KEY", key);
    }
    command.output().unwrap()
}

/// Code, and what was said to people.
fn refused(output: &Output) -> (String, String) {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    assert!(output.stdout.is_empty());
    let said: Json = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{}", stderr(output)));
    let error = &said["error"];
    (error["code"].as_str().unwrap().to_owned(), format!("{} {}", error["message"], error["hint"]))
}

#[test]
fn the_exit_code_and_the_page_and_the_document_say_the_same() {
    let sandbox = Sandbox::new(3);
    let key = sandbox.key("ada", &["admin"]);
    let nobody = sandbox.run(&["status", "--output", "json"]);
    assert_eq!(refused(&nobody).0, "not_running");
    assert!(refused(&nobody).1.contains("tendon up"), "{}", stderr(&nobody));

    let running = sandbox.up();
    assert_eq!(running.decide(&key, &[], &body(7)).unwrap().status, 200);
    eventually("all four are counted", || sandbox.json(&["status"])["integrations"][0]["figures"]["decisions"] == 4);
    let server = format!("http://{}/", running.address);
    let mut here = Json::Null;
    // Two looks are two moments: the watch may ask the system in one of them.
    eventually("both ways tell the same", || {
        here = sandbox.json(&["status", "--span", "24h"]);
        let there: Json = serde_json::from_slice(&asked(&server, &key, &["--span", "24h"]).stdout).unwrap();
        ["project", "version", "plan", "state", "trouble", "span", "integrations", "systems", "letters", "models"]
            .into_iter()
            .all(|same| lasting(&here, same) == lasting(&there, same))
    });
    assert_eq!((&here["state"], &here["integrations"][0]["name"]), (&"healthy".into(), &"lead-score".into()));
    let text = sandbox.run(&["status"]);
    let (said, page) = (stdout(&text), Visitor::new(&running, &key).page("/console"));
    let figures = &sandbox.json(&["status"])["integrations"][0]["figures"];
    for name in ["p50", "p95", "p99"] {
        let shown = tendon_figure(&figures[name]);
        assert!(said.contains(&shown) && page.contains(&format!(">{shown}</td>")), "{name} {shown}: {said}");
    }
    assert!(page.contains("All is well") && text.status.success() && !said.contains('\x1b'), "{said}");
    assert!(said.contains("healthy") && said.contains("answers") && said.contains("champion=v1"), "{said}");

    // A letter: the page, the text and the code change together.
    sandbox
        .crm
        .open()
        .execute_batch("UPDATE leads SET age = 'forty', updated_at = '2030-01-01T00:00:00Z' WHERE id = 2")
        .unwrap();
    eventually("the letter is counted", || {
        let output = sandbox.run(&["status"]);
        output.status.code() == Some(1) && stdout(&output).contains("dead letters 1")
    });
    let said = stdout(&sandbox.run(&["status"]));
    assert!(said.contains("degraded") && said.contains("wrong_type"), "{said}");
    assert!(!Visitor::new(&running, &key).page("/console").contains("All is well"));
    let wrong = running.request("GET", "/v1/status?span=1y", &[("authorization", &format!("Bearer {key}"))], "");
    assert_eq!((wrong.status, &wrong.json()["code"]), (400, &"parameter".into()));
}

/// What a look says of something, without what the next moment changes for good.
fn lasting(document: &Json, what: &str) -> Json {
    let mut of = document[what].clone();
    if what == "integrations" {
        of[0]["watch"]["up_to_date_at"] = Json::Null;
        of[0]["minute"] = Json::Null;
    }
    of
}

/// A time as people read it, from its seconds: held against the page and the terminal, which have it from elsewhere.
fn tendon_figure(seconds: &Json) -> String {
    let seconds = seconds.as_f64().unwrap();
    match seconds {
        _ if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        _ if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

#[test]
fn whoever_cannot_be_answered_is_told_what_to_do() {
    let sandbox = Sandbox::new(0);
    let (reader, decider) = (sandbox.key("reader", &["read"]), sandbox.key("decider", &["decide:*"]));
    let running = sandbox.up();
    let server = format!("http://{}", running.address);
    assert_eq!(asked(&server, &reader, &[]).status.code(), Some(0));
    let file = sandbox.path("key");
    std::fs::write(&file, format!("{reader}\n")).unwrap();
    assert_eq!(asked(&server, "", &["--key-file", file.to_str().unwrap()]).status.code(), Some(0));

    let told = |key: &str| refused(&asked(&server, key, &[]));
    let (code, said) = told("");
    assert!(code == "key_missing" && said.contains("TENDON_KEY") && said.contains("--scope read"), "{code} {said}");
    let mut mistyped = reader.clone();
    mistyped.push('x');
    assert_eq!(told(&mistyped).0, "key_refused");
    let (code, said) = told(&decider);
    assert!(code == "scope_missing" && said.contains("--scope read"), "{code} {said}");
    assert!(!said.contains(&decider), "a key is said");

    let tls = refused(&asked(&server.replace("http:", "https:"), &reader, &[]));
    assert!(tls.0 == "not_running" && tls.1.contains("http://"), "{tls:?}");
    drop(running);
    assert_eq!(refused(&asked(&server, &reader, &[])).0, "not_running");
    let elsewhere = tendon(&["status"]).current_dir(std::env::temp_dir()).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(2), "{}", stderr(&elsewhere));

    for (wrong, said) in [
        ("banana".to_owned(), "banana is no address like https://HOST:8400"),
        (format!("{server}/console"), "give host and port only: http://"),
    ] {
        let told = refused(&asked(&wrong, &reader, &[]));
        assert!(told.0 == "server_address" && told.1.contains(said), "{told:?}");
    }
    for (status, body, code) in [
        ("404 Not Found", r#"{"code":"no_route","detail":"nothing is served at this address"}"#, "server_too_old"),
        ("200 OK", "<html>", "not_tendon"),
        ("502 Bad Gateway", "no", "not_tendon"),
        ("429 Too Many Requests", r#"{"code":"rate_limited","detail":"too many requests"}"#, "refused"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let answers = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        let (found, said) = refused(&asked(&server, &reader, &[]));
        assert_eq!(found, code, "{said}");
        assert!(code != "not_tendon" || said.contains("/v1/status (status "), "{said}");
        assert!(answers.join().unwrap().starts_with("GET /v1/status?span=1h "));
    }
}

#[test]
fn a_server_with_tls_is_asked_when_it_proves_who_it_is() {
    let sandbox = Sandbox::with(0, "server: { tls: { cert: tls/server.pem, key: tls/server.key } }\n");
    std::fs::create_dir(sandbox.path("tls")).unwrap();
    let authority = Authority::new(&sandbox.path("tls"));
    authority.issue("server", Wanted::default());
    let key = sandbox.key("reader", &["read"]);
    let running = sandbox.up();
    let server = format!("https://localhost:{}", running.address.port());
    let (code, said) = refused(&asked(&server, &key, &[]));
    assert!(code == "certificate" && said.contains("--ca"), "{code} {said}");
    let ca = authority.ca();
    let good = asked(&server, &key, &["--ca", ca.to_str().unwrap()]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    let (code, said) = refused(&asked(&server.replace("https:", "http:"), &key, &[]));
    assert!(code == "no_answer" && said.contains("https://"), "{code} {said}");
    assert_eq!(refused(&asked(&server, &key, &["--ca", "nowhere.pem"])).0, "ca_unusable");
}

/// The command on a project, to be started in a terminal.
fn in_terminal(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = tendon(arguments);
    command.arg("--project").arg(sandbox.path("")).env("TERM", "xterm").env_remove("NO_COLOR");
    command
}

#[test]
fn tables_fit_the_window_and_colours_are_for_terminals_that_want_them() {
    let sandbox = Sandbox::new(2);
    let running = sandbox.up();
    eventually("both are counted", || sandbox.json(&["status"])["integrations"][0]["figures"]["decisions"] == 2);
    let shown = |columns: u16, command: &Command| {
        let (status, drawn) = Terminal::start(command, columns, 50).end();
        assert!(status.success(), "{drawn}");
        for line in plain(&drawn) {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line:?}");
        }
        drawn
    };
    let command = in_terminal(&sandbox, &["status"]);
    let [narrow, usual, wide] = [40, 80, 160].map(|columns| shown(columns, &command));
    for drawn in [&narrow, &usual, &wide] {
        assert!(drawn.contains("\x1b[32mhealthy\x1b[0m"), "{drawn}");
        for word in ["INTEGRATION", "STATE", "PER S", "SYSTEM"] {
            assert!(drawn.contains(word), "{word} in {drawn}");
        }
    }
    assert!(!narrow.contains("MODEL\x1b[0m\r") && wide.contains("lead-score@champion v1"), "{narrow} {wide}");
    assert!(usual.contains("P95") && !narrow.contains("CACHE") && wide.contains("CACHE"), "{usual}");
    let mut silent = in_terminal(&sandbox, &["status"]);
    assert!(!shown(80, silent.env("NO_COLOR", "1")).contains('\x1b'));
    let mut dumb = in_terminal(&sandbox, &["status"]);
    assert!(!shown(80, dumb.env("TERM", "dumb")).contains('\x1b'));
    // The tables of other commands, too; but what they name can be typed.
    let command = in_terminal(&sandbox, &["decisions", "list"]);
    let [narrow, usual] = [30, 80].map(|columns| shown(columns, &command));
    let whole = sandbox.decisions().iter().any(|decision| usual.contains(decision["id"].as_str().unwrap()));
    assert!(narrow.contains('…') && whole, "{narrow} {usual}");
    drop(running);
}

/// The last whole drawing.
fn last(drawn: &str) -> Vec<String> {
    let mut frames = drawn.rsplit("\x1b[H");
    // The one that is still being drawn has no end yet.
    frames.find(|frame| frame.contains("\x1b[J")).map(plain).unwrap_or_default()
}

fn watched(sandbox: &Sandbox) -> Terminal {
    let mut terminal = Terminal::start(&in_terminal(sandbox, &["top"]), 100, 40);
    terminal.until("the first drawing", |drawn| last(drawn).iter().any(|line| line.contains("q quits")));
    assert!(!terminal.is_as_a_shell_wants_it(), "keys are read one by one");
    terminal
}

#[test]
fn top_draws_in_place_follows_the_window_and_gives_the_terminal_back() {
    let sandbox = Sandbox::new(1);
    let running = sandbox.up();
    let mut terminal = watched(&sandbox);
    terminal.resize(40, 10);
    let fits = |lines: &[String]| lines.len() <= 10 && lines.iter().all(|line| line.chars().count() <= 40);
    let seen = terminal.until("a smaller drawing", |drawn| fits(&last(drawn)) && !last(drawn).is_empty());
    assert!(last(seen).last().unwrap().contains("more lines"), "{:?}", last(seen));
    // A key that means nothing, the signs of Ctrl-\ and Ctrl-Z, and then the one that ends it.
    terminal.press("x\x1c\x1aq");
    let (status, drawn) = terminal.end();
    assert!(status.success() && drawn.starts_with("\x1b[?1049h\x1b[?25l"), "{drawn:?}");
    assert!(drawn.ends_with("\x1b[?25h\x1b[?1049l"), "{drawn:?}");

    let mut terminal = watched(&sandbox);
    terminal.press("\x03");
    let (status, drawn) = terminal.end();
    assert!(status.success() && drawn.ends_with("\x1b[?25h\x1b[?1049l"), "{drawn:?}");

    // The process goes away and comes back: it says so, and what it saw last stays.
    let mut terminal = watched(&sandbox);
    drop(running);
    let gone = |drawn: &str| last(drawn).first().is_some_and(|line| line.starts_with("! no process serves"));
    let seen = terminal.until("that nothing answers", gone);
    assert!(last(seen).iter().any(|line| line.contains("lead-score")), "{seen}");
    let running = sandbox.up();
    terminal.until("that it answers again", |drawn| !gone(drawn) && !last(drawn).is_empty());
    terminal.press("q");
    assert!(terminal.end().0.success());
    drop(running);
    let (status, drawn) = Terminal::start(&in_terminal(&sandbox, &["top"]), 80, 24).end();
    assert!(status.code() == Some(2) && !drawn.contains("\x1b[?1049h"), "{drawn:?}");
}

#[test]
fn top_prints_one_after_the_other_where_nobody_looks() {
    let sandbox = Sandbox::new(0);
    let running: Running = sandbox.up();
    let twice = sandbox.run(&["top", "--count", "2", "--output", "json"]);
    let documents: Vec<Json> = stdout(&twice).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((documents.len(), twice.status.code()), (2, Some(0)));
    assert!(documents[0]["at"].as_str() < documents[1]["at"].as_str());
    let once = sandbox.run(&["top", "--once"]);
    assert!(once.status.success() && stdout(&once).contains("INTEGRATION") && !stdout(&once).contains('\x1b'));
    drop(running);
}
