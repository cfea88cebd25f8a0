//! MariaDB where it hurts: commits that are late, answers that are lost, deadlocks, servers that are slow, silent, lying,
//! killed or read-only, logins that may do less.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
};

use tendon_kernel::{
    ErrorKind, Value,
    sockets::connector::{Connector, Position, Wanted, Written},
};
use tendon_testkit::{
    proxy::Fault,
    servers::{MariaDb, PASSWORD},
};

use crate::{
    fixture::{Fixture as _, refusal, wait},
    mysql::{MysqlFixture, apart, server},
    sample::{allowed, batch, leads, leads_with, names, scan, score, start, watch},
};

fn leads_of(system: &MysqlFixture) -> Arc<dyn Connector> {
    system.create(&leads(), &leads_with(1..=3));
    system.connect(allowed())
}

#[test]
fn a_transaction_that_commits_late_is_behind_the_horizon() {
    let system = MysqlFixture::new();
    let connector = leads_of(&system);
    let touch = |id: i64| format!("UPDATE leads SET updated_at = UTC_TIMESTAMP(6) WHERE id = {id};");
    let mut late = system.session(&format!("BEGIN; {}", touch(1)));
    system.sql(&touch(2));
    // What a watch does: ask for open transactions, read, and remember the newest mark.
    let open = wait(connector.horizon()).unwrap().unwrap();
    let newest = wait(connector.watch(watch(start(), 99))).unwrap().last().unwrap().mark.clone();
    late.run("COMMIT;");
    // By the watermark alone, the late row is lost; from the horizon, it is found.
    let found = |mark: Value| {
        let changes = wait(connector.watch(watch(Position { mark, key: Vec::new() }, 99))).unwrap();
        changes.iter().any(|change| change.row.key == [Value::Int(1)])
    };
    assert!(!found(newest) && found(Value::Time(open)));
}

#[test]
fn a_commit_whose_answer_is_lost_is_told_by_reading_back() {
    for delivered in [true, false] {
        let system = MysqlFixture::new();
        let connector = leads_of(&system);
        // The connection is open before the line is cut.
        wait(connector.write(batch(vec![score(1, 0.25, 10)]))).unwrap();
        system.proxy.set(Fault::CutAt { request: b"COMMIT".to_vec(), delivered });
        let error = refusal(wait(connector.write(batch(vec![score(2, 0.5, 50)]))));
        assert_eq!((error.code(), error.retryable()), ("system_unreachable", true));
        assert_eq!(system.proxy.fired(), 1);
        let again = wait(connector.write(batch(vec![score(2, 0.5, 50)]))).unwrap();
        let old = (!delivered).then(|| vec![Value::Null; 3]);
        assert_eq!(again, [Written::Delivered { old }], "delivered: {delivered}");
        assert_eq!(system.updates(&leads()), 2, "the system counts each write once");
    }
}

#[test]
fn a_deadlock_that_ended_ours_is_written_anew_at_once() {
    let system = MysqlFixture::on(apart());
    system.create(&leads(), &leads_with(1..=3));
    let mut settings = system.settings("app", PASSWORD);
    // Nothing but the deadlock ends what is tried, however busy the machine is.
    for limit in ["connect_timeout", "lock_timeout", "statement_timeout"] {
        settings[limit] = 60_000.into();
    }
    let connector = system.with(settings, allowed());
    let deadlocks = || system.sql("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks';");
    let before = deadlocks();
    // The other transaction has changed rows, so the server ends ours.
    let touch = |id: i64| format!("UPDATE leads SET secret = 'changed' WHERE id = {id};");
    let mut other = system.session(&format!("BEGIN; {}", touch(3)));
    std::thread::scope(|scope| {
        let ours =
            scope.spawn(|| wait(connector.write(batch((1..=3).map(|id| score(id, 0.5, 50)).collect()))).unwrap());
        // Not `INNODB_TRX`: it shows what was there when nobody had read it for a tenth of a second, so that who asks again
        // and again sees the same for ever.
        let waiting = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits';";
        while system.sql(waiting).trim().ends_with("\t0") {
            assert!(!ours.is_finished(), "ours waited for nobody: {:?}", ours.join());
        }
        other.run(&format!("{} COMMIT;", touch(1)));
        assert_eq!(ours.join().unwrap(), vec![Written::Delivered { old: Some(vec![Value::Null; 3]) }; 3]);
    });
    assert_ne!(deadlocks(), before, "there was no deadlock");
}

