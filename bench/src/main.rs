//! The benchmarks of the project, in one run on one machine: the server on one core, the load on another, every figure beside
//! the floor or peer measured minutes before or after it. It measures and says what fell short; it never passes or fails.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer tool talks through its terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures the real clock")]

mod disk;
mod histogram;
mod load;
mod parts;
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
];

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

/// `[--long] [--readme] [--seconds N] [PART…]`
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
    let setting = setting(program, options)?;
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
    if options.contains(&"--readme") {
        into_readme(&shown)?;
    }
    let path = Path::new("bench/results/latest.json");
    let text = format!("{:#}\n", table::json(&machine, &rows));
    fs::create_dir_all("bench/results")
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{} could not be written: {error}", path.display()))?;
    eprintln!("bench: {} figures, also in {}", rows.len(), path.display());
    Ok(())
}

/// Puts the table between the marks of the README.
fn into_readme(shown: &str) -> Res<()> {
    let failed = |error: std::io::Error| format!("README.md: {error}");
    let readme = fs::read_to_string("README.md").map_err(failed)?;
    let (before, rest) = readme.split_once("<!-- bench: begin -->").ok_or("README.md has no `bench: begin`")?;
    let (_, after) = rest.split_once("<!-- bench: end -->").ok_or("README.md has no `bench: end`")?;
    let text = format!("{before}<!-- bench: begin -->\n{shown}\n<!-- bench: end -->{after}");
    fs::write("README.md", text).map_err(failed)
}

fn wanted(part: &str, options: &[&str]) -> bool {
    let named = |name: &&&str| PARTS.iter().any(|(part, _)| *part == **name);
    let mut names = options.iter().filter(named).peekable();
    names.peek().is_none() || names.any(|name| *name == part)
}

fn setting(program: PathBuf, options: &[&str]) -> Res<Setting> {
    let seconds = options.iter().position(|word| *word == "--seconds").and_then(|at| options.get(at + 1));
    let seconds =
        seconds.map_or(Ok(5.0), |text| text.parse().map_err(|_| format!("`{text}` is no number of seconds")))?;
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
fn machine() -> serde_json::Value {
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
