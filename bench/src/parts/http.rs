//! The path over HTTP beside a bare echo and beside a floor that only parses, evaluates and prints; then what each choice of
//! the integration costs, the memory, and the start.

use std::time::Duration;

use crate::{
    Res, Setting, disk,
    load::{Found, Target, closed, open},
    process::{SERVER_CORE, Server, free_address, pinned},
    project::{self, Variant},
    request::Request,
    server,
    table::Row,
};

const CONNECTIONS: [usize; 3] = [1, 64, 256];
/// Connections of the comparisons that are not about their number.
const USUAL: usize = 64;

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let echo = floor(setting, "echo")?;
    let echo_loads = loads(setting, &echo.server, &echo.target)?;
    drop(echo);
    let floor_server = floor(setting, "floor")?;
    let floor_loads = loads(setting, &floor_server.server, &floor_server.target)?;
    let name = |what: &str, connections: usize| format!("{what}, {connections} connections");
    for (index, connections) in CONNECTIONS.into_iter().enumerate() {
        let (echo, floor) = (echo_loads[index].rate, floor_loads[index].rate);
        rows.push(Row::new("http", name("bare echo", connections), echo, "/s"));
        rows.push(Row::new("http", name("floor", connections), floor, "/s").against("echo", echo));
    }
    let path = project::start(setting, Variant::Plain)?;
    let idle = path.server.memory()?;
    rows.push(Row::new("memory", "idle", idle as f64 / 1e6, "MB").aim("< 80 MB", idle < 80_000_000));
    let path_loads = loads(setting, &path.server, &path.target)?;
    rows.push(Row::new("memory", "after load at 256 connections", path.server.memory()? as f64 / 1e6, "MB"));
    for (index, connections) in CONNECTIONS.into_iter().enumerate() {
        let (rate, most) = (path_loads[index].rate, floor_loads[index].rate);
        let row = Row::new("http", name("whole path, durable", connections), rate, "/s").against("floor", most);
        rows.push(if connections == USUAL { row.aim("≥ 0.5× floor", rate >= 0.5 * most) } else { row });
    }
    let [_, usual, _] = path_loads;
    for (index, connections) in CONNECTIONS.into_iter().enumerate() {
        let (used, least) = (path_loads[index].processor, floor_loads[index].processor);
        rows.push(Row::new("processor", name("whole path, durable", connections), used, "µs").against("floor", least));
    }
    rows.extend(latencies(setting, &floor_server.target, &path.target, usual.rate)?);
    drop((floor_server, path));
    for (variant, name) in [
        (Variant::Explained, "explained always"),
        (Variant::Buffered, "ledger buffered"),
        (Variant::Known, "1,000 known subjects"),
    ] {
        let started = project::start(setting, variant)?;
        let Load { rate, processor } = load(setting, &started.server, &started.target, USUAL)?;
        let name = format!("{name}, {USUAL} connections");
        rows.push(Row::new("http", &name, rate, "/s").against("whole path", usual.rate));
        rows.push(Row::new("processor", &name, processor, "µs").against("whole path", usual.processor));
    }
    rows.push(cold_start(setting)?);
    Ok(())
}

/// A floor that is asked; it stops with this value.
struct Asked {
    server: Server,
    target: Target,
}

fn floor(setting: &Setting, mode: &str) -> Res<Asked> {
    let address = free_address()?;
    let mut command = pinned(SERVER_CORE, &setting.program);
    command.args(["serve", mode, &address.to_string(), &setting.model.to_string_lossy()]);
    let server = Server::start(command, address, None)?;
    let key = "tdn_0000000000000000000000000000000000000000";
    let target = Target { address, request: Request::new(server::PATH, key, 1, u64::MAX) };
    Ok(Asked { server, target })
}

/// What a closed load found.
#[derive(Clone, Copy)]
struct Load {
    /// Answers per second.
    rate: f64,
    /// Time on the server's processor per answer, in microseconds. It says more of two builds than the rate does: the disk and
    /// whoever else is on the machine have less part in it.
    processor: f64,
}

fn loads(setting: &Setting, server: &Server, target: &Target) -> Res<[Load; 3]> {
    let mut loads = [Load { rate: 0.0, processor: 0.0 }; 3];
    for (found, connections) in loads.iter_mut().zip(CONNECTIONS) {
        *found = load(setting, server, target, connections)?;
    }
    Ok(loads)
}

fn load(setting: &Setting, server: &Server, target: &Target, connections: usize) -> Res<Load> {
    let before = server.processor()?;
    let found = closed(target, connections, setting.time)?;
    let used = server.processor()?.saturating_sub(before);
    Ok(Load { rate: served(&found)?, processor: used.as_secs_f64() * 1e6 / found.answers as f64 })
}

/// Answers per second; a refusal would make the figure a lie.
fn served(found: &Found) -> Res<f64> {
    if found.refused > 0 {
        return Err(format!("{} answers had another status than 200", found.refused));
    }
    Ok(found.rate)
}

/// Latencies of floor and path at one rate, 70 % of what the path can do, beside the disk's own sync.
fn latencies(setting: &Setting, floor: &Target, path: &Target, rate: f64) -> Res<Vec<Row>> {
    let rate = rate * 0.7;
    let ms = |found: &Found, share: f64| found.latency.quantile(share).as_secs_f64() * 1e3;
    let (below, above) = (open(floor, USUAL, rate, setting.time)?, open(path, USUAL, rate, setting.time)?);
    let (syncs, _) = disk::syncs(&setting.folder)?;
    let sync = |share: f64| syncs.quantile(share).as_secs_f64() * 1e3;
    served(&above)?;
    let name = |what: &str| format!("{what} at {rate:.0}/s, 70 % load");
    let (added, bound) = (ms(&above, 0.99) - ms(&below, 0.99), 2.0 * sync(0.99) + 0.5);
    Ok(vec![
        Row::new("disk", "fdatasync of 4 to 64 KiB, p50", sync(0.5), "ms"),
        Row::new("disk", "fdatasync of 4 to 64 KiB, p99", sync(0.99), "ms"),
        Row::new("latency", name("floor p50"), ms(&below, 0.5), "ms"),
        Row::new("latency", name("floor p99"), ms(&below, 0.99), "ms"),
        Row::new("latency", name("path p50"), ms(&above, 0.5), "ms"),
        Row::new("latency", name("path p99"), ms(&above, 0.99), "ms"),
        Row::new("latency", "p99 added over the floor", added, "ms")
            .aim(format!("≤ 2 × fdatasync p99 + 0.5 ms = {bound:.2} ms"), added <= bound),
    ])
}

/// From the start of the process to its first answer, on a project that exists; the median of five.
fn cold_start(setting: &Setting) -> Res<Row> {
    let mut starts = Vec::new();
    for _ in 0..5 {
        starts.push(project::start(setting, Variant::Plain)?.server.start);
    }
    starts.sort();
    let median = starts.get(2).copied().unwrap_or(Duration::ZERO).as_secs_f64() * 1e3;
    Ok(Row::new("start", "process start to first answer", median, "ms").aim("< 150 ms", median < 150.0))
}