#[test]
fn silence_and_garbage_end_in_bounded_time_and_pass() {
    let system = MysqlFixture::new();
    system.create(&leads(), &leads_with(1..=3));
    let mut settings = system.settings("app", PASSWORD);
    for limit in ["statement_timeout", "connect_timeout"] {
        settings[limit] = 300.into();
    }
    let connector = system.with(settings, allowed());
    for fault in [Fault::HalfOpen, Fault::Garbage, Fault::Refuse] {
        assert_eq!(wait(connector.scan(scan(Vec::new(), 9))).unwrap().len(), 3);
        system.proxy.set(fault.clone());
        for _ in 0..3 {
            let error = refusal(wait(connector.write(batch(vec![score(1, 0.5, 50)]))));
            assert!(error.retryable(), "{fault:?}: {error:?}");
            assert!(!format!("{error:?}").contains(PASSWORD), "{fault:?}");
            if fault != Fault::Refuse {
                let error = refusal(wait(connector.scan(scan(Vec::new(), 9))));
                assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{fault:?}: {error:?}");
                assert_ne!(error.code(), "connection_gone", "{fault:?}: the session died of it");
            }
        }
        system.proxy.set(Fault::None);
        system.proxy.cut();
    }
    assert_eq!(system.updates(&leads()), 0);
}

/// One packet of the protocol.
fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

/// A server that speaks the protocol up to a point, where it sends a packet with nothing in it.
fn hostile() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let greeting = [
                &b"\x0a8.0.36\0\x01\0\0\0saltsalt\0\x08\x82\x2d\x02\0\x08\0\x15"[..],
                &[0; 10],
                b"saltsaltsalt\0caching_sha2_password\0",
            ];
            // After the login: "say it again in full", and instead of the key for that, nothing.
            for answer in [packet(0, &greeting.concat()), packet(2, &[1, 4]), packet(4, &[])] {
                let mut head = [0; 4];
                let told = stream.write_all(&answer).and_then(|()| stream.read_exact(&mut head));
                let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
                if told.and_then(|()| stream.read_exact(&mut vec![0; length as usize])).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn a_server_that_the_library_panics_at_costs_a_connection_and_no_more() {
    let system = MysqlFixture::new();
    system.create(&leads(), &leads_with(1..=3));
    let mut settings = system.settings("app", PASSWORD);
    settings["tls"] = "off".into();
    let connector = system.with(settings, allowed());
    system.proxy.aim(hostile());
    for _ in 0..5 {
        let error = refusal(wait(connector.scan(scan(Vec::new(), 9))));
        assert_eq!((error.code(), error.retryable()), ("system_unreachable", true), "{error:?}");
        let error = refusal(wait(connector.write(batch(vec![score(1, 0.5, 50)]))));
        assert_eq!((error.code(), error.retryable()), ("system_unreachable", true), "{error:?}");
    }
    system.proxy.aim(system.server.port());
    assert_eq!(wait(connector.scan(scan(Vec::new(), 9))).unwrap().len(), 3);
    let written = wait(connector.write(batch(vec![score(1, 0.5, 50)]))).unwrap();
    assert!(matches!(&written[..], [Written::Delivered { old: Some(_) }]));
}

#[test]
fn latency_is_borne_and_a_slow_statement_is_ended() {
    let system = MysqlFixture::new();
    let connector = leads_of(&system);
    system.proxy.set(Fault::Latency(std::time::Duration::from_millis(5)));
    let written = wait(connector.write(batch(vec![score(1, 0.5, 50)]))).unwrap();
    assert!(matches!(&written[..], [Written::Delivered { old: Some(_) }]));
    system.proxy.set(Fault::None);
    system.sql("CREATE VIEW slow AS SELECT id, SLEEP(60) AS nap FROM leads;");
    let mut settings = system.settings("app", PASSWORD);
    settings["statement_timeout"] = 100.into();
    let mut more = allowed();
    more.read.insert("slow".to_owned(), names(&["id", "nap"]));
    let connector = system.with(settings, more);
    let mut request = scan(Vec::new(), 9);
    (request.resource, request.fields) = ("slow".to_owned(), names(&["nap"]));
    let error = refusal(wait(connector.scan(request)));
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, "system_slow"));
    assert_eq!(wait(connector.scan(scan(Vec::new(), 9))).unwrap().len(), 3, "and all is well again");
}

#[test]
fn a_killed_server_is_back_after_its_restart_and_a_read_only_one_is_told() {
    let mut mariadb = MariaDb::start();
    mariadb.sql("mysql", "CREATE DATABASE crm; CREATE USER plain IDENTIFIED BY 'x'; GRANT ALL ON crm.* TO plain;");
    mariadb.sql(
        "crm",
        "CREATE TABLE leads (id int PRIMARY KEY, name text, score double); INSERT INTO leads VALUES (1, 'a', NULL);",
    );
    let system = MysqlFixture::new();
    system.proxy.aim(mariadb.port());
    let url = format!("mysql://plain:x@127.0.0.1:{}/crm", system.proxy.port());
    let connector = system.with(serde_json::json!({ "url": url }), allowed());
    let read = || wait(connector.scan(scan(Vec::new(), 9)));
    assert_eq!(read().unwrap().len(), 1);
    mariadb.crash();
    assert_eq!(refusal(read()).code(), "system_unreachable");
    mariadb.restart();
    assert_eq!(read().unwrap().len(), 1);
    let mut write = score(1, 0.5, 50);
    (write.set, write.expect, write.older) = (vec![("score".to_owned(), Value::Float(0.5))], Vec::new(), None);
    mariadb.sql("mysql", "SET GLOBAL read_only = 1;");
    let error = refusal(wait(connector.write(batch(vec![write.clone()]))));
    assert_eq!((error.code(), error.retryable()), ("system_read_only", true));
    mariadb.sql("mysql", "SET GLOBAL read_only = 0;");
    assert_eq!(
        wait(connector.write(batch(vec![write]))).unwrap(),
        [Written::Delivered { old: Some(vec![Value::Null]) }]
    );
}

