//! The disk of `.tendon` is full: no decision is answered that cannot be recorded, and when there is room again it goes on,
//! without a gap.

use std::fs;

use crate::harness::{
    Mount, Project, Setup,
    crm::{each_once_and_forward, scores_are_right, unscored},
    input, insert_lead, until,
};

#[test]
fn a_full_disk_answers_503_and_room_brings_it_back_without_a_gap() {
    if Mount::left_out() {
        return;
    }
    let project = Project::new(&Setup { leads: 5, ..Setup::default() });
    let disk = Mount::new(&project.path().join(".tendon"));
    let key = project.key("app", &[]);
    let crm = project.crm();
    let server = project.up();
    let client = server.client(&key);
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    let mut answered = Vec::new();
    for round in 0..3 {
        let filler = disk.fill();
        // What is already reserved may still take some; then the answer is 503, and stays 503.
        let refused = until("it says that it cannot record", || {
            let answer = client.decide(&input(round), Some(&format!("round {round}, {}", answered.len())));
            match answer.status {
                200 => {
                    answered.push((format!("round {round}, {}", answered.len()), round, answer.json()));
                    None
                }
                _ => Some(answer),
            }
        });
        let problem = refused.json();
        assert_eq!((refused.status, problem["retryable"].as_bool()), (503, Some(true)), "{problem}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
        for number in 0..20 {
            assert_eq!(client.decide(&input(number), None).status, 503);
        }
        assert_eq!(client.get("/livez").status, 200);
        assert_eq!((server.readyz().0, server.part("ledger")["ok"].as_bool()), (503, Some(false)));
        insert_lead(&crm, 100 + round, "While it was full");

        fs::remove_file(filler).unwrap();
        until("it answers again", || (client.decide(&input(round), None).status == 200).then_some(()));
        until("it is ready again", || (server.readyz().0 == 200).then_some(()));
        until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    }
    for (name, number, answer) in &answered {
        let again = client.decide(&input(*number), Some(name));
        assert_eq!((again.header("idempotent-replayed"), &again.json()), ("true", answer), "{name}");
    }
    each_once_and_forward(&crm);
    scores_are_right(&project, &crm);
    let decisions = project.decisions();
    server.stop();
    project.verify();
    let server = project.up();
    assert_eq!(project.decisions(), decisions);
    server.stop();
    project.verify();
}

#[test]
fn a_disk_that_is_full_at_the_start_is_said() {
    if Mount::left_out() {
        return;
    }
    let project = Project::new(&Setup::default());
    let disk = Mount::new(&project.path().join(".tendon"));
    let filler = disk.fill();
    let refused = project.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.err.contains("error: ") && !refused.err.contains("panicked"), "{refused:?}");
    fs::remove_file(filler).unwrap();
    project.up().stop();
    project.verify();
}

#[test]
fn a_kill_while_the_disk_is_full_loses_nothing_that_was_answered() {
    if Mount::left_out() {
        return;
    }
    let project = Project::new(&Setup { leads: 5, ..Setup::default() });
    let disk = Mount::new(&project.path().join(".tendon"));
    let key = project.key("app", &[]);
    let crm = project.crm();
    let mut answered = Vec::new();
    for round in 0..4 {
        let mut server = project.up();
        let client = server.client(&key);
        let filler = disk.fill();
        // A little room is left, so that it becomes full in the middle of the work.
        let length = fs::metadata(&filler).unwrap().len();
        fs::OpenOptions::new().write(true).open(&filler).unwrap().set_len(length - 200_000).unwrap();
        for number in 0..400 {
            let answer = client.decide(&input(number), None);
            match answer.status {
                200 => answered.push(answer.json()),
                status => assert_eq!(status, 503, "{}", answer.json()),
            }
        }
        // Neither an erasure nor a key is said to be done when it cannot be recorded.
        let made = project.run(&["keys", "create", "--name", &format!("late-{round}"), "--output", "json"]);
        server.kill();
        let refused = project.run(&["decisions", "list"]);
        assert!(refused.code == 0 || refused.err.contains("error: "), "{refused:?}");
        fs::remove_file(filler).unwrap();
        let server = project.up();
        let client = server.client(&key);
        answered.iter().for_each(|answer| {
            assert_eq!(&client.recorded(answer["id"].as_str().unwrap())["decision"], answer);
        });
        if made.code == 0 {
            let late = made.json()["key"].as_str().unwrap().to_owned();
            assert_eq!(server.client(&late).decide(&input(1), None).status, 200);
        }
        until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
        server.stop();
        project.verify();
    }
    each_once_and_forward(&crm);
    println!("{} answers kept", answered.len());
    assert!((1..1600).contains(&answered.len()), "the disk was never full, or always");
}
