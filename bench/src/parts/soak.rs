//! A long run of everything at once: callers, a watched table with write-back, batches, erasures, reloads. What grows is told by
//! a straight line through the samples after the first fifth: memory, open files, threads, and disk by decision.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    doors::{batch, block_on},
    watch::{TEXT, fill},
};
use crate::{
    Res, Setting,
    load::open,
    project::{self, Started, Variant},
    table::Row,
};

/// Requests per second over HTTP.
const RATE: f64 = 500.0;
/// Whom they are about.
const PEOPLE: u64 = 100_000;
/// Leads in the watched table.
const LEADS: u32 = 2000;
/// Records of one batch.
const RECORDS: usize = 2000;
/// Time between two samples, batches, erasures and reloads.
const SAMPLE: Duration = Duration::from_secs(5);
const BATCH: Duration = Duration::from_secs(60);
const ERASURE: Duration = Duration::from_secs(15);
const RELOAD: Duration = Duration::from_secs(90);

/// What happened beside the callers.
#[derive(Default)]
struct Done {
    ended: AtomicBool,
    changed: AtomicU64,
    batches: AtomicU64,
    erased: AtomicU64,
    reloads: AtomicU64,
}

/// The process at a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    hours: f64,
    decisions: f64,
    memory: f64,
    files: f64,
    threads: f64,
    disk: f64,
}

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let folder = setting.folder.join("soaked");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let crm = folder.join("crm.db");
    fill(&crm, i64::from(LEADS), TEXT).map_err(|error| format!("{} could not be filled: {error}", crm.display()))?;
    let mut started = project::start(setting, Variant::Soaked)?;
    started.target.request = started.target.request.about(PEOPLE);
    let time = Duration::from_secs_f64(setting.minutes * 60.0);
    let done = Done::default();
    let begun = Instant::now();
    let (found, samples) = std::thread::scope(|scope| {
        let every = |pause: Duration, work: &mut dyn FnMut(u64) -> Res<()>| every(&done, pause, work);
        let (started, crm, folder, done) = (&started, &crm, &folder, &done);
        let others = [
            scope.spawn(move || every(Duration::from_secs(1), &mut |round| change(crm, round, done))),
            scope.spawn(move || every(BATCH, &mut |_| ask_batch(started, done))),
            scope.spawn(move || every(ERASURE, &mut |round| erase(setting, folder, round, done))),
            scope.spawn(move || every(RELOAD, &mut |round| reload(folder, started, round, done))),
        ];
        let watcher = scope.spawn(move || {
            let mut samples = Vec::new();
            every(SAMPLE, &mut |_| {
                let sample = sample(started, folder, begun)?;
                eprintln!("bench: soak {:.1} min {sample:?}", sample.hours * 60.0);
                samples.push(sample);
                Ok(())
            })?;
            Ok::<_, String>(samples)
        });
        let found = open(&started.target, 64, RATE, time);
        done.ended.store(true, Ordering::Relaxed);
        for other in others {
            other.join().map_err(|_| "a thread of the soak panicked".to_owned())??;
        }
        let samples = watcher.join().map_err(|_| "a thread of the soak panicked".to_owned())??;
        Ok::<_, String>((found?, samples))
    })?;
    settle(&crm)?;
    drop(started);
    let verified = verified(setting, &folder);
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
    let plain = |what: &str, number: f64, unit: &'static str| Row::new("soak", what, number, unit);
    let ms = |share: f64| found.latency.quantile(share).as_secs_f64() * 1e3;
    rows.extend([
        plain("duration", setting.minutes, "min"),
        plain("answers over HTTP, 64 connections, refusals too", found.rate, "/s"),
        plain("p50", ms(0.5), "ms"),
        plain("p99", ms(0.99), "ms"),
        plain("rows changed in the watched table", count(&done.changed), ""),
        plain(&format!("batches of {RECORDS}"), count(&done.batches), ""),
        plain("people erased", count(&done.erased), ""),
        plain("reloads", count(&done.reloads), ""),
        plain("refused or failed over HTTP", found.refused as f64, "").aim("0", found.refused == 0),
    ]);
    for (reason, count) in &found.reasons {
        rows.push(plain(&format!("of them `{reason}`"), *count as f64, ""));
    }
    rows.extend(growth(&samples));
    rows.push(
        plain("the ledger verifies afterwards", f64::from(u8::from(verified.is_ok())), "").aim("1", verified.is_ok()),
    );
    verified
}

