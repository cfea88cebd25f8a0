//! PostgreSQL where it hurts: commits that are late, answers that are lost, servers that are slow, silent, lying or killed.

use tendon_kernel::{
    ErrorKind, Type, Value,
    sockets::connector::{Connector, Position, Wanted, Written},
};
use tendon_testkit::{
    proxy::Fault,
    servers::{PASSWORD, Postgres},
};

use crate::{
    fixture::{Fixture as _, refusal, wait},
    postgres::{PostgresFixture, Session, id, server},
    sample::{allowed, batch, leads, leads_with, names, scan, score, start, watch},
};

fn leads_of(system: &PostgresFixture) -> std::sync::Arc<dyn Connector> {
    system.create(&leads(), &leads_with(1..=3));
    system.connect(allowed())
}

#[test]
fn a_transaction_that_commits_late_is_behind_the_horizon() {
    let system = PostgresFixture::new();
    let connector = leads_of(&system);
    let touch = |id: i64| format!("UPDATE {}.leads SET updated_at = now() WHERE id = {id};", system.schema);
    for prepared in [false, true] {
        let mut late = Session::start(&format!("BEGIN; {}", touch(1)));
        system.sql(&touch(2));
        // What a watch does: ask for open transactions, read, and remember the newest mark.
        let open = wait(connector.horizon()).unwrap().unwrap();
        let seen = wait(connector.watch(watch(start(), 99))).unwrap();
        let newest = seen.last().unwrap().mark.clone();
        if prepared {
            late.run(&format!("PREPARE TRANSACTION '{}';", system.schema));
            assert!(wait(connector.horizon()).unwrap().unwrap() <= open, "a prepared transaction holds the horizon");
            late.run(&format!("COMMIT PREPARED '{}';", system.schema));
        } else {
            late.run("COMMIT;");
        }
        drop(late);
        // By the watermark alone, the late row is lost; from the horizon, it is found.
        let after = |mark: Value| Position { mark, key: Vec::new() };
        let by_mark = wait(connector.watch(watch(after(newest.clone()), 99))).unwrap();
        assert!(by_mark.iter().all(|change| change.row.key != [Value::Int(1)]));
        let again = wait(connector.watch(watch(after(Value::Time(open)), 99))).unwrap();
        assert!(again.iter().any(|change| change.row.key == [Value::Int(1)]), "prepared: {prepared}");
    }
}

#[test]
fn a_commit_whose_answer_is_lost_is_told_by_reading_back() {
    for delivered in [true, false] {
        let system = PostgresFixture::new();
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
fn silence_and_garbage_end_in_bounded_time_and_pass() {
    let system = PostgresFixture::new();
    system.create(&leads(), &leads_with(1..=3));
    let mut settings = system.settings("app", PASSWORD);
    for limit in ["statement_timeout", "connect_timeout"] {
        settings[limit] = 200.into();
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
            }
        }
        system.proxy.set(Fault::None);
        system.proxy.cut();
    }
    assert_eq!(system.updates(&leads()), 0);
}

#[test]
fn a_killed_server_is_back_after_its_restart() {
    let mut postgres = Postgres::start(&["fsync=off"]);
    postgres.sql("postgres", "CREATE TABLE leads (id int PRIMARY KEY, name text); INSERT INTO leads VALUES (1, 'a');");
    let system = PostgresFixture::new();
    system.proxy.aim(postgres.port());
    let mut settings = system.settings("app", PASSWORD);
    settings["schema"] = "public".into();
    let connector = system.with(settings, allowed());
    assert_eq!(wait(connector.scan(scan(Vec::new(), 9))).unwrap().len(), 1);
    postgres.crash();
    assert_eq!(refusal(wait(connector.scan(scan(Vec::new(), 9)))).code(), "system_unreachable");
    postgres.restart();
    assert_eq!(wait(connector.scan(scan(Vec::new(), 9))).unwrap().len(), 1);
}

