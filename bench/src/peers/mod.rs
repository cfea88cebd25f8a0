//! Tendon side by side with what a user would write or install instead: the same model, the same requests, each server on one
//! core, the load on the other. Every service must give LightGBM's own scores before it is measured; one that cannot be started
//! stands in the table with the reason.

mod lines;
mod page;
mod scores;
mod services;
mod world;

use std::time::Duration;

use serde_json::json;

use crate::{
    Res, Setting,
    load::{Found, closed, open},
    peers::{
        services::{Running, SERVICES, Service},
        world::World,
    },
};

/// Connections of every load.
const CONNECTIONS: usize = 64;
/// Share of its own peak at which a service's latency is measured, and of the smallest peak for the rate that all hold.
const LOAD: f64 = 0.7;
/// Starts of each service; the median counts.
const STARTS: usize = 3;

/// Latencies at a rate.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
struct Latency {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// What was found out about one service.
#[derive(Clone, Debug, serde::Serialize)]
struct Figures {
    /// Milliseconds from its start to its first answered question.
    start_ms: f64,
    /// Answers per second in a closed loop.
    peak: f64,
    /// At 70 % of that.
    own: Latency,
    /// At the rate that all hold.
    common: Latency,
    /// Largest distance to LightGBM's score.
    distance: f64,
    /// Bytes after the load.
    memory: u64,
}

/// A service with its figures, or why it has none.
type Measured = (&'static Service, Result<Figures, String>);

/// Measures all services, prints the tables and, if wanted, puts them into the documentation.
pub(crate) fn run(setting: &Setting) -> Res<()> {
    let world = World::new(setting)?;
    let mut all: Vec<Measured> = Vec::new();
    let mut written_back = None;
    for service in SERVICES {
        eprintln!("bench: {} …", service.name);
        let figures = first(&world, service, &mut written_back);
        if let Err(reason) = &figures {
            eprintln!("bench: {} was not measured: {reason}", service.name);
        }
        all.push((service, figures));
    }
    let peaks = all.iter().filter_map(|(_, figures)| figures.as_ref().ok()).map(|figures| figures.peak);
    let rate = LOAD * peaks.fold(f64::INFINITY, f64::min);
    for (service, figures) in &mut all {
        if let Ok(found) = figures {
            eprintln!("bench: {} at {rate:.0}/s …", service.name);
            match at(&world, service, rate) {
                Ok(latency) => found.common = latency,
                Err(reason) => *figures = Err(reason),
            }
        }
    }
    let machine = crate::machine();
    let shown = page::tables(&machine, &all, written_back)?;
    println!("{shown}");
    let results: Vec<_> = all
        .iter()
        .map(|(service, figures)| match figures {
            Ok(figures) => json!({ "service": service.name, "figures": figures }),
            Err(reason) => json!({ "service": service.name, "reason": reason }),
        })
        .collect();
    crate::into_results(
        "peers.json",
        &json!({ "machine": machine, "written_back": written_back, "services": results }),
    )?;
    if setting.write { page::write(&shown) } else { Ok(()) }
}

/// Everything but the latency at the rate that all hold.
fn first(world: &World<'_>, service: &'static Service, written_back: &mut Option<f64>) -> Res<Figures> {
    if service.watches {
        let running = service.start(world)?;
        *written_back = Some(world.followed(&running.server)?);
    }
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        starts.push(service.start(world)?.server.start);
    }
    let running = service.start(world)?;
    starts.push(running.server.start);
    starts.sort();
    let distance = scores::distance(world, service, &running.target)?;
    let time = world.setting.time;
    closed(&running.target, CONNECTIONS, Duration::from_secs(2))?;
    let found = closed(&running.target, CONNECTIONS, time)?;
    let peak = answered(&found)?.rate;
    let own = latency(&running, peak * LOAD, time)?;
    let memory = running.server.memory_of_all()?;
    (service.settled)(world, found.latency.total())?;
    let start_ms = starts.get(STARTS / 2).copied().unwrap_or_default().as_secs_f64() * 1e3;
    Ok(Figures { start_ms, peak, own, common: Latency::default(), distance, memory })
}

/// Starts it again and measures at a rate.
fn at(world: &World<'_>, service: &'static Service, rate: f64) -> Res<Latency> {
    let running = service.start(world)?;
    closed(&running.target, CONNECTIONS, Duration::from_secs(1))?;
    latency(&running, rate, world.setting.time)
}

fn latency(running: &Running, rate: f64, time: Duration) -> Res<Latency> {
    let found = open(&running.target, CONNECTIONS, rate, time)?;
    let ms = |share: f64| answered(&found).map(|found| found.latency.quantile(share).as_secs_f64() * 1e3);
    Ok(Latency { rate, p50_ms: ms(0.5)?, p99_ms: ms(0.99)? })
}

/// A refusal would make the figure a lie.
fn answered(found: &Found) -> Res<&Found> {
    match found.refused {
        0 => Ok(found),
        refused => Err(format!("{refused} answers had another status than 200")),
    }
}
