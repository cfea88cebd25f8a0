//! The benchmarks of the project, in one run on one machine: the server on one core, the load on another, every figure beside
//! the floor or peer measured minutes before or after it. It measures and says what fell short; it never passes or fails.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer tool talks through its terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures the real clock")]

mod disk;
mod histogram;
mod load;
mod parts;
mod peers;
mod process;
mod project;
mod request;
mod server;
mod table;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use serde_json::json;

/// Result with a sentence about what was attempted.
pub(crate) type Res<T> = Result<T, String>;

/// What all parts need.
pub(crate) struct Setting {
    /// This program.
    program: PathBuf,
    /// Where cargo builds.
    target: PathBuf,
    /// Interpreter with the peers.
    python: PathBuf,
    /// Scratch folder, on the disk that is measured.
    folder: PathBuf,
    /// The model of 300 trees.
    model: PathBuf,
    /// Rows to score.
    rows: PathBuf,
    /// Time of one load.
    time: Duration,
    /// Whether to do what takes many minutes.
    long: bool,
    /// How long a soak lasts.
    minutes: f64,
    /// Whether pages of the documentation get their tables.
    write: bool,
}

type Part = (&'static str, fn(&Setting, &mut Vec<table::Row>) -> Res<()>);

const PARTS: &[Part] = &[
    ("http", parts::http::measure),
    ("doors", parts::doors::measure),
    ("trees", parts::trees::measure),
    ("ledger", parts::ledger::measure),
    ("watch", parts::watch::measure),
    ("postgres", parts::postgres::measure),
    ("recall", parts::recall::measure),
    ("lookups", parts::lookups::measure),
    ("overload", parts::overload::measure),
    ("soak", parts::soak::measure),
    ("pages", parts::pages::measure),
];
/// Parts that are measured only when they are named.
const NAMED: [&str; 3] = ["overload", "soak", "pages"];
/// Those of them whose rows go into a page as they are.
const LONG_RUNS: [&str; 2] = ["overload", "soak"];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve", mode, listen, model @ ..] => listen
            .parse()
            .map_err(|error| format!("`{listen}` is no address: {error}"))
            .and_then(|listen| server::serve(mode, listen, model.first().copied())),
        options => bench(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tendon-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// `[--long] [--readme] [--seconds N] [PART…]`, `[--write] [--minutes N] overload|soak|pages`, or `--peers [--write] [--seconds N]`
fn bench(options: &[&str]) -> Res<()> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    if !process::is_pinned() {
        let mut again = process::pinned(process::LOAD_CORE, &program);
        let status = again.args(options).env("TENDON_BENCH_PINNED", "1").status();
        return match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the pinned run ended with {status}")),
            Err(error) => Err(format!("`taskset` (of util-linux) could not be started: {error}")),
        };
    }
    if let Some(word) = stray(options) {
        let parts: Vec<&str> = PARTS.iter().map(|(part, _)| *part).collect();
        return Err(format!("there is no part `{word}`; there are {}", parts.join(", ")));
    }
    let setting = setting(program, options)?;
    if options.contains(&"--peers") {
        return peers::run(&setting);
    }
    let mut rows = Vec::new();
    for (name, part) in PARTS.iter().filter(|(name, _)| wanted(name, options)) {
        eprintln!("bench: {name} …");
        if let Err(message) = part(&setting, &mut rows) {
            eprintln!("bench: {name} was not measured to its end: {message}");
        }
    }
    let machine = machine();
    let shown = format!("{}\n\n{}", machine["text"].as_str().unwrap_or_default(), table::markdown(&rows));
    println!("{shown}");
    if setting.write {
        for part in LONG_RUNS {
            let rows: Vec<table::Row> = rows.iter().filter(|row| row.part == part).cloned().collect();
            if !rows.is_empty() {
                let shown = format!("{}\n\n{}", machine["text"].as_str().unwrap_or_default(), table::markdown(&rows));
                into_page("docs/long-runs.md", part, &shown)?;
            }
        }
    }
    if options.contains(&"--readme") {
        into_page("README.md", "bench", &shown)?;
    }
    // What is measured only by name has a file of its own, so that the usual figures stay.
    let name = NAMED.iter().find(|name| options.contains(name)).unwrap_or(&"latest");
    into_results(&format!("{name}.json"), &table::json(&machine, &rows))?;
    eprintln!("bench: {} figures, also in bench/results", rows.len());
    Ok(())
}

