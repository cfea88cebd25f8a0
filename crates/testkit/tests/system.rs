//! The fake system keeps the connector's contract, and its faults are what they claim.

use std::time::Duration;

use tendon_kernel::{
    error::ErrorKind,
    schema::{Field, Schema},
    sockets::connector::{Allowed, Connector as _, Position, Scan, Watch, Write, WriteBatch, Written},
    time::Timestamp,
    value::{Type, Value},
};
use tendon_testkit::{
    FakeSystem, Rng, Sim,
    system::{Faults, Mark},
};

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn allowed() -> Allowed {
    Allowed {
        read: [("leads".to_owned(), names(&["id", "age", "updated_at"]))].into(),
        write: [("leads".to_owned(), names(&["score", "scored_at"]))].into(),
    }
}

fn crm(sim: &Sim, grain: i64) -> FakeSystem {
    let system = FakeSystem::new(sim.context(), sim.seed(), allowed());
    let kinds = [
        ("id", Type::Int),
        ("age", Type::Int),
        ("salary", Type::Float),
        ("score", Type::Float),
        ("scored_at", Type::Time),
        ("updated_at", Type::Time),
    ];
    let schema = Schema::new(kinds.iter().map(|&(name, kind)| Field::new(name, kind)).collect());
    system.table("leads", &["id"], schema, Some(Mark { grain, ..Mark::new("updated_at") }));
    system
}

fn batch(writes: Vec<Write>) -> WriteBatch {
    WriteBatch { resource: "leads".to_owned(), key: names(&["id"]), writes }
}

fn score(id: i64, age: Value, score: f64, at: Timestamp) -> Write {
    Write {
        key: vec![Value::Int(id)],
        set: vec![("score".to_owned(), Value::Float(score)), ("scored_at".to_owned(), Value::Time(at))],
        expect: vec![("age".to_owned(), age)],
        older: Some(("scored_at".to_owned(), at)),
    }
}

fn watch(after: Position, limit: usize) -> Watch {
    let fields = names(&["age"]);
    let (resource, key, watermark) = ("leads".to_owned(), names(&["id"]), "updated_at".to_owned());
    Watch { resource, key, watermark, fields, after, limit }
}

#[test]
fn writes_are_conditional_and_read_back() {
    let sim = Sim::new(1);
    let system = crm(&sim, 1);
    system.edit("leads", [("id", Value::Int(1)), ("age", Value::Int(40))]);
    system.edit("leads", [("id", Value::Int(2))]);
    let handle = system.clone();
    sim.run(async move {
        let (early, late) = (Timestamp(1_000), Timestamp(2_000));
        let write = async |write: Write| handle.write(batch(vec![write])).await.unwrap().remove(0);
        let nulls = Some(vec![Value::Null, Value::Null]);
        assert_eq!(write(score(1, Value::Int(40), 0.5, early)).await, Written::Delivered { old: nulls.clone() });
        assert_eq!(write(score(2, Value::Null, 0.1, early)).await, Written::Delivered { old: nulls }, "null-safe");
        assert_eq!(write(score(1, Value::Int(40), 0.5, early)).await, Written::Delivered { old: None }, "again");
        assert_eq!(write(score(1, Value::Int(40), 0.6, early)).await, Written::Superseded, "not older");
        assert_eq!(write(score(9, Value::Int(40), 0.5, early)).await, Written::Missing);
        let old = Some(vec![Value::Float(0.5), Value::Time(early)]);
        assert_eq!(write(score(1, Value::Int(40), 0.7, late)).await, Written::Delivered { old });
        handle.edit("leads", [("id", Value::Int(1)), ("age", Value::Int(41))]);
        assert_eq!(write(score(1, Value::Int(40), 0.8, Timestamp(3_000))).await, Written::Superseded, "edited");
        handle.refuse("leads", &[Value::Int(2)], true);
        let refused = write(score(2, Value::Null, 0.2, late)).await;
        assert!(matches!(refused, Written::Rejected(error) if !error.retryable()));
        assert_eq!((handle.writes("leads", &[Value::Int(1)]), handle.all_writes()), (2, 3));
    })
    .done();
    assert_eq!(system.row("leads", &[Value::Int(1)]).unwrap()["score"], Value::Float(0.7));
}

