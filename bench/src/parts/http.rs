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
    let echo_rates = throughputs(setting, &echo.target)?;
    drop(echo);
    let floor_server = floor(setting, "floor")?;
    let floor_rates = throughputs(setting, &floor_server.target)?;
    let name = |what: &str, connections: usize| format!("{what}, {connections} connections");
    for (index, connections) in CONNECTIONS.into_iter().enumerate() {
        rows.push(Row::new("http", name("bare echo", connections), echo_rates[index], "/s"));
        rows.push(
            Row::new("http", name("floor", connections), floor_rates[index], "/s").against("echo", echo_rates[index]),
        );
    }
    let path = project::start(setting, Variant::Plain)?;
    let idle = path.server.memory()?;
    rows.push(Row::new("memory", "idle", idle as f64 / 1e6, "MB").aim("< 80 MB", idle < 80_000_000));
    let rates = throughputs(setting, &path.target)?;
    rows.push(Row::new("memory", "after load at 256 connections", path.server.memory()? as f64 / 1e6, "MB"));
    for (index, connections) in CONNECTIONS.into_iter().enumerate() {
        let (rate, most) = (rates[index], floor_rates[index]);
        let row = Row::new("http", name("whole path, durable", connections), rate, "/s").against("floor", most);
        rows.push(if connections == USUAL { row.aim("≥ 0.5× floor", rate >= 0.5 * most) } else { row });
    }
    rows.extend(latencies(setting, &floor_server.target, &path.target, rates[1])?);
    drop((floor_server, path));
    for (variant, name) in [
        (Variant::Explained, "explained always"),
        (Variant::Buffered, "ledger buffered"),
        (Variant::Known, "1,000 known subjects"),
    ] {
        let started = project::start(setting, variant)?;
        let found = closed(&started.target, USUAL, setting.time)?;
        rows.push(
            Row::new("http", format!("{name}, {USUAL} connections"), served(&found)?, "/s")
                .against("whole path", rates[1]),
        );
    }
    rows.push(cold_start(setting)?);
    Ok(())
}

/// A floor that is asked; it stops with this value.
struct Asked {
    #[expect(dead_code, reason = "held so that the server lives as long as it is asked")]
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

fn throughputs(setting: &Setting, target: &Target) -> Res<[f64; 3]> {
    let mut rates = [0.0; 3];
    for (rate, connections) in rates.iter_mut().zip(CONNECTIONS) {
        *rate = served(&closed(target, connections, setting.time)?)?;
    }
    Ok(rates)
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
