//! The simulation itself: the same seed replays, tasks interleave, time jumps, hangs are named, a power cut drops tasks.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tendon_kernel::{context::Open, id::Id, time::Timestamp};
use tendon_testkit::{Outcome, Sim};

/// Some tasks that sleep, talk, write and sync; returns the order in which they spoke.
fn busy(sim: &Sim) -> Vec<u32> {
    let context = sim.context();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    for number in 0..8_u32 {
        let (context, sender) = (context.clone(), sender.clone());
        sim.spawn("talker", async move {
            let file = context.disk.open(&format!("file{number}"), Open::ReadWrite).unwrap();
            for round in 0..4_u32 {
                let mut noise = [0; 100];
                context.entropy.fill(&mut noise);
                context.clock.sleep(Duration::from_micros(u64::from(noise[0]))).await;
                file.write_at(&noise, u64::from(round) * 100).unwrap();
                if noise[1] < 128 {
                    file.sync().await.unwrap();
                }
                sender.send(number).await.unwrap();
            }
        });
    }
    drop(sender);
    sim.run(async move {
        let mut order = Vec::new();
        while let Some(number) = receiver.recv().await {
            order.push(number);
        }
        order
    })
    .done()
}

#[test]
fn a_seed_replays_exactly_and_another_seed_differs() {
    let mut hashes = std::collections::BTreeSet::new();
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let (one, two) = (Sim::new(seed), Sim::new(seed));
        let orders_of_two = [busy(&one), busy(&two)];
        assert_eq!(orders_of_two[0], orders_of_two[1], "seed {seed}: order");
        assert_eq!(one.trace_hash(), two.trace_hash(), "seed {seed}: trace");
        assert_eq!(one.disk().dump(), two.disk().dump(), "seed {seed}: disk");
        one.crash();
        two.crash();
        assert_eq!(one.disk().dump(), two.disk().dump(), "seed {seed}: disk after the crash");
        assert_eq!(busy(&one), busy(&two), "seed {seed}: after the crash");
        assert_eq!(one.trace_hash(), two.trace_hash(), "seed {seed}: trace after the crash");
        hashes.insert(one.trace_hash());
        orders.insert(orders_of_two[0].clone());
    }
    assert_eq!(hashes.len(), 40);
    assert!(orders.len() > 35, "only {} orders in 40 seeds", orders.len());
}

/// `tokio::sync::watch` wakes its receivers in an order that it draws anew each time; who goes first follows from the seed all the same.
#[test]
fn who_goes_first_of_those_woken_at_once_follows_from_the_seed() {
    let order = |seed| {
        let (sim, order) = (Sim::new(seed), Arc::new(Mutex::new(Vec::new())));
        let (tell, told) = tokio::sync::watch::channel(());
        for number in 0..24_u32 {
            let (mut told, order) = (told.clone(), Arc::clone(&order));
            sim.spawn("waiter", async move {
                told.changed().await.unwrap();
                order.lock().unwrap().push(number);
            });
        }
        sim.run_for(Duration::from_millis(1));
        tell.send(()).unwrap();
        sim.run_for(Duration::from_millis(1));
        Arc::into_inner(order).unwrap().into_inner().unwrap()
    };
    let orders: std::collections::BTreeSet<_> = (0..20).map(order).collect();
    assert_eq!(orders, (0..20).map(order).collect());
    assert!(orders.len() == 20 && orders.iter().all(|order| order.len() == 24), "each seed has an order of its own");
}

#[test]
fn time_jumps_and_ids_follow_it() {
    let sim = Sim::new(1);
    let context = sim.context();
    let (before, after, ids) = sim
        .run(async move {
            let first = Id::new(&context);
            let before = context.clock.now();
            context.clock.sleep(Duration::from_secs(365 * 24 * 3600)).await;
            (before, context.clock.now(), [first, Id::new(&context)])
        })
        .done();
    let years = after.0 - before.0;
    assert!((years - 365 * 24 * 3_600_000_000).abs() < 1000, "{years}");
    assert!(ids[0] < ids[1]);
    sim.set_wall(Timestamp::parse("2030-01-01T00:00:00Z").unwrap());
    let monotonic = sim.now();
    sim.jump_wall(-3_600_000_000);
    assert_eq!(sim.context().clock.now(), Timestamp::parse("2029-12-31T23:00:00Z").unwrap());
    assert_eq!(sim.now(), monotonic);
}

