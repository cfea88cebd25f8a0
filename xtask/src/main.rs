//! Developer tasks: `cargo xtask <task>`. Set-up, house rules, generated pages, the whole test run, benchmarks.
//! Never shipped; kept on the standard library and very little else, so that the first task starts seconds after a clone.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer tool talks through its terminal")]
#![expect(clippy::disallowed_methods, reason = "tasks measure real seconds; nothing here runs in the simulation")]

mod bench;
mod contract;
mod dist;
mod docs;
mod faults;
mod fuzz;
mod page;
mod peers;
mod proto;
mod run;
mod setup;
mod simulate;
mod supply;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "cargo xtask <task>

  setup            make .cache/venv and fetch the oracles' modules; quick when already done
  test [FILTER]    set-up, formatting, house rules, lints, pages, licences and advisories, tests, scenarios
                   (FILTER runs only the steps whose name contains it)
  tidy             the house rules that no compiler knows (see CONTRIBUTING.md)
  docs [--check]   write docs/reference/ from the code, or compare it; no dead link, no block without a language
  docs --site [--out DIR]
                   README and docs/ as a static site, in target/site when nobody says
  proto [--check]  write the messages of the gRPC door from their .proto file, or compare them
  supply           licences, yanked and advised-against packages of the dependency tree
  dist [--binary FILE]
                   an archive, a Debian package and the chart of this version, with their digests, in target/dist
  contract [--examples N] [--seed S] [--write]
                   schemathesis against the OpenAPI document, all its checks; 400 examples of each operation when nobody says
  fuzz [TARGET…] [--inputs N] [--seed S] [--write]
                   inputs that nobody would send, into every parser and the whole request path; 100,000 each when nobody says
  simulate [--seeds N] [--from N] [--write]
                   the simulated towns, 20,000 seeds of each sort when nobody says; a failing seed replays exactly
                   (--write, of these three: what came of it into docs/hostile-input.md)
  bench [--long] [--readme] [PART…]
                   the benchmark table, with machine and method; also bench/results/latest.json (and into the README)
  faults [--long] [--write] [--seed N] [--rounds N] [--mutations] [CELL…]
                   the program under load while things break, cell by cell, checked by an independent program
                   (--write: the table into docs/faults.md; --mutations: faults planted into a patched
                   copy of the program, each of which has to be found)
  bench overload|soak [--minutes N] [--write]
                   more than it can do, and for long; run only when named (and into docs/long-runs.md)
  bench --peers [--write]
                   Tendon beside FastAPI, MLServer and others with the same model (and into docs/side-by-side.md)
";

/// What every task returns: nothing, or a sentence that says what was attempted and what to do.
pub(crate) type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let outcome = match args.first().map(String::as_str) {
        Some("setup") => setup::setup(),
        Some("test") => test::test(rest.first().map(String::as_str)),
        Some("tidy") => tidy::tidy(),
        Some("docs") => docs::docs(rest),
        Some("proto") => proto::proto(rest.iter().any(|arg| arg == "--check")),
        Some("dist") => dist::dist(rest),
        Some("supply") => supply::supply(),
        Some("contract") => contract::contract(rest),
        Some("simulate") => simulate::simulate(rest),
        Some("fuzz") => fuzz::fuzz(rest),
        Some("bench") => bench::bench(rest),
        Some("faults") => faults::faults(rest),
        Some("help" | "--help" | "-h") => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("unknown task `{other}`\n\n{HELP}")),
        None => Err(format!("no task named\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
