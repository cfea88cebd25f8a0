//! A system that hangs keeps its own turns and a bounded queue, and tells everybody else at once.

use std::{sync::Arc, time::Duration};

use tendon_engine::systems::{Limits, System};
use tendon_testkit::{Rng, Sim, sweep};

use crate::{End, Gave, Scripted, start};

#[test]
fn what_waits_is_bounded_and_so_is_its_wait() {
    sweep(50, |seed| {
        let (sim, mut rng) = (Sim::new(seed), Rng::stream(seed, "turns"));
        let (concurrency, queue) = (1 + rng.index(4), rng.index(5));
        let timeout = Duration::from_secs(10);
        let connector = Arc::new(Scripted::default());
        let limits = Limits { concurrency, queue, timeout, ..Limits::default() };
        let system = Arc::new(System::new("crm", connector.clone(), limits, sim.context()));
        let calls: Vec<Gave> = (0..concurrency + queue + 5).map(|_| start(&sim, &system)).collect();
        sim.run_for(Duration::from_millis(1));
        let told = |calls: &[Gave]| -> Vec<Result<(), String>> {
            calls.iter().filter_map(|call| call.lock().unwrap().clone()).collect()
        };
        assert_eq!(connector.under_way(), concurrency);
        assert_eq!((system.state().under_way, system.state().queued), (concurrency, queue));
        assert_eq!(told(&calls), vec![Err("system_busy".to_owned()); 5], "who finds no place hears it at once");
        // One ends: the next in line goes.
        connector.call().unwrap().send(End::Well).unwrap();
        sim.run_for(Duration::from_millis(1));
        assert_eq!(system.state().queued, queue.saturating_sub(1));
        assert_eq!(connector.under_way(), concurrency - usize::from(queue == 0));
        // It hangs: nobody waits longer than for a turn and an answer.
        sim.run_for(timeout * 2 + Duration::from_millis(1));
        assert_eq!(told(&calls).len(), calls.len());
        assert_eq!((system.state().under_way, system.state().queued), (0, 0));
    });
}

#[test]
fn a_caller_who_gives_up_leaves_the_queue() {
    let sim = Sim::new(1);
    let connector = Arc::new(Scripted::default());
    let limits = Limits { concurrency: 1, queue: 1, ..Limits::default() };
    let system = Arc::new(System::new("crm", connector.clone(), limits, sim.context()));
    let first = start(&sim, &system);
    sim.run_for(Duration::from_millis(1));
    let (waits, context) = (system.clone(), sim.context());
    sim.spawn("impatient", async move {
        tokio::select! {
            biased;
            _ = waits.read("rows", &[], &[], &[]) => unreachable!("there is no turn"),
            () = context.clock.sleep(Duration::from_millis(50)) => {}
        }
    });
    sim.run_for(Duration::from_millis(10));
    assert_eq!(system.state().queued, 1);
    sim.run_for(Duration::from_millis(100));
    assert_eq!(system.state().queued, 0);
    connector.call().unwrap().send(End::Well).unwrap();
    sim.run_for(Duration::from_millis(1));
    assert_eq!(*first.lock().unwrap(), Some(Ok(())));
}
