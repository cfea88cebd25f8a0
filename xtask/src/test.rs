//! The whole test run. Every step runs, also after one failed, so that one run tells everything; the table at the end says
//! what each step cost, and the last line adds up what passed and failed.

use std::{fs, time::Instant};

use crate::{
    Outcome, docs, faults, proto,
    run::{capture, cargo, command, root, status, target, tee},
    setup, supply, tidy,
};

/// What a step found: tests that passed and failed. A step that is one check counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn of(outcome: &Outcome) -> Self {
        if outcome.is_ok() { Self { passed: 1, failed: 0 } } else { Self { passed: 0, failed: 1 } }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

type Step = (&'static str, fn() -> Result<Tally, String>);

/// In order: what is needed first, then the quick answers, then the long ones.
const STEPS: &[Step] = &[
    ("set-up", || check(setup::setup)),
    ("formatting", || check(|| status(cargo(&["fmt", "--all", "--check"])))),
    ("house rules", || check(tidy::tidy)),
    ("licences and advisories", || check(supply::supply)),
    ("lints", || check(lints)),
    ("messages", || check(|| proto::proto(true))),
    ("pages", || check(|| docs::docs(&["--check".to_owned()]))),
    ("tests", tests),
    ("faults", || check(|| faults::faults(&[]))),
    ("release build", || check(|| status(cargo(&["build", "--release", "--locked", "-p", "tendon"])))),
    ("scenarios", scenarios),
];

/// Runs the steps whose name contains the filter.
pub(crate) fn test(filter: Option<&str>) -> Outcome {
    let mut rows = Vec::new();
    let mut total = Tally::default();
    for (name, step) in STEPS.iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter))) {
        eprintln!("\n── {name} ──");
        let start = Instant::now();
        let tally = step().unwrap_or_else(|message| {
            eprintln!("xtask: {message}");
            Tally { passed: 0, failed: 1 }
        });
        total.add(tally);
        rows.push((*name, tally, start.elapsed().as_secs_f64()));
    }
    println!("\n{:<26} {:>7} {:>7} {:>9}", "step", "passed", "failed", "seconds");
    for (name, tally, seconds) in &rows {
        println!("{name:<26} {:>7} {:>7} {seconds:>9.1}", tally.passed, tally.failed);
    }
    println!(
        "{:<26} {:>7} {:>7} {:>9.1}\n",
        "all",
        total.passed,
        total.failed,
        rows.iter().map(|row| row.2).sum::<f64>()
    );
    println!("{} passed, {} failed", total.passed, total.failed);
    match (rows.is_empty(), total.failed) {
        (true, _) => Err("no step has such a name".to_owned()),
        (false, 0) => Ok(()),
        (false, failed) => Err(format!("{failed} failed; the first message of each stands above")),
    }
}

fn check(step: impl FnOnce() -> Outcome) -> Result<Tally, String> {
    let outcome = step();
    if let Err(message) = &outcome {
        eprintln!("xtask: {message}");
    }
    Ok(Tally::of(&outcome))
}

fn lints() -> Outcome {
    status(cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"]))
}

/// All unit, integration and documentation tests, their totals added up.
fn tests() -> Result<Tally, String> {
    let mut total = Tally::default();
    let run = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    let ended_well = tee(run, |line| total.add(harness(line).unwrap_or_default()))?;
    if !ended_well && total.failed == 0 {
        total.failed = 1;
    }
    Ok(total)
}

/// Reads the closing line of a test program: `test result: ok. 3 passed; 0 failed; …`.
fn harness(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let count = |word: &str| {
        let part = counts.split("; ").find_map(|part| part.strip_suffix(word))?;
        part.trim().parse().ok()
    };
    Some(Tally { passed: count("passed")?, failed: count("failed")? })
}

/// Every script of `tests/scenarios` against the release binary; a script passes when it exits with zero.
fn scenarios() -> Result<Tally, String> {
    let folder = root().join("tests/scenarios");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut scripts: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|end| end == "sh") && !path.ends_with("lib.sh"));
    scripts.sort();
    let binary = target().join("release/tendon");
    // What of the documentation they ran; each adds its lines.
    let record = target().join("snippets.txt");
    fs::write(&record, "").map_err(|error| format!("{}: {error}", record.display()))?;
    let mut total = Tally::default();
    for script in scripts {
        let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // Whatever hangs must not take the whole run with it.
        let mut bash = command("timeout", &["--kill-after=20", "900", "bash", &script.to_string_lossy()]);
        bash.env("TENDON", &binary).env("PYTHON", setup::venv_python()).env("SNIPPETS", &record);
        let start = Instant::now();
        let outcome = capture(bash);
        let shown = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("scenario {name} ... {shown} ({:.1} s)", start.elapsed().as_secs_f64());
        total.add(Tally::of(&outcome.map(|_| ())));
    }
    total.add(check(|| docs::snippets::settle(&record).map(|said| println!("{said}")))?);
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        assert_eq!(harness(line), Some(Tally { passed: 12, failed: 3 }));
        assert_eq!(harness("test result: ok. x passed; 0 failed"), None);
        assert_eq!(harness("test path::ok ... ok"), None);
    }

    #[test]
    fn a_failed_check_counts() {
        assert_eq!(check(|| Err("no".to_owned())), Ok(Tally { passed: 0, failed: 1 }));
        assert_eq!(check(|| Ok(())), Ok(Tally { passed: 1, failed: 0 }));
    }

    #[test]
    fn an_unknown_step_is_an_error() {
        assert!(test(Some("no such step")).is_err());
    }
}
