//! The master key from outside: with another one, or none, nothing opens, nothing is damaged, and nothing of it shows.

use std::process::{Command, Stdio};

use crate::harness::{Project, Setup, files_below};

fn run(project: &Project, key: Option<&str>, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tendon"));
    command.args(words).arg("--project").arg(project.path()).stdin(Stdio::null());
    match key {
        Some(key) => command.env("TENDON_MASTER_KEY", key),
        None => command.env_remove("TENDON_MASTER_KEY"),
    };
    let done = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

fn contents(project: &Project) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    files_below(&project.path().join(".tendon/ledger"), &mut files);
    files_below(&project.path().join(".tendon/keys"), &mut files);
    files.sort();
    files.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn another_master_key_opens_nothing_and_damages_nothing() {
    let project = Project::new(&Setup::default());
    let (right, wrong) = ("ab".repeat(32), "cd".repeat(32));
    assert_eq!(run(&project, Some(&right), &["keys", "create", "--name", "app"]).0, 0);
    let before = contents(&project);
    assert!(!before.iter().any(|(name, _)| name.ends_with("/master")), "a key beside the keys, although one was given");
    for key in [Some(wrong.as_str()), None, Some("s7531"), Some(&*"z9".repeat(32))] {
        for words in [&["keys", "list"][..], &["up", "--listen", "127.0.0.1:0"], &["decisions", "list"]] {
            let (code, out, err) = run(&project, key, words);
            assert!(code == 1 || code == 2, "{key:?} {words:?}: {code} {out} {err}");
            assert!(err.contains("error: ") && err.contains("master key"), "{key:?} {words:?}: {err}");
            assert!(!err.contains(&right) && key.is_none_or(|key| !err.contains(key)), "a key is shown: {err}");
        }
    }
    assert!(contents(&project) == before, "a failed start changed the ledger or the keys");
    let (code, out, err) = run(&project, Some(&right), &["keys", "list", "--output", "json"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("\"app\""), "{out}");
    assert_eq!(run(&project, Some(&right), &["ledger", "verify"]).0, 0);
}
