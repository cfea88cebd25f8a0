//! The fault harness: the real program under load, with its real neighbours, while things break, once per cell of a table. An
//! independent checker (`checker/check.py`) then reads what callers were answered, the public record and the CRM's own history,
//! and counts what was lost, done twice or done out of order. `cargo xtask faults` builds and starts it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer tool talks through its terminal")]
#![expect(clippy::disallowed_methods, reason = "faults happen to the real program in real time")]

mod cells;
mod crm;
mod crowd;
mod http;
mod load;
mod look;
mod mutations;
mod place;
mod program;
mod report;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value as Json;

use crate::{
    cells::{CELLS, Cell},
    place::{Place, text},
    report::Row,
};

/// Result with a sentence about what was attempted.
pub(crate) type Res<T> = Result<T, String>;

/// Longest wait for something that has to happen; far longer than it takes on a machine under load.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// What all cells need.
#[derive(Clone)]
pub(crate) struct Setting {
    /// The program.
    program: PathBuf,
    /// Interpreter of the checker: any Python, it needs no package.
    python: PathBuf,
    /// Where cells have their folders.
    folder: PathBuf,
    /// Everything random follows from it.
    seed: u64,
    /// How often each cell that repeats its fault does so.
    rounds: u64,
    long: bool,
    /// Longest wait for something that has to happen.
    patience: Duration,
    /// What a patched program does wrong, and whether syncs do nothing: see `mutations`.
    mutant: Option<&'static str>,
    lie: bool,
}

/// Locks even after a panic elsewhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("tendon-faults: {message}");
            ExitCode::FAILURE
        }
    }
}

/// `[--long] [--write] [--seed N] [--rounds N] [--mutations] [CELL…]`; whether all went well.
fn run(words: &[&str]) -> Res<bool> {
    let setting = setting(words)?;
    if words.contains(&"--mutations") {
        let mutants =
            env::var_os("TENDON_MUTANTS").ok_or("TENDON_MUTANTS names no program; `cargo xtask faults` builds it")?;
        let (table, all) = mutations::run(&setting, Path::new(&mutants));
        println!("{table}");
        if words.contains(&"--write") {
            report::put("mutations", &table)?;
        }
        return Ok(all);
    }
    let cells = wanted(words)?;
    if words.contains(&"--write") && cells.len() < CELLS.len() {
        return Err("--write puts the whole table into the page: name no cell".to_owned());
    }
    let begun = Instant::now();
    let mut rows = Vec::new();
    for (number, cell) in cells.iter().enumerate() {
        eprintln!(
            "faults: {} … ({} of {}, {:.0} s so far)",
            cell.name,
            number + 1,
            cells.len(),
            begun.elapsed().as_secs_f64()
        );
        let begun = Instant::now();
        let row = examine(&setting, cell);
        eprintln!("faults: {} {} ({:.1} s)", cell.name, row.verdict(), begun.elapsed().as_secs_f64());
        rows.push(row);
    }
    println!("{}", report::table(&rows));
    if words.contains(&"--write") {
        report::write(&setting, &rows)?;
    }
    let bad = rows.iter().filter(|row| !row.is_good()).count();
    println!("{} cells held, {bad} did not", rows.len() - bad);
    let rich = rows.iter().any(|row| row.is(cells::RICH) && row.is_good());
    Ok(bad == 0 && (!rich || prove(&setting)?))
}

fn setting(words: &[&str]) -> Res<Setting> {
    let number = |name: &str| -> Res<Option<u64>> {
        let after = words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
        after.map(|text| text.parse().map_err(|_| format!("`{text}` after {name} is no number"))).transpose()
    };
    let path = |name: &str, default: &str| PathBuf::from(env::var_os(name).unwrap_or_else(|| default.into()));
    let target = path("TENDON_TARGET", "target");
    let long = words.contains(&"--long");
    let setting = Setting {
        program: env::var_os("TENDON").map_or_else(|| target.join("debug/tendon"), PathBuf::from),
        python: path("PYTHON", "python3"),
        folder: target.join("faults"),
        seed: number("--seed")?.unwrap_or(1),
        rounds: number("--rounds")?.unwrap_or(if long { 250 } else { 6 }),
        long,
        patience: LONG,
        mutant: None,
        lie: false,
    };
    fs::create_dir_all(&setting.folder).map_err(|error| format!("{}: {error}", setting.folder.display()))?;
    Ok(setting)
}

/// The cells that are named; all, where none is.
fn wanted(words: &[&str]) -> Res<Vec<&'static Cell>> {
    let mut cells = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--seed" | "--rounds" => drop(words.next()),
            option if option.starts_with("--") => {}
            name => {
                let known = CELLS.iter().filter(|cell| cell.name == name || cell.name.starts_with(&format!("{name}-")));
                let before = cells.len();
                cells.extend(known);
                if cells.len() == before {
                    let names: Vec<&str> = CELLS.iter().map(|cell| cell.name).collect();
                    return Err(format!("no cell is called `{name}`; there are {}", names.join(", ")));
                }
            }
        }
    }
    Ok(if cells.is_empty() { CELLS.iter().collect() } else { cells })
}

/// Runs one cell and has it checked.
fn examine(setting: &Setting, cell: &'static Cell) -> Row {
    let mut row = Row::new(cell);
    match experience(setting, cell, &mut row) {
        Ok(checked) => row.checked = checked,
        Err(message) => row.failed = Some(message),
    }
    row
}

fn experience(setting: &Setting, cell: &Cell, row: &mut Row) -> Res<Json> {
    let setup = (cell.setup)();
    let place = Place::make(setting, cell.name, &setup)?;
    mutations::plant(setting, &place)?;
    let lived = live(setting, cell, &place, &setup);
    row.seen = std::mem::take(&mut lock(&place.seen));
    if lived.is_err() && (place.finish(cell.refused).is_ok() || place.leave(cell.refused).is_ok()) {
        // What can be counted is counted all the same.
        row.checked = check(setting, &place).unwrap_or_default();
    }
    lived?;
    check(setting, &place)
}

fn live(setting: &Setting, cell: &Cell, place: &Place, setup: &place::Setup) -> Res<()> {
    place.launch()?;
    place.wait_ready()?;
    load::under(place, setup, || (cell.fault)(setting, place))?;
    place.settle(cell.refused)?;
    if lock(&place.seen).recoveries.is_empty() && cell.refused == 0 {
        // The load itself was the fault: it is over now.
        place.calm()?;
    }
    place.finish(cell.refused)
}

/// Spoils what the checker read of a cell that has everything, one thing after the other: it has to find each.
fn prove(setting: &Setting) -> Res<bool> {
    let folder = setting.folder.join(cells::RICH);
    let prover = Path::new(env!("CARGO_MANIFEST_DIR")).join("checker/prove.py");
    let mut python = Command::new(&setting.python);
    python.arg(prover).arg(&folder).arg(folder.join("project/.tendon/ledger/main"));
    let done = python.status().map_err(|error| format!("the checker's proof could not be started: {error}"))?;
    Ok(done.success())
}

/// The checker's word on what is in the folder.
fn check(setting: &Setting, place: &Place) -> Res<Json> {
    let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("checker/check.py");
    let mut python = Command::new(&setting.python);
    python.arg(checker).arg(text(&place.folder)).arg(text(&place.ledger()));
    let done = python.output().map_err(|error| format!("the checker could not be started: {error}"))?;
    serde_json::from_slice(&done.stdout)
        .map_err(|_| format!("the checker ended with {}: {}", done.status, String::from_utf8_lossy(&done.stderr)))
}
