//! A system over another connection keeps what was learnt of it; and only the guard in use shows in the gauge.

use std::{sync::Arc, time::Duration};

use tendon_engine::systems::{BreakerLimits, BreakerState, Limits, System};
use tendon_kernel::Value;
use tendon_testkit::Sim;

use crate::{End, Scripted, start};

const TICK: Duration = Duration::from_millis(1);

fn gauge(sim: &Sim) -> String {
    let text = sim.context().metrics.render();
    text.lines().find(|line| line.starts_with("tendon_system_breaker_state{")).unwrap().to_owned()
}

fn fails(sim: &Sim, system: &Arc<System>, connector: &Scripted) {
    let gave = start(sim, system);
    sim.run_for(TICK);
    connector.call().unwrap().send(End::Fails).unwrap();
    sim.run_for(TICK);
    assert_eq!(*gave.lock().unwrap(), Some(Err("system_failed".to_owned())));
}

#[test]
fn an_open_breaker_stays_open_over_another_connection_and_shows() {
    let sim = Sim::new(1);
    let wait = Duration::from_secs(3_600);
    let breaker = BreakerLimits { calls: 1, wait, longest: wait, ..BreakerLimits::default() };
    let limits = Limits { breaker, ..Limits::default() };
    let (first, second) = (Arc::new(Scripted::default()), Arc::new(Scripted::default()));
    let system = Arc::new(System::new("crm", first.clone(), limits, sim.context()));
    system.show();
    fails(&sim, &system, &first);
    assert!(gauge(&sim).ends_with(" 2"), "{}", gauge(&sim));

    // Built for a change that may still be refused: it tells nobody.
    let other = Arc::new(System::new("crm", second.clone(), limits, sim.context()));
    assert!(gauge(&sim).ends_with(" 2"), "{}", gauge(&sim));
    assert!(!other.shares_guard(&system) && other.breaker().0 == BreakerState::Closed);

    let next = Arc::new(system.reconnected(second.clone()));
    assert!(next.shares_guard(&system));
    assert_eq!((next.breaker().0, next.retry_in()), (BreakerState::Open, system.retry_in()));
    let gave = start(&sim, &next);
    sim.run_for(TICK);
    assert_eq!((gave.lock().unwrap().clone(), second.under_way()), (Some(Err("circuit_open".to_owned())), 0));

    // The other one comes into use instead; what the first one's last calls say shows no more.
    system.hide();
    other.show();
    assert!(gauge(&sim).ends_with(" 0"), "{}", gauge(&sim));
    sim.run_for(wait);
    fails(&sim, &system, &first);
    assert_eq!(system.breaker().0, BreakerState::Open);
    assert!(gauge(&sim).ends_with(" 0"), "{}", gauge(&sim));
}

#[test]
fn what_was_taken_of_the_rate_is_taken() {
    let sim = Sim::new(1);
    let limits = Limits { rate: Some(10.0), ..Limits::default() };
    let (first, second) = (Arc::new(Scripted::default()), Arc::new(Scripted::default()));
    let system = Arc::new(System::new("crm", first.clone(), limits, sim.context()));
    let read = |system: &Arc<System>| {
        let system = system.clone();
        sim.spawn("read", async move {
            let keys: Vec<Vec<Value>> = (0..10).map(|key| vec![Value::Int(key)]).collect();
            system.read("rows", &[], &[], &keys).await.unwrap();
        });
        sim.run_for(TICK);
    };
    read(&system);
    first.call().unwrap().send(End::Well).unwrap();
    read(&Arc::new(system.reconnected(second.clone())));
    assert_eq!(second.under_way(), 0, "a second's worth is gone");
    sim.run_for(Duration::from_secs(1));
    second.call().unwrap().send(End::Well).unwrap();
    sim.run_for(TICK);
}
