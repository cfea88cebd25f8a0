//! The small parts: peers are stopped, keys and secrets repeat, stores fail as told.

use std::process::Command;

use tendon_kernel::sockets::{
    secrets::{Keys as _, Secrets as _},
    store::{Batch, Store as _, Table},
};
use tendon_testkit::{Promise, Sim, TestKeys, TestSecrets, peer};

#[test]
fn a_peer_is_heard_and_stopped() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo hello; echo port 4711; while true; do echo noise; done"]);
    let mut child = peer::Peer::start(command);
    assert_eq!(child.wait_for("port "), "4711");
    let process = format!("/proc/{}", child.id());
    assert!(std::path::Path::new(&process).exists());
    drop(child);
    assert!(!std::path::Path::new(&process).exists());
    let mut command = Command::new("sh");
    command.args(["-c", "echo done; exit 3"]);
    assert_eq!(peer::Peer::start(command).finish(), (false, "done\n".to_owned()));
    assert!(peer::free_port() > 0 && peer::workspace().join("Cargo.toml").exists());
}

#[test]
fn keys_and_secrets_repeat() {
    let keys = TestKeys::new(1);
    assert_eq!(keys.key("a"), TestKeys::new(1).key("a"));
    assert_ne!(keys.key("a"), keys.key("b"));
    assert_ne!(keys.key("a"), TestKeys::new(2).key("a"));
    keys.broken(true);
    assert!(keys.key("a").unwrap_err().retryable());
    let secrets = TestSecrets::new([("TOKEN", "t")]);
    assert_eq!(secrets.resolve("x${env:TOKEN}y${file:TOKEN}").unwrap().reveal(), "xtyt");
    assert!(secrets.resolve("${env:OTHER}").unwrap_err().to_string().contains("${env:OTHER}"));
}

#[test]
fn a_store_fails_as_told() {
    let sim = Sim::new(1);
    let store = sim.store(Promise::Projections);
    sim.run(async move {
        let mut batch = Batch::default();
        batch.put(Table("t"), *b"k", *b"v");
        store.fail_writes(1);
        assert!(store.write(batch.clone()).await.is_err());
        assert!(store.dump().is_empty());
        store.write(batch).await.unwrap();
        store.fail_reads(1);
        assert!(store.get(Table("t"), b"k").await.is_err());
        assert_eq!(store.get(Table("t"), b"k").await.unwrap(), Some(b"v".to_vec()));
        store.wipe();
        assert_eq!((store.get(Table("t"), b"k").await.unwrap(), store.batches()), (None, 0));
    })
    .done();
}
