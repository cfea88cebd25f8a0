//! What the suite needs of a system under test, beside the connector itself.

use std::{future::Future, sync::Arc};

use tendon_kernel::{
    Result, Value,
    schema::Resource,
    sockets::connector::{Allowed, Capability, Connector},
};

use crate::{
    fake::FakeFixture, files::FilesFixture, mysql::MysqlFixture, postgres::PostgresFixture, sqlite::SqliteFixture,
};

/// A system of one kind that the test owns.
pub(crate) trait Fixture {
    /// Name of the kind.
    fn kind(&self) -> &'static str;
    /// What connections to it can do.
    fn capability(&self) -> Capability;
    /// Makes a resource with these rows (values in the schema's order), in the order given.
    fn create(&self, resource: &Resource, rows: &[Vec<Value>]);
    /// All rows of a resource with all fields, in key order, as the system's own tools see them.
    fn dump(&self, resource: &Resource) -> Vec<Vec<Value>>;
    /// A person changes one field of one row (of a resource whose key is its first field).
    fn change(&self, resource: &Resource, key: &Value, field: &str, value: &Value);
    /// From now on the system refuses any update of the row with this key.
    fn refuse(&self, resource: &Resource, key: &Value);
    /// Another program takes the lock that writing needs, until the guard is dropped.
    fn lock(&self) -> Box<dyn std::any::Any>;
    /// The system goes away, until the guard is dropped.
    fn vanish(&self) -> Box<dyn std::any::Any>;
    /// How many rows were updated since `create`, counted by the system.
    fn updates(&self, resource: &Resource) -> u64;
    /// Whether the catalog can tell required fields.
    fn tells_required(&self) -> bool;
    /// Whether a text field of the system can hold this text.
    fn holds(&self, _: &str) -> bool {
        true
    }
    /// Whether a resource and its fields can have this name.
    fn names(&self, _: &str) -> bool {
        true
    }
    /// The server that this is, by its own word, with the version that the reference names.
    fn tested(&self) -> Option<String>;
    /// A connection with these fields allowed.
    fn connect(&self, allowed: Allowed) -> Arc<dyn Connector>;
}

/// Makes a fixture.
pub(crate) type Make = fn() -> Box<dyn Fixture>;

/// One line per kind, and the fake system of the simulation, so that fake and real agree.
pub(crate) fn all() -> Vec<Make> {
    vec![
        || Box::new(FakeFixture::new()),
        || Box::new(FilesFixture::csv()),
        || Box::new(FilesFixture::jsonl()),
        || Box::new(MysqlFixture::new()),
        || Box::new(PostgresFixture::new()),
        || Box::new(SqliteFixture::new()),
    ]
}

/// Runs a future to its end.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The error of a result whose value cannot be shown.
pub(crate) fn refusal<T>(result: Result<T>) -> tendon_kernel::Error {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(error) => error,
    }
}