/// Rows about what grows.
fn growth(samples: &[Sample]) -> Vec<Row> {
    let warm = samples.get(samples.len() / 5..).unwrap_or_default();
    let by_hour = |what: fn(&Sample) -> f64| slope(warm, |sample| sample.hours, what);
    let last = warm.last().map_or([0.0; 3], |last| [last.memory, last.files, last.threads]);
    let row = |what: &str, number: f64, unit: &'static str| Row::new("soak", what, number, unit);
    let (memory, files, threads) = (by_hour(|one| one.memory), by_hour(|one| one.files), by_hour(|one| one.threads));
    vec![
        row("memory at the end", last[0] / 1e6, "MB"),
        row("growth of memory per hour", memory / 1e6, "MB").aim("≤ 10 MB", memory <= 10e6),
        row("open files at the end", last[1], ""),
        row("growth of open files per hour", files, "").aim("≤ 2", files <= 2.0),
        row("threads at the end", last[2], ""),
        row("growth of threads per hour", threads, "").aim("≤ 1", threads <= 1.0),
        row("disk per decision", slope(warm, |sample| sample.decisions, |sample| sample.disk), "bytes"),
    ]
}

/// Slope of the straight line with the least squares.
fn slope(samples: &[Sample], x: impl Fn(&Sample) -> f64, y: impl Fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let together: f64 = samples.iter().map(|one| (x(one) - mean_x) * (y(one) - mean_y)).sum();
    let spread: f64 = samples.iter().map(|one| (x(one) - mean_x).powi(2)).sum();
    if spread > 0.0 { together / spread } else { 0.0 }
}

