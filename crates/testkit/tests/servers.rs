//! The starters of real servers: ready when they say so, gone with their guard, back after a crash with what was committed.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use tendon_testkit::servers::{MariaDb, Postgres, Redis};

fn gone(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}

#[test]
fn postgres_starts_crashes_and_keeps_what_was_committed() {
    let mut postgres = Postgres::start(&[]);
    postgres.sql("postgres", "CREATE TABLE t (n int); INSERT INTO t VALUES (41), (NULL);");
    assert_eq!(postgres.sql("postgres", "SELECT n + 1, 'x' FROM t;").trim(), "42\u{1f}x\u{1e}\u{2400}\u{1f}x");
    assert!(postgres.try_sql("postgres", "SELECT nothing;").unwrap_err().contains("does not exist"));
    postgres.crash();
    assert!(gone(postgres.port()));
    postgres.restart();
    assert_eq!(postgres.sql("postgres", "SELECT count(*) FROM t;").trim(), "2");
    let (port, folder) = (postgres.port(), postgres.folder().to_owned());
    assert!(postgres.certificate().is_file());
    drop(postgres);
    assert!(gone(port) && !folder.exists());
}

#[test]
fn mariadb_starts_crashes_and_keeps_what_was_committed() {
    let mut mariadb = MariaDb::start();
    mariadb.sql("mysql", "CREATE DATABASE d; CREATE TABLE d.t (n int); INSERT INTO d.t VALUES (41);");
    assert_eq!(mariadb.sql("d", "SELECT n + 1, 'x' FROM t;"), "42\tx\n");
    assert!(mariadb.try_sql("d", "SELECT nothing;").is_err());
    mariadb.crash();
    assert!(gone(mariadb.port()));
    mariadb.restart();
    assert_eq!(mariadb.sql("d", "SELECT count(*) FROM t;"), "1\n");
    let port = mariadb.port();
    assert!(mariadb.certificate().is_file());
    drop(mariadb);
    assert!(gone(port));
}

#[test]
fn redis_starts_and_comes_back_empty() {
    let mut redis = Redis::start(&[]);
    let ask = |port: u16, command: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(command).unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        answer
    };
    assert_eq!(&ask(redis.port(), b"SET a b\r\n"), b"+OK\r\n");
    redis.restart(&[]);
    assert_eq!(&ask(redis.port(), b"GET a\r\n"), b"$-1\r\n");
    let port = redis.port();
    drop(redis);
    assert!(gone(port));
}