#[test]
fn the_granted_rights_suffice_and_the_database_refuses_the_rest() {
    let system = MysqlFixture::new();
    system.create(&leads(), &leads_with(1..=3));
    let catalog = wait(system.connect(allowed()).catalog()).unwrap();
    assert!(catalog.privileges.as_ref().unwrap().whole[""].contains(&"SUPER".to_owned()));
    let login = format!("login_{}", system.database);
    system.sql(&format!("CREATE USER {login} IDENTIFIED BY 'x';"));
    let kind = tendon_connectors::find("mysql").unwrap();
    let wanted = Wanted::new(&login, &allowed(), &catalog);
    let settings = system.settings(&login, "x");
    let (last, lines) = {
        let mut lines = (kind.access.unwrap())(&settings, &wanted);
        (lines.pop().unwrap(), lines)
    };
    lines.iter().for_each(|line| drop(system.sql(line)));
    let connector = system.with(settings.clone(), allowed());
    assert_eq!(wait(connector.horizon()).unwrap(), None, "others' transactions are hidden, and that stops nothing");
    system.sql(&last);
    let connector = system.with(settings.clone(), allowed());
    assert!(wait(connector.horizon()).unwrap().is_some());
    assert_eq!(wait(connector.watch(watch(start(), 9))).unwrap().len(), 3);
    let written = wait(connector.write(batch(vec![score(1, 0.5, 50), score(2, 0.5, 50)]))).unwrap();
    assert!(written.iter().all(|one| matches!(one, Written::Delivered { old: Some(_) })), "{written:?}");
    let rights = wait(connector.catalog()).unwrap().privileges.unwrap();
    assert_eq!(rights.fields["leads"]["UPDATE"], ["score", "band", "scored_at"]);
    assert!(rights.whole.is_empty() && !rights.fields["leads"].contains_key("INSERT"), "{rights:?}");
    // The plan is wider than the grants: now the database itself says no.
    let mut wider = allowed();
    wider.write.get_mut("leads").unwrap().push("name".to_owned());
    wider.read.get_mut("leads").unwrap().push("secret".to_owned());
    let connector = system.with(settings, wider);
    let mut write = score(3, 0.5, 50);
    write.set[1] = ("name".to_owned(), Value::text("owned"));
    let error = refusal(wait(connector.write(batch(vec![write]))));
    assert_eq!((error.kind(), error.code()), (ErrorKind::Forbidden, "system_denied"));
    let mut request = scan(Vec::new(), 9);
    request.fields = names(&["secret"]);
    assert!(wait(connector.scan(request)).is_err());
    assert_eq!(system.dump(&leads())[2], leads_with([3])[0]);
    // A right on the whole database is told too.
    system.sql(&format!("GRANT DELETE ON {}.* TO {login}; GRANT DROP ON leads TO {login};", system.database));
    let connector = system.with(system.settings(&login, "x"), allowed());
    let rights = wait(connector.catalog()).unwrap().privileges.unwrap();
    assert_eq!((&rights.whole[""], &rights.whole["leads"]), (&names(&["DELETE"]), &names(&["DROP"])));
}

#[test]
fn the_way_is_protected_as_declared() {
    let system = MysqlFixture::new();
    let connect = |more: &[(&str, &str)]| {
        let mut settings = system.settings("app", PASSWORD);
        for (name, value) in more {
            settings[*name] = (*value).into();
        }
        wait(system.with(settings, allowed()).probe())
    };
    let login = format!("tls_{}", system.database);
    system.sql(&format!(
        "CREATE USER {login} IDENTIFIED BY 'x' REQUIRE SSL; GRANT ALL ON {}.* TO {login};",
        system.database
    ));
    let only = |tls: &str| {
        let mut settings = system.settings(&login, "x");
        settings["tls"] = tls.into();
        wait(system.with(settings, allowed()).probe())
    };
    only("require").unwrap();
    assert_eq!(only("off").unwrap_err().code(), "system_refused_login", "the server itself sees no encryption");
    let ca = server().certificate().display().to_string();
    connect(&[("tls", "verify"), ("ca", &ca)]).unwrap();
    assert_eq!(connect(&[("tls", "verify")]).unwrap_err().code(), "system_unreachable");
    let error = refusal(wait(system.with(system.settings("app", "wrong"), allowed()).probe()));
    assert_eq!(error.code(), "system_refused_login");
}
