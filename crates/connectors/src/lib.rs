//! The systems Tendon can join: one folder per kind, one line in [`ALL`]. A connector reads and writes what the plan names
//! and nothing else; what reading, watching and writing promise is told at the socket
//! (`tendon_kernel::sockets::connector`) and checked for every kind by the contract suite in `tests/contract`.
//!
//! | kind | catalog | read by key | scan | watch | write |
//! |---|---|---|---|---|---|
//! | `files` | yes | with a declared key | yes | no | no |
//! | `mysql` | yes | yes | yes | yes | yes |
//! | `postgres` | yes | yes | yes | yes | yes |
//! | `sqlite` | yes | yes | yes | yes | yes |
//!
//! To add a kind: a folder with a config struct (its documentation), a `pub static KIND: ConnectorKind`, a line in
//! [`ALL`], and a fixture in `tests/contract`.
//!
//! Blocking drivers run on threads of their own (`worker`); the async runtime never waits for a disk here.

pub mod files;
mod guard;
pub mod mysql;
pub mod postgres;
mod settings;
mod sql;
pub mod sqlite;
mod worker;

use tendon_kernel::sockets::connector::ConnectorKind;

/// Every kind of system, sorted by name.
pub static ALL: &[&ConnectorKind] = &[&files::KIND, &mysql::KIND, &postgres::KIND, &sqlite::KIND];

/// A kind by its name.
pub fn find(name: &str) -> Option<&'static ConnectorKind> {
    ALL.iter().copied().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_found_by_name() {
        assert!(ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
        for kind in ALL {
            assert!(find(kind.name).is_some_and(|found| std::ptr::eq(found, *kind)));
            let schema = (kind.schema)();
            assert_eq!(schema["additionalProperties"], false, "{} accepts unknown settings", kind.name);
            for (name, about) in schema["properties"].as_object().unwrap() {
                assert!(about["description"].is_string(), "{}: setting {name} is not documented", kind.name);
            }
        }
        assert!(find("fax").is_none());
    }
}