#[test]
fn run_for_stops_at_its_time_and_goes_on_later() {
    let sim = Sim::new(2);
    let ticks = Arc::new(AtomicU32::new(0));
    let (context, counter) = (sim.context(), Arc::clone(&ticks));
    sim.spawn("ticker", async move {
        loop {
            context.clock.sleep(Duration::from_secs(1)).await;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(sim.run_for(Duration::from_millis(3500)));
    assert_eq!((ticks.load(Ordering::Relaxed), sim.now()), (3, Duration::from_millis(3500)));
    assert!(sim.run_for(Duration::from_secs(2)));
    assert_eq!(ticks.load(Ordering::Relaxed), 5);
}

#[test]
fn a_hang_is_named_with_its_seed() {
    let sim = Sim::new(77);
    sim.spawn("stuck-writer", std::future::pending());
    let panic = catch_unwind(AssertUnwindSafe(|| sim.run(std::future::pending::<()>()))).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("seed 77") && text.contains("stuck-writer") && text.contains("root"), "{text}");
}

#[test]
fn a_run_that_waits_while_others_tick_ends_with_a_panic() {
    let sim = Sim::new(78);
    sim.patience(1000);
    let context = sim.context();
    sim.spawn("ticker", async move {
        loop {
            context.clock.sleep(Duration::from_secs(1)).await;
        }
    });
    let panic = catch_unwind(AssertUnwindSafe(|| sim.run(std::future::pending::<()>()))).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("seed 78") && text.contains("root, ticker"), "{text}");
}

/// Starts another task when it is dropped, as a guard that cleans up may.
struct Restless(tendon_kernel::context::Context, Arc<AtomicU32>);

impl Drop for Restless {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.spawn.spawn("late", Box::pin(std::future::pending()));
        assert!(self.0.disk.open("late", Open::ReadWrite).is_err(), "a dropped task reached the disk");
    }
}

#[test]
fn a_crash_drops_tasks_and_kills_open_files() {
    let sim = Sim::new(3);
    let (context, dropped) = (sim.context(), Arc::new(AtomicU32::new(0)));
    let guard = Restless(sim.context(), Arc::clone(&dropped));
    sim.spawn("guarded", async move {
        std::future::pending::<()>().await;
        drop(guard);
    });
    let file = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&file);
    sim.run(async move {
        *keep.lock().unwrap() = Some(context.disk.open("f", Open::ReadWrite).unwrap());
    })
    .done();
    sim.crash();
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    assert!(sim.tasks().is_empty());
    let file = file.lock().unwrap().take().unwrap();
    assert!(file.write_at(b"x", 0).is_err() && file.len().is_err());
    assert!(sim.run(async move { file.sync().await.is_err() }).done());
    let context = sim.context();
    sim.run(async move { context.disk.open("g", Open::CreateNew).unwrap().write_at(b"x", 0).unwrap() }).done();
}

#[test]
fn crash_at_op_cuts_every_operation_once() {
    let root = |sim: &Sim| {
        let context = sim.context();
        sim.run(async move {
            let file = context.disk.open("f", Open::CreateNew).unwrap();
            file.write_at(b"one", 0).map_err(|_| 1_u32)?;
            file.sync().await.map_err(|_| 2_u32)?;
            context.disk.rename("f", "g").map_err(|_| 3_u32)?;
            context.disk.sync_folder("").await.map_err(|_| 4_u32)?;
            Ok::<(), u32>(())
        })
    };
    let whole = Sim::new(0);
    assert_eq!(root(&whole), Outcome::Done(Ok(())));
    let operations = whole.disk().operations();
    assert_eq!(operations, 7);
    for at in 1..operations {
        let sim = Sim::new(at);
        sim.disk().crash_at_op(at);
        assert!(root(&sim).crashed(), "operation {at}");
        assert!(!sim.disk().dump().contains_key("g") || at > 4, "the renamed file came from nowhere");
    }
    let sim = Sim::new(9);
    sim.disk().crash_at_op(operations);
    assert_eq!(root(&sim), Outcome::Done(Ok(())));
    sim.crash();
    assert_eq!(sim.disk().dump()["g"], b"one");
}
