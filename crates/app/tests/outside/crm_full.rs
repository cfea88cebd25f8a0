//! The CRM's own disk is full: its people are told by the CRM; decisions go on, write-backs wait and arrive when there is room.

use std::{fs, os::unix::fs::symlink, process::Command};

use crate::harness::{
    Mount, Project, Setup,
    crm::{each_once_and_forward, scores_are_right, unscored},
    input, until,
};

#[test]
fn write_backs_wait_for_room_in_the_crm() {
    if Mount::left_out() {
        return;
    }
    let project = Project::new(&Setup { leads: 2000, ..Setup::default() });
    let disk = Mount::new(&project.path().join("disk"));
    let (here, there) = (project.path().join("crm.db"), project.path().join("disk/crm.db"));
    fs::copy(&here, &there).unwrap();
    fs::remove_file(&here).unwrap();
    symlink(&there, &here).unwrap();
    let filler = disk.fill();

    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    until("the write-backs wait", || (server.part("outbox")["detail"]["waiting"] == 2000).then_some(()));
    until("readiness tells", || (server.readyz().1["state"] == "degraded").then_some(()));
    assert_eq!((client.decide(&input(1), None).status, server.readyz().0), (200, 200));
    assert!(project.json(&["letters", "list"]).as_array().unwrap().is_empty(), "a full disk is no dead letter");

    fs::remove_file(filler).unwrap();
    let crm = project.crm();
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    assert_eq!(each_once_and_forward(&crm), 2000);
    scores_are_right(&project, &crm);
    server.stop();
    project.verify();
    let whole = Command::new("test").arg("-L").arg(&here).status().unwrap();
    assert!(whole.success(), "the link to the CRM was replaced");
}
