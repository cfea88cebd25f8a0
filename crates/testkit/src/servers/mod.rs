//! Real servers for tests, each private to its test: a folder of its own, a free port of 127.0.0.1, gone with its guard, and
//! also when the test's process dies in any way: a small shell holds the server, waits for the end of its input, then
//! stops the server by its id and removes the folder.

mod guarded;
mod mariadb;
mod postgres;
mod redis;

pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use redis::Redis;

/// Password of the administrator of the database servers.
pub const PASSWORD: &str = "pass'word \\with \"everything\" % & @/:?#";
