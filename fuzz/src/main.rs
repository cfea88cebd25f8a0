//! Fuzzing without instrumentation, on the stable toolchain: `cargo xtask fuzz [TARGET…] [--inputs N] [--seed S]`. Each target runs in a
//! child process, so that a stack that overflows or memory that runs out is a finding like any other. A finding is made as small as it
//! gets and kept under `regressions/`, which every run goes through first.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer tool talks through its terminal")]
#![expect(clippy::disallowed_methods, reason = "it measures real seconds; nothing of it runs in the simulation")]
#![expect(clippy::panic, reason = "what it needs to start must be there")]

mod drive;
mod kept;
mod mutate;
mod parent;
mod targets;
mod world;

use std::{fs, path::Path, process::ExitCode};

use targets::{ALL, Target};

/// How a child says that it found something.
const FOUND: u8 = 3;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["child", name, inputs, seed, last] => child(name, inputs, seed, last),
        ["once", name, file] => once(name, file),
        rest => parent::run(rest),
    }
}

fn target(name: &str) -> Option<&'static Target> {
    let found = ALL.iter().find(|target| target.name == name);
    if found.is_none() {
        eprintln!(
            "no target is named `{name}`; there are {}",
            ALL.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
        );
    }
    found
}

/// Goes through what is kept and many inputs more; prints one line of JSON.
fn child(name: &str, inputs: &str, seed: &str, last: &str) -> ExitCode {
    let (Some(target), Ok(inputs), Ok(seed)) = (target(name), inputs.parse(), seed.parse()) else {
        return ExitCode::from(2);
    };
    let Ok(file) = fs::File::create(last) else { return ExitCode::from(2) };
    drive::listen();
    let mut run = (target.open)();
    let seeds = [kept::inputs("regressions", name), kept::inputs("corpus", name), run.seeds()].concat();
    let seeds = if seeds.is_empty() { vec![Vec::new()] } else { seeds };
    match drive::drive(target, &mut *run, seeds, (inputs, seed), Some(&file)) {
        Ok(tally) => {
            let drive::Tally { inputs, taken, kinds, memory, seconds } = tally;
            println!(
                "{}",
                serde_json::json!({ "inputs": inputs, "taken": taken, "kinds": kinds, "memory": memory, "seconds": seconds })
            );
            ExitCode::SUCCESS
        }
        Err(fault) => {
            println!("{}", serde_json::json!({ "what": fault.what, "length": fault.input.len() }));
            ExitCode::from(FOUND)
        }
    }
}

/// Goes through one input.
fn once(name: &str, file: &str) -> ExitCode {
    let (Some(target), Ok(input)) = (target(name), fs::read(Path::new(file))) else { return ExitCode::from(2) };
    drive::listen();
    let mut run = (target.open)();
    match drive::once(target, &mut *run, &input, &mut 0) {
        Ok(_) => ExitCode::SUCCESS,
        Err(what) => {
            println!("{}", serde_json::json!({ "what": what, "length": input.len() }));
            ExitCode::from(FOUND)
        }
    }
}