/// Does the work again and again, a pause before each, until the load has ended.
fn every(done: &Done, pause: Duration, work: &mut dyn FnMut(u64) -> Res<()>) -> Res<()> {
    for round in 0_u64.. {
        let next = Instant::now() + pause;
        while Instant::now() < next {
            if done.ended.load(Ordering::Relaxed) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        work(round)?;
    }
    Ok(())
}

/// Changes a few leads, as people do in a CRM.
fn change(crm: &Path, round: u64, done: &Done) -> Res<()> {
    let failed = |error: rusqlite::Error| format!("changing leads in {}: {error}", crm.display());
    let connection = Connection::open(crm).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    let changed = connection
        .execute(
            "UPDATE leads SET f00 = abs(random()) / 9223372036854775808.0, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE \
             CAST(id AS INTEGER) % 100 = ?1",
            [i64::try_from(round % 100).unwrap_or(0)],
        )
        .map_err(failed)?;
    done.changed.fetch_add(changed as u64, Ordering::Relaxed);
    Ok(())
}

fn ask_batch(started: &Started, done: &Done) -> Res<()> {
    block_on(batch(started, RECORDS, PEOPLE, "\"outcome\":\"ok\""))?;
    done.batches.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Erases somebody; who was not asked about yet is no failure, and not counted.
fn erase(setting: &Setting, folder: &Path, round: u64, done: &Done) -> Res<()> {
    let subject = format!("{:012}", u64::from(LEADS) + (round * 7919) % (PEOPLE - u64::from(LEADS)));
    let mut command = Command::new(setting.target.join("release/tendon"));
    command.args(["ledger", "erase", "--subject", &subject, "--project"]).arg(folder);
    let output = command.output().map_err(|error| format!("{command:?} could not be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        done.erased.fetch_add(1, Ordering::Relaxed);
    } else if !said.contains("holds nothing about this subject") {
        return Err(format!("{command:?} ended with {}: {said}", output.status));
    }
    Ok(())
}

/// Another band, as somebody would change it in the file.
fn reload(folder: &Path, started: &Started, round: u64, done: &Done) -> Res<()> {
    let path = folder.join("integrations/bench.yaml");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(failed)?;
    let (old, new) = if round.is_multiple_of(2) { ("0.7", "0.75") } else { ("0.75", "0.7") };
    fs::write(&path, text.replace(&format!(">= {old}\""), &format!(">= {new}\""))).map_err(failed)?;
    let id = started.server.id().to_string();
    let told = Command::new("kill").args(["-HUP", &id]).status().map_err(|error| error.to_string())?;
    done.reloads.fetch_add(u64::from(told.success()), Ordering::Relaxed);
    Ok(())
}

fn sample(started: &Started, folder: &Path, begun: Instant) -> Res<Sample> {
    let process = PathBuf::from(format!("/proc/{}", started.server.id()));
    let entries = |name: &str| {
        let path = process.join(name);
        fs::read_dir(&path).map(|found| found.count() as f64).map_err(|error| format!("{}: {error}", path.display()))
    };
    Ok(Sample {
        hours: begun.elapsed().as_secs_f64() / 3600.0,
        decisions: decisions(started, "")?,
        memory: started.server.memory()? as f64,
        files: entries("fd")?,
        threads: entries("task")?,
        disk: disk(&folder.join(".tendon")),
    })
}

/// Decisions recorded so far, as the process counts them; of lines with these words.
pub(super) fn decisions(started: &Started, of: &str) -> Res<f64> {
    let text = crate::process::get(started.target.address, "/metrics").ok_or("the metrics could not be read")?;
    let lines = text.lines().filter(|line| line.starts_with("tendon_decisions_total") && line.contains(of));
    Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.trim().parse::<f64>().ok()).sum())
}

/// Bytes of disk that a folder takes; files that go away meanwhile are none.
fn disk(folder: &Path) -> f64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => disk(&entry.path()),
            Ok(found) => found.blocks() as f64 * 512.0,
            Err(_) => 0.0,
        })
        .sum()
}

/// Waits until every lead holds the score of its last change.
fn settle(crm: &Path) -> Res<()> {
    let failed = |error: rusqlite::Error| format!("counting leads in {}: {error}", crm.display());
    let connection = Connection::open(crm).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    let begun = Instant::now();
    loop {
        let sql = "SELECT count(*) FROM leads WHERE scored_at IS NULL OR scored_at < updated_at";
        let left: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(failed)?;
        if left == 0 {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(format!("{left} changed leads had no new score a minute after the load"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn verified(setting: &Setting, folder: &Path) -> Res<()> {
    let mut command = Command::new(setting.target.join("release/tendon"));
    command.args(["ledger", "verify", "--project"]).arg(folder);
    crate::lines_of(&mut command).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(memory: impl Fn(f64) -> f64) -> Vec<Sample> {
        let at = |number: u32| {
            let hours = f64::from(number) / 100.0;
            let decisions = hours * 1000.0;
            Sample { hours, decisions, memory: memory(hours), files: 20.0, threads: 9.0, disk: 5e6 + decisions * 700.0 }
        };
        (0..100).map(at).collect()
    }

    #[test]
    fn growth_is_the_slope_after_warming_up() {
        let rows = growth(&samples(|hours| 50e6 + if hours < 0.2 { 1e9 * hours } else { 2e8 + 30e6 * hours }));
        let of = |name: &str| rows.iter().find(|row| row.name == name).unwrap().clone();
        assert!((of("growth of memory per hour").figure - 30.0).abs() < 1.0);
        assert_eq!(of("growth of memory per hour").met, Some(false));
        assert_eq!(of("growth of open files per hour").met, Some(true));
        assert!((of("disk per decision").figure - 700.0).abs() < 1e-6);
    }

    #[test]
    fn a_single_sample_has_no_slope() {
        assert_eq!(slope(&samples(|_| 1.0)[..1], |one| one.hours, |one| one.memory), 0.0);
    }
}