#[test]
fn only_named_fields_are_touched() {
    let sim = Sim::new(2);
    let system = crm(&sim, 1);
    sim.run(async move {
        let read = system.read("leads", &names(&["id"]), &names(&["salary"]), &[]).await.unwrap_err();
        let mut write = score(1, Value::Null, 0.1, Timestamp(1));
        write.set.push(("age".to_owned(), Value::Int(1)));
        let write = system.write(batch(vec![write])).await.unwrap_err();
        let mut expect = score(1, Value::Null, 0.1, Timestamp(1));
        expect.expect.push(("salary".to_owned(), Value::Null));
        let expect = system.write(batch(vec![expect])).await.unwrap_err();
        for (error, field) in [(read, "salary"), (write, "age"), (expect, "salary")] {
            assert_eq!(error.kind(), ErrorKind::Forbidden);
            assert!(error.to_string().contains(field), "{error}");
        }
        let missing = system.login(Allowed { read: [("no".to_owned(), names(&["id"]))].into(), ..Allowed::default() });
        let error = missing.read("no", &names(&["id"]), &[], &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(system.catalog().await.unwrap().resource("leads").unwrap().schema.fields.len(), 6);
    })
    .done();
}

#[test]
fn watching_and_scanning_in_any_page_size_sees_every_row_once_in_order() {
    for seed in 0..100 {
        let sim = Sim::new(seed);
        let mut rng = Rng::new(seed);
        let system = crm(&sim, 5_000);
        let count = 1 + rng.below(40);
        for _ in 0..count {
            let id = i64::try_from(rng.below(30)).unwrap();
            system.edit("leads", [("id", Value::Int(id)), ("age", Value::Int(id * 2))]);
            sim.run_for(Duration::from_micros(rng.below(3_000)));
        }
        let (limit, handle) = (1 + rng.index(7), system.clone());
        let (watched, scanned) = sim
            .run(async move {
                let mut watched = Vec::new();
                let mut after = Position { mark: Value::Null, key: Vec::new() };
                loop {
                    let page = handle.watch(watch(after.clone(), limit)).await.unwrap();
                    let Some(last) = page.last() else { break };
                    after = Position { mark: last.mark.clone(), key: last.row.key.clone() };
                    watched.extend(page);
                }
                let mut scanned = Vec::new();
                let mut scan = Scan {
                    resource: "leads".to_owned(),
                    key: names(&["id"]),
                    fields: names(&["age"]),
                    after: Vec::new(),
                    limit,
                };
                loop {
                    let page = handle.scan(scan.clone()).await.unwrap();
                    let Some(last) = page.last() else { break };
                    scan.after = last.key.clone();
                    scanned.extend(page);
                }
                (watched, scanned)
            })
            .done();
        let mut by_key: Vec<_> = watched.iter().map(|change| change.row.clone()).collect();
        by_key.sort_by_key(|row| row.values[0].number().unwrap() as i64);
        assert_eq!(by_key, scanned, "seed {seed}");
        assert_eq!(scanned.len(), system.rows("leads").len(), "seed {seed}");
        let mark = |value: &Value| if let Value::Time(time) = value { *time } else { Timestamp(0) };
        assert!(watched.is_sorted_by_key(|change| mark(&change.mark)), "seed {seed}");
    }
}

#[test]
fn late_commits_and_equal_marks_are_real() {
    let sim = Sim::new(3);
    let system = crm(&sim, 1_000_000);
    let late = system.begin("leads", [("id", Value::Int(1)), ("age", Value::Int(1))]);
    sim.run_for(Duration::from_secs(3));
    system.edit("leads", [("id", Value::Int(2))]);
    system.edit("leads", [("id", Value::Int(3))]);
    let start = || Position { mark: Value::Null, key: Vec::new() };
    let see = |after: Position| {
        let handle = system.clone();
        sim.run(async move { handle.watch(watch(after, 10)).await.unwrap() }).done()
    };
    let first = see(start());
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].mark, first[1].mark);
    let after = Position { mark: first[0].mark.clone(), key: first[0].row.key.clone() };
    assert_eq!(see(after).len(), 1, "within equal marks the key goes on");
    late.commit();
    let after = Position { mark: first[1].mark.clone(), key: first[1].row.key.clone() };
    assert!(see(after).is_empty(), "the late row lies behind the position");
    assert_eq!(see(start()).len(), 3);
}

#[test]
fn lost_answers_have_happened_and_failed_calls_have_not() {
    let sim = Sim::new(4);
    let system = crm(&sim, 1);
    system.edit("leads", [("id", Value::Int(1)), ("age", Value::Int(40))]);
    let handle = system.clone();
    sim.run(async move {
        let write = async |at: i64| handle.write(batch(vec![score(1, Value::Int(40), 0.5, Timestamp(at))])).await;
        handle.fail_calls(1);
        assert!(write(1).await.unwrap_err().retryable());
        assert_eq!(handle.all_writes(), 0);
        handle.lose_answers(1);
        assert!(write(1).await.unwrap_err().retryable());
        assert_eq!(handle.all_writes(), 1);
        assert_eq!(write(1).await.unwrap(), [Written::Delivered { old: None }]);
        handle.locked(true);
        assert_eq!(write(2).await.unwrap_err().code(), "system_locked");
        assert!(handle.probe().await.is_ok());
        handle.locked(false);
        handle.down_for(Duration::from_secs(60));
        assert_eq!(handle.probe().await.unwrap_err().code(), "system_down");
    })
    .done();
    sim.run_for(Duration::from_secs(61));
    sim.run(async move { system.probe().await.unwrap() }).done();
}

#[test]
fn chances_come_from_the_seed() {
    let count = |seed: u64| {
        let sim = Sim::new(seed);
        let system = crm(&sim, 1);
        let ms = Duration::from_millis;
        system.faults(Faults {
            before: 100,
            lost: 100,
            slow: 100,
            slowness: ms(1000),
            latency: (ms(1), ms(5)),
            refuse: 100,
        });
        for id in 0..200 {
            system.edit("leads", [("id", Value::Int(id))]);
        }
        let handle = system.clone();
        let failed = sim
            .run(async move {
                let mut failed = [0; 3];
                for id in 0..200 {
                    match handle.write(batch(vec![score(id, Value::Null, 0.5, Timestamp(1))])).await {
                        Err(error) if error.code() == "answer_lost" => failed[0] += 1,
                        Err(_) => failed[1] += 1,
                        Ok(written) => failed[2] += u64::from(matches!(written[0], Written::Rejected(_))),
                    }
                }
                failed
            })
            .done();
        (failed, system.all_writes(), sim.now())
    };
    assert_eq!(count(7), count(7));
    assert_ne!(count(7), count(8));
    let (failed, _, time) = count(9);
    assert!(failed.iter().all(|&count| (5..50).contains(&count)), "{failed:?}");
    assert!(time > Duration::from_secs(5), "{time:?}");
}