#[test]
fn the_granted_rights_suffice_and_the_database_refuses_the_rest() {
    let system = PostgresFixture::new();
    system.create(&leads(), &leads_with(1..=3));
    let catalog = wait(system.connect(allowed()).catalog()).unwrap();
    assert!(catalog.privileges.unwrap().whole[""].contains(&"SUPERUSER".to_owned()));
    let login = format!("login_{}", system.schema);
    system.sql(&format!("CREATE ROLE {login} LOGIN PASSWORD 'x';"));
    let kind = tendon_connectors::find("postgres").unwrap();
    let catalog = wait(system.connect(allowed()).catalog()).unwrap();
    let wanted = Wanted::new(&login, &allowed(), &catalog);
    let settings = system.settings(&login, "x");
    for line in (kind.access.unwrap())(&settings, &wanted) {
        system.sql(&line);
    }
    let connector = system.with(settings.clone(), allowed());
    assert_eq!(wait(connector.watch(watch(start(), 9))).unwrap().len(), 3);
    assert!(wait(connector.horizon()).unwrap().is_some());
    let written = wait(connector.write(batch(vec![score(1, 0.5, 50)]))).unwrap();
    assert!(matches!(&written[..], [Written::Delivered { old: Some(_) }]), "{written:?}");
    let rights = wait(connector.catalog()).unwrap().privileges.unwrap();
    assert_eq!(rights.fields["leads"]["UPDATE"], ["band", "score", "scored_at"]);
    assert!(rights.whole.is_empty() && !rights.fields["leads"].contains_key("INSERT"));
    // The plan is wider than the grants: now the database itself says no.
    let mut wider = allowed();
    wider.write.get_mut("leads").unwrap().push("name".to_owned());
    wider.read.get_mut("leads").unwrap().push("secret".to_owned());
    let connector = system.with(settings, wider);
    let mut write = score(2, 0.5, 50);
    write.set[1] = ("name".to_owned(), Value::text("owned"));
    assert_eq!(refusal(wait(connector.write(batch(vec![write])))).code(), "system_denied");
    let mut request = scan(Vec::new(), 9);
    request.fields = names(&["secret"]);
    assert!(wait(connector.scan(request)).is_err());
    assert_eq!(system.dump(&leads())[1], leads_with([2])[0]);
}

#[test]
fn the_way_is_protected_as_declared() {
    let system = PostgresFixture::new();
    let connect = |more: &[(&str, &str)]| {
        let mut settings = system.settings("app", PASSWORD);
        for (name, value) in more {
            settings[*name] = (*value).into();
        }
        wait(system.with(settings, allowed()).probe())
    };
    connect(&[("tls", "require")]).unwrap();
    let ca = server().certificate().display().to_string();
    connect(&[("tls", "verify"), ("ca", &ca)]).unwrap();
    assert_eq!(connect(&[("tls", "verify")]).unwrap_err().code(), "system_unreachable");
    let mut wrong = system.settings("app", "wrong");
    wrong["connect_timeout"] = 2000.into();
    let error = refusal(wait(system.with(wrong, allowed()).probe()));
    assert_eq!(error.code(), "system_refused_login");
}

