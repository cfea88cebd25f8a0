//! The CRM does not answer: decisions go on, readiness says what is wrong, and what has to be written waits and arrives.

use std::fs;

use crate::harness::{
    Project, Server, Setup,
    crm::{change, each_once_and_forward, scores_are_right, unscored, written},
    input, insert_lead, until,
};

const LEADS: usize = 10;

/// Readiness as callers and supervisors see it while only a system is down.
fn says_what_is_wrong(server: &Server) {
    until("readiness tells", || {
        let (status, document) = server.readyz();
        assert_eq!((status, document["ready"].as_bool()), (200, Some(true)), "{document}");
        let crm = document["parts"].as_array().unwrap().iter().find(|part| part["name"] == "system:crm").cloned();
        (document["state"] == "degraded" && crm.unwrap()["ok"] == false).then_some(())
    });
}

fn calm_again(server: &Server) {
    until("readiness is calm again", || (server.readyz().1["state"] == "ready").then_some(()));
}

#[test]
fn while_the_crm_is_locked_decisions_go_on_and_deliveries_arrive_afterwards() {
    let project = Project::new(&Setup { leads: LEADS, ..Setup::default() });
    let crm = project.crm();
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));

    crm.execute_batch("BEGIN EXCLUSIVE").unwrap();
    change(&crm, 1, 4711);
    insert_lead(&crm, LEADS + 1, "While it was locked");
    says_what_is_wrong(&server);
    for number in 0..20 {
        assert_eq!(client.decide(&input(number), None).status, 200);
    }
    assert_eq!(written(&crm).len(), LEADS);
    crm.execute_batch("COMMIT").unwrap();

    until("the changes are scored", || (unscored(&crm) == 0).then_some(()));
    calm_again(&server);
    assert_eq!(each_once_and_forward(&crm), LEADS + 2);
    scores_are_right(&project, &crm);
    assert!(project.json(&["letters", "list"]).as_array().unwrap().is_empty(), "an outage is no dead letter");
    server.stop();
    project.verify();
}

#[test]
fn deliveries_that_wait_for_a_locked_crm_survive_a_kill_and_arrive_once() {
    let project = Project::new(&Setup { leads: LEADS, wal: true, ..Setup::default() });
    let crm = project.crm();
    crm.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut server = project.up();
    until("all deliveries wait", || (server.part("outbox")["detail"]["waiting"] == LEADS).then_some(()));
    server.kill();
    let server = project.up();
    until("they wait again", || (server.part("outbox")["detail"]["waiting"] == LEADS).then_some(()));
    crm.execute_batch("COMMIT").unwrap();
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    calm_again(&server);
    assert_eq!((project.decisions(), each_once_and_forward(&crm)), (LEADS, LEADS));
    server.stop();
    project.verify();
}

#[test]
fn while_the_crm_file_is_away_decisions_go_on_and_its_return_is_noticed() {
    let project = Project::new(&Setup { leads: LEADS, ..Setup::default() });
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    until("all leads are scored", || (unscored(&project.crm()) == 0).then_some(()));
    until("nothing waits", || (server.part("outbox")["detail"]["waiting"] == 0).then_some(()));

    let (here, away) = (project.path().join("crm.db"), project.path().join("away.db"));
    fs::rename(&here, &away).unwrap();
    says_what_is_wrong(&server);
    assert_eq!(client.decide(&input(1), None).status, 200);
    assert!(!here.exists(), "a missing file was created");
    let check = project.run(&["check"]);
    assert_eq!(check.code, 0, "a system that is down does not stop a check: {check:?}");
    assert!(check.err.contains("system crm does not answer"), "{check:?}");

    // A restart finds it still away, and runs.
    server.stop();
    let server = project.up();
    assert_eq!(server.client(&client.key).decide(&input(2), None).status, 200);
    says_what_is_wrong(&server);

    fs::rename(&away, &here).unwrap();
    let crm = project.crm();
    change(&crm, 2, 4711);
    insert_lead(&crm, LEADS + 1, "After the return");
    until("the changes are scored", || (unscored(&crm) == 0).then_some(()));
    calm_again(&server);
    assert_eq!(each_once_and_forward(&crm), LEADS + 2);
    scores_are_right(&project, &crm);
    server.stop();
    project.verify();
}
