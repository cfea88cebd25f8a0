//! Crashes at other moments than under load: while a key is made, while a person is erased, with a torn end of the ledger.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    thread,
    time::Duration,
};

use tendon_testkit::Rng;

use crate::harness::{Project, Setup, files_below, input, rest};

#[test]
fn a_kill_while_keys_are_made_leaves_each_key_whole_or_unmade() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let mut rng = Rng::new(9);
    let mut keys = Vec::new();
    for round in 0..12 {
        let mut server = project.up();
        thread::scope(|scope| {
            let name = format!("key-{round}");
            let maker = scope.spawn({
                let project = &project;
                move || project.run(&["keys", "create", "--name", &name, "--output", "json"])
            });
            rest(Duration::from_micros(rng.below(40_000)));
            server.kill();
            let made = maker.join().unwrap();
            match made.code {
                0 => keys.push(made.json()["key"].as_str().unwrap().to_owned()),
                _ => assert!(made.err.contains("error"), "{made:?}"),
            }
        });
    }
    let server = project.up();
    for key in &keys {
        assert_eq!(server.client(key).decide(&input(1), None).status, 200);
    }
    assert!(project.json(&["keys", "list"]).as_array().unwrap().len() >= keys.len());
    println!("{} of 12 keys were made", keys.len());
    server.stop();
    project.verify();
}

#[test]
fn a_kill_while_a_person_is_erased_leaves_all_or_nothing_of_it() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let mut rng = Rng::new(3);
    let (mut whole, mut nothing) = (0, 0);
    for round in 1..=15 {
        let mut server = project.up();
        let client = server.client(&key);
        let ids: Vec<String> =
            (0..5).map(|_| client.decide(&input(round), None).json()["id"].as_str().unwrap().to_owned()).collect();
        let subject = round.to_string();
        let said = thread::scope(|scope| {
            let eraser = scope.spawn(|| project.run(&["ledger", "erase", "--subject", &subject]));
            rest(Duration::from_micros(rng.below(10_000)));
            server.kill();
            eraser.join().unwrap()
        });
        let server = project.up();
        let client = server.client(&key);
        let gone = ids.iter().filter(|id| client.get(&format!("/v1/decisions/{id}")).status == 410).count();
        assert!(gone == 5 || gone == 0, "round {round}: {gone} of 5 decisions are erased");
        assert!(gone == 5 || said.code != 0, "round {round}: said to be erased, and is not: {said:?}");
        let listed = project.json(&["decisions", "list", "--subject", &subject]).as_array().unwrap().len();
        assert_eq!(listed + gone, 5, "round {round}");
        server.stop();
        project.verify();
        if gone == 5 { whole += 1 } else { nothing += 1 }
    }
    println!("{whole} erased, {nothing} not");
}

/// The segment that is written to.
fn last_segment(project: &Project) -> PathBuf {
    let mut files = Vec::new();
    files_below(&project.path().join(".tendon/ledger/main/segments"), &mut files);
    files.into_iter().max().unwrap()
}

#[test]
fn a_torn_end_is_cut_and_a_cut_below_the_checkpoint_is_refused() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let mut rng = Rng::new(4);
    let mut kept = Vec::new();
    for round in 0..10 {
        let mut server = project.up();
        let client = server.client(&key);
        for number in 0..5 {
            kept.push(client.decide(&input(round * 5 + number), None).json()["id"].as_str().unwrap().to_owned());
        }
        server.kill();
        // What a lost power leaves behind the last sync: zeros, or anything.
        let length = usize::try_from(rng.below(5000)).unwrap();
        let tail = if round % 2 == 0 { vec![0; length] } else { rng.bytes(length) };
        OpenOptions::new().append(true).open(last_segment(&project)).unwrap().write_all(&tail).unwrap();
    }
    let server = project.up();
    let client = server.client(&key);
    for id in &kept {
        client.recorded(id);
    }
    server.stop();
    project.verify();
    assert_eq!(project.decisions(), kept.len());

    let segment = last_segment(&project);
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() / 2]).unwrap();
    let _ = fs::remove_file(project.path().join(".tendon/projections.db"));
    let refused = project.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("error: ") && refused.err.contains("help: "), "{refused:?}");
    assert_eq!(project.run(&["ledger", "verify"]).code, 1);
    fs::write(&segment, &whole).unwrap();
    project.up().stop();
    project.verify();
}
