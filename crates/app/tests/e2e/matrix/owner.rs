//! The door of the project's owner: the control socket, and the files that must be nobody else's.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
};

use crate::support::Sandbox;

/// Every order of the socket; held against the code by a test beside it.
const ORDERS: &str = include_str!("../../../src/orders/rules.txt");

/// The bits of a file or folder.
fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn orders_are_taken_from_the_owner_alone() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    assert_eq!(mode(&sandbox.path(".tendon/control.sock")), 0o600, "others could give orders");
    // An order with a member that nobody knows is not carried out: it may be meant otherwise by another version.
    for line in ORDERS.lines() {
        let (order, kind) = line.split_once(' ').unwrap();
        assert!(["reads", "changes"].contains(&kind), "{line}");
        let mut stream = UnixStream::connect(sandbox.path(".tendon/control.sock")).unwrap();
        let order = order.replace("models/", "models\",\"change\":\"");
        writeln!(stream, r#"{{"do":"{order}","id":"x","what nobody knows":1}}"#).unwrap();
        let mut told = String::new();
        BufReader::new(stream).read_line(&mut told).unwrap();
        assert!(told.contains("order_unknown"), "{order} took a member that it does not know: {told}");
    }
    // No order is given over HTTP, whatever the key may do.
    let bearer = format!("Bearer {key}");
    for path in ["/keys", "/v1/keys", "/v1/ledger/erase", "/control", "/v1/orders"] {
        for method in ["GET", "POST"] {
            assert_eq!(
                running.request(method, path, &[("authorization", &bearer)], "{}").status,
                404,
                "{method} {path}"
            );
        }
    }
}

#[test]
fn what_must_be_the_owners_alone_is() {
    let sandbox = Sandbox::new(1);
    sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    let mut open = Vec::new();
    let mut folders = vec![sandbox.path(".tendon")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if mode(&path) & 0o077 != 0 {
                open.push(path);
            }
        }
    }
    // A file may only be open to others inside a folder that is not.
    let closed = mode(&sandbox.path(".tendon")) & 0o077 == 0;
    assert!(closed || open.is_empty(), "others may open {open:#?}");
    drop(running);
}
