//! Measures what the simulation itself costs: polls per second with talking tasks, and whole small worlds per second.
//!
//! `cargo run -p tendon-testkit --example speed`

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people")]

use std::time::{Duration, Instant};

use tendon_kernel::context::Open;
use tendon_testkit::Sim;

/// Ten tasks, each with `rounds` writes, syncs, sleeps and messages; returns the messages.
fn world(seed: u64, rounds: u64) -> u64 {
    let sim = Sim::new(seed);
    let context = sim.context();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
    for number in 0..10 {
        let (context, sender) = (context.clone(), sender.clone());
        sim.spawn("task", async move {
            let file = context.disk.open(&format!("{number}"), Open::ReadWrite).unwrap();
            for round in 0..rounds {
                file.write_at(&[7; 500], round * 500).unwrap();
                file.sync().await.unwrap();
                context.clock.sleep(Duration::from_micros(50)).await;
                sender.send(round).await.unwrap();
            }
        });
    }
    drop(sender);
    sim.run(async move {
        let mut count = 0;
        while receiver.recv().await.is_some() {
            count += 1;
        }
        count
    })
    .done()
}

fn main() {
    let start = Instant::now();
    let count = world(1, 10_000);
    println!("messages (4 waits each) {:>10.0} /s", count as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let worlds = 2000;
    for seed in 0..worlds {
        assert_eq!(world(seed, 20), 200);
    }
    println!("worlds of 200 messages  {:>10.0} /s", worlds as f64 / start.elapsed().as_secs_f64());
}
