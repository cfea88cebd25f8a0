//! A CRM that fails again and again: all lanes together ask it at most a tenth more often than they would anyway.

use std::time::Duration;

use tendon_kernel::Value;
use tendon_testkit::{Rng, sweep, system::Faults};

use crate::{check, people, process, rest, without_books};

#[test]
fn all_lanes_together_repeat_little_and_lose_nothing() {
    let lasts = Duration::from_secs(120);
    sweep(20, |seed| {
        let town = without_books(seed);
        let mut rng = Rng::stream(seed, "trouble");
        let before = 100 + rng.below(500) as u16;
        town.crm.faults(Faults {
            before,
            lost: 50,
            latency: (Duration::ZERO, Duration::from_millis(5)),
            ..Faults::default()
        });
        town.sim.spawn("process", process(town.start(), Vec::new(), town.sim.context()));
        let crm = (*town.crm).clone();
        let context = town.sim.context();
        // Colleagues change a row every fifth of a second: there is always something new to write.
        town.sim.spawn("colleague", async move {
            for round in 0i64.. {
                context.clock.sleep(Duration::from_millis(200)).await;
                crm.edit("leads", [("id", Value::Int(round % 12)), ("x", Value::Int(round % 89))]);
            }
        });
        town.sim.run_for(lasts);
        let repeats = town.crm.repeats();
        let text = town.sim.context().metrics.render();
        let calls = text.lines().filter(|line| line.starts_with("tendon_system_calls_total{"));
        let calls: u64 = calls.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
        assert!(calls >= town.crm.calls(), "calls that were not counted");
        let first = calls - repeats;
        // Three at once and one every two seconds are always allowed; a round of the watch may end with a call that failed
        // the last time without being the one that was charged.
        let floor = 3.0 + lasts.as_secs_f64() / 2.0;
        println!("seed {seed}: {before} of 1000 fail: {first} first attempts, {repeats} repeated");
        assert!(repeats as f64 <= 0.1 * first as f64 + floor, "seed {seed}: {repeats} repeats of {first}");
        // Well again: everything arrives.
        town.sim.crash();
        town.crm.faults(Faults::default());
        let (start, context, crm) = (town.start(), town.sim.context(), (*town.crm).clone());
        let end = async move {
            let process = start.up().await.unwrap();
            crate::see(&process, &context);
            people::work(crm.clone(), context.clone(), Rng::stream(seed, "last edits"), 3).await;
            rest(&process, &context).await;
            check::scored(&crm, None);
        };
        town.sim.run(end).done();
    });
}