/// Keeps what was found, as JSON.
pub(crate) fn into_results(name: &str, value: &serde_json::Value) -> Res<()> {
    let path = Path::new("bench/results").join(name);
    fs::create_dir_all("bench/results")
        .and_then(|()| fs::write(&path, format!("{value:#}\n")))
        .map_err(|error| format!("{} could not be written: {error}", path.display()))
}

/// Puts a table between the marks of a page.
pub(crate) fn into_page(page: &str, mark: &str, shown: &str) -> Res<()> {
    let failed = |error: std::io::Error| format!("{page}: {error}");
    let (begin, end) = (format!("<!-- {mark}: begin -->"), format!("<!-- {mark}: end -->"));
    let text = fs::read_to_string(page).map_err(failed)?;
    let parts = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{page} has no `{begin}` with `{end}` behind it"))?;
    fs::write(page, format!("{before}{begin}\n{shown}\n{end}{after}")).map_err(failed)
}

/// A word that is no part, no option, and no number of one: not what everything is measured for.
fn stray<'a>(options: &[&'a str]) -> Option<&'a str> {
    let mut words = options.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--minutes" | "--seconds" => drop(words.next()),
            "--long" | "--peers" | "--readme" | "--write" => {}
            word if PARTS.iter().any(|(part, _)| *part == word) => {}
            word => return Some(word),
        }
    }
    None
}

fn wanted(part: &str, options: &[&str]) -> bool {
    let names: Vec<&str> = options.iter().copied().filter(|name| PARTS.iter().any(|(part, _)| part == name)).collect();
    names.contains(&part) || (names.is_empty() && !NAMED.contains(&part))
}

fn setting(program: PathBuf, options: &[&str]) -> Res<Setting> {
    let number = |name: &str, usual: f64| {
        let text = options.iter().position(|word| *word == name).and_then(|at| options.get(at + 1));
        text.map_or(Ok(usual), |text| text.parse().map_err(|_| format!("{name}: `{text}` is no number")))
    };
    let seconds = number("--seconds", 5.0)?;
    let path = |name: &str, default: &str| PathBuf::from(env::var_os(name).unwrap_or_else(|| default.into()));
    let python = path("PYTHON", ".cache/venv/bin/python");
    let made = PathBuf::from(".cache/bench");
    let setting = Setting {
        program,
        target: path("TENDON_TARGET", "target"),
        folder: made.join("run"),
        model: made.join("model.txt"),
        rows: made.join("rows.f64"),
        time: Duration::from_secs_f64(seconds),
        long: options.contains(&"--long"),
        minutes: number("--minutes", 60.0)?,
        write: options.contains(&"--write"),
        python,
    };
    if setting.folder.exists() {
        fs::remove_dir_all(&setting.folder).map_err(|error| format!("{}: {error}", setting.folder.display()))?;
    }
    fs::create_dir_all(&setting.folder).map_err(|error| format!("{}: {error}", setting.folder.display()))?;
    if !setting.model.exists() || !setting.rows.exists() {
        lines_of(Command::new(&setting.python).args(["bench/python/make_model.py", ".cache/bench"]))?;
    }
    Ok(setting)
}

/// Runs a program and returns the lines it printed.
pub(crate) fn lines_of(command: &mut Command) -> Res<Vec<String>> {
    let output = command
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("{command:?} could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// On what and how it was measured.
pub(crate) fn machine() -> serde_json::Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| line.strip_prefix(name)?.split_once(": ").map(|pair| pair.1.trim()))
    };
    let cpu = field("model name").unwrap_or("unknown processor").to_owned();
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let text = format!(
        "{cpu}, {cores} cores, Linux {kernel}. Server on core {}, load on core {}; release builds; requests of about 700 \
         bytes, each about another subject and with other numbers.",
        process::SERVER_CORE,
        process::LOAD_CORE
    );
    json!({ "cpu": cpu, "cores": cores, "kernel": kernel, "text": text })
}