#[test]
fn types_are_exact_or_refused_with_a_reason() {
    let system = PostgresFixture::new();
    system.sql(
        "CREATE TYPE mood AS ENUM ('calm', 'it''s'); CREATE DOMAIN euro AS numeric(12,2);
         CREATE TABLE odd (id uuid PRIMARY KEY, dec numeric, price euro, big bigint, small real, at timestamp(3), day date,
            doc json, deep jsonb, feel mood, code char(4), tags text[], raw bytea, span interval);
         INSERT INTO odd VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 12345678901234567890.123, 10.10, 9223372036854775807,
            0.1, '2026-05-17 10:00:00.123', '2026-05-17', '{\"b\" : 1}', '{\"b\":1}', 'it''s', 'ab', '{x}', 'x', '1 day');",
    );
    let connector = system.connect(allowed());
    let catalog = wait(connector.catalog()).unwrap();
    let refused = &catalog.refused["odd"];
    assert_eq!(refused.keys().map(String::as_str).collect::<Vec<_>>(), ["raw", "span", "tags"]);
    assert!(refused["tags"].starts_with("text[]: "));
    let found = catalog.resource("odd").unwrap();
    assert_eq!(found.schema.field("feel").unwrap().values.len(), 2);
    let fields: Vec<String> = found.schema.fields.iter().map(|field| field.name.to_string()).collect();
    let mut more = allowed();
    more.read.insert("odd".to_owned(), [fields.clone(), names(&["tags"])].concat());
    more.write.insert("odd".to_owned(), names(&["price", "small", "at", "code"]));
    let connector = system.connect(more);
    let mut request = scan(Vec::new(), 9);
    (request.resource, request.fields) = ("odd".to_owned(), fields);
    let row = wait(connector.scan(request.clone())).unwrap().remove(0);
    let time = |text: &str| Value::Time(tendon_kernel::Timestamp::parse(text).unwrap());
    assert_eq!(
        row.values,
        [
            Value::text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            Value::text("12345678901234567890.123"),
            Value::Float(10.1),
            Value::Int(i64::MAX),
            Value::Float(0.1),
            time("2026-05-17T10:00:00.123Z"),
            time("2026-05-17T00:00:00Z"),
            Value::text("{\"b\" : 1}"),
            Value::text("{\"b\": 1}"),
            Value::text("it's"),
            Value::text("ab"),
        ]
    );
    request.fields = names(&["tags"]);
    let error = refusal(wait(connector.scan(request)));
    assert_eq!(error.code(), "field_unsupported");
    assert!(error.hint_text().unwrap().contains("text[]"));
    // Values that the columns round are recognised as ours afterwards.
    let write = tendon_kernel::sockets::connector::Write {
        key: row.key.clone(),
        set: vec![
            ("price".to_owned(), Value::Float(1.239)),
            ("small".to_owned(), Value::Float(0.123_456_789_123)),
            ("at".to_owned(), time("2026-05-17T10:00:00.123456Z")),
            ("code".to_owned(), Value::text("x ")),
        ],
        expect: vec![("dec".to_owned(), row.values[1].clone()), ("price".to_owned(), row.values[2].clone())],
        older: None,
    };
    let mut batch = batch(vec![write]);
    batch.resource = "odd".to_owned();
    assert!(matches!(&wait(connector.write(batch.clone())).unwrap()[..], [Written::Delivered { old: Some(_) }]));
    assert_eq!(wait(connector.write(batch)).unwrap(), [Written::Delivered { old: None }]);
    assert_eq!(system.sql(&format!("SELECT price FROM {};", id("odd"))).trim(), "1.24");
    assert_eq!(found.schema.field("day").unwrap().kind, Type::Time);
}

#[test]
fn a_time_without_a_zone_means_what_the_settings_say() {
    let system = PostgresFixture::new();
    system.sql(
        "CREATE TABLE visits (id int PRIMARY KEY, at timestamp, stamp timestamptz);
         INSERT INTO visits VALUES (1, '2026-05-17 12:00:00', '2026-05-17 12:00:00+00'), (2, '2026-05-17 12:00:02', NULL);",
    );
    let mut settings = system.settings("app", PASSWORD);
    settings["zone"] = "+02:00".into();
    let fields = names(&["at", "stamp"]);
    let mut more = allowed();
    more.read.insert("visits".to_owned(), fields.clone());
    let connector = system.with(settings, more);
    let time = |text: &str| Value::Time(tendon_kernel::Timestamp::parse(text).unwrap());
    let keys = [vec![Value::Int(1)]];
    let row = wait(connector.read("visits", &names(&["id"]), &fields, &keys)).unwrap().remove(0);
    assert_eq!(row.values, [time("2026-05-17T10:00:00Z"), time("2026-05-17T12:00:00Z")]);
    let mut request = watch(Position { mark: time("2026-05-17T10:00:01Z"), key: Vec::new() }, 9);
    (request.resource, request.watermark, request.fields) = ("visits".to_owned(), "at".to_owned(), fields);
    let changes = wait(connector.watch(request)).unwrap();
    assert_eq!(changes.iter().map(|one| &one.mark).collect::<Vec<_>>(), [&time("2026-05-17T10:00:02Z")]);
}
