//! Start and stop: one process per project, and an end in order that loses nothing.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tendon_testkit::Rng;

use crate::harness::{
    Project, Server, Setup,
    crm::{each_once_and_forward, unscored},
    input, rest, run_in, until,
};

#[test]
fn a_second_process_on_the_same_project_is_refused_with_a_sentence() {
    let project = Project::new(&Setup::default());
    let mut server = project.up();
    let second = project.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.err.contains(&server.id().to_string()), "it does not say who runs: {second:?}");
    assert!(second.err.contains("error:") && second.err.contains("help:"), "{second:?}");
    assert_eq!(server.readyz().0, 200);
    // A killed process leaves no lock behind.
    server.kill();
    project.up().stop();
}

#[test]
fn a_stop_at_any_moment_of_the_start_ends_in_order() {
    let project = Project::new(&Setup { leads: 20, ..Setup::default() });
    let mut rng = Rng::new(12);
    for _ in 0..20 {
        let mut server = Server::spawn(project.path(), Arc::default());
        // The first milliseconds belong to the operating system: nobody can hear a signal before the program runs.
        until("it runs", || project.path().join(".tendon/lock").exists().then_some(()));
        rest(Duration::from_micros(rng.below(30_000)));
        server.terminate();
        let status = server.wait();
        assert!(status.code() == Some(0) || server.log().is_empty(), "{status}:\n{}", server.log());
    }
    let mut server = project.up();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0), "a signal right after it was ready:\n{}", server.log());
    project.verify();
}

#[test]
fn a_stop_does_not_wait_for_a_system_that_is_locked() {
    let project = Project::new(&Setup { leads: 20, wal: true, ..Setup::default() });
    let crm = project.crm();
    crm.execute_batch("BEGIN IMMEDIATE").unwrap();
    let server = project.up();
    until("all deliveries wait", || (server.part("outbox")["detail"]["waiting"] == 20).then_some(()));
    server.stop();
    crm.execute_batch("COMMIT").unwrap();
    let server = project.up();
    until("they arrive", || (unscored(&crm) == 0).then_some(()));
    assert_eq!((each_once_and_forward(&crm), project.decisions()), (20, 20));
    server.stop();
    project.verify();
}

#[test]
fn a_start_while_the_crm_is_locked_or_away_says_so_and_later_goes() {
    let project = Project::new(&Setup { leads: 3, ..Setup::default() });
    let crm = project.crm();
    crm.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // Nothing is known of the CRM yet, so nothing can be checked against it.
    let refused = project.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("crm"), "it does not say why: {refused:?}");
    crm.execute_batch("COMMIT").unwrap();
    project.up().stop();
    crm.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // Now it is known what it holds.
    let server = project.up();
    crm.execute_batch("COMMIT").unwrap();
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    each_once_and_forward(&crm);
    server.stop();
}

#[test]
fn a_project_may_lie_anywhere() {
    let project = Project::new(&Setup { leads: 3, ..Setup::default() });
    // Longer than the address of a socket may be, and with characters that need quoting.
    let folder = project.path().join(format!("{} ü'\"x", "long-".repeat(40)));
    std::fs::create_dir(&folder).unwrap();
    for name in ["tendon.yaml", "crm.db", "integrations", "models"] {
        std::fs::rename(project.path().join(name), folder.join(name)).unwrap();
    }
    let server = Server::start(&folder);
    let key = run_in(&folder, &["keys", "create", "--name", "app", "--output", "json"]).json();
    let client = server.client(key["key"].as_str().unwrap());
    assert_eq!(client.decide(&input(1), None).status, 200);
    let listed = || run_in(&folder.join("models"), &["decisions", "list", "--output", "json"]).json();
    until("all are there", || (listed().as_array().unwrap().len() == 4).then_some(()));
    server.stop();
    assert_eq!(listed().as_array().unwrap().len(), 4);
    assert_eq!(run_in(&folder, &["ledger", "verify"]).code, 0);
}

#[test]
fn a_port_that_is_taken_is_said_and_nothing_stays_locked() {
    let project = Project::new(&Setup::default());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = project.run(&["up", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("--listen"), "{refused:?}");
    project.up().stop();
}

#[test]
fn a_folder_without_a_project_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for words in [vec!["up"], vec!["check"], vec!["decisions", "list"], vec!["ledger", "verify"]] {
        let ran = run_in(folder.path(), &words);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("no tendon.yaml") && ran.out.is_empty(), "{ran:?}");
    }
}

/// What became of a question.
#[derive(Debug, PartialEq)]
enum Fate {
    Answered(String),
    Cut,
}

#[test]
fn a_stop_under_load_answers_what_it_accepted_and_loses_nothing() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    for round in 0..5 {
        let mut server = project.up();
        let client = server.client(&key);
        let fates: Mutex<BTreeMap<(usize, usize), Fate>> = Mutex::default();
        let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let name = |caller: usize, count: usize| format!("{round} {caller} {count}");
        thread::scope(|scope| {
            for caller in 0..6 {
                let (client, fates, answered, over) = (&client, &fates, &answered, &over);
                scope.spawn(move || {
                    for count in 0.. {
                        let fate = match client.try_decide(&input(count), Some(&name(caller, count))) {
                            Ok(answer) => {
                                assert_eq!(answer.status, 200, "{}", answer.json());
                                answered.fetch_add(1, Ordering::Relaxed);
                                Fate::Answered(answer.json()["id"].as_str().unwrap().to_owned())
                            }
                            Err(error) => {
                                let refused = error.kind() == io::ErrorKind::ConnectionRefused;
                                let cut = [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof];
                                assert!(refused || cut.contains(&error.kind()), "{error}");
                                Fate::Cut
                            }
                        };
                        let last = fate == Fate::Cut;
                        fates.lock().unwrap().insert((caller, count), fate);
                        if last || over.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            until("the load is on", || (answered.load(Ordering::Relaxed) > 100).then_some(()));
            server.terminate();
            let status = server.wait();
            over.store(true, Ordering::Relaxed);
            assert!(status.success(), "{status}:\n{}", server.log());
        });
        project.verify();

        // Whatever was decided was answered, and is still there.
        let server = project.up();
        let client = server.client(&key);
        for ((caller, count), fate) in fates.into_inner().unwrap() {
            let again = client.decide(&input(count), Some(&name(caller, count)));
            let replayed = again.header("idempotent-replayed") == "true";
            match fate {
                Fate::Answered(id) => assert_eq!((replayed, again.json()["id"].as_str()), (true, Some(&*id))),
                Fate::Cut => assert!(!replayed, "a question was decided and recorded, but not answered"),
            }
        }
        server.stop();
    }
}
