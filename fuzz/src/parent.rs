//! Starts a child for each target, prints what came out as a table, and makes what was found small.

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{
    FOUND, kept, target,
    targets::{ALL, Target},
};

/// Inputs of each target when nobody says how many.
const USUAL: u64 = 100_000;
/// Tries to make a finding smaller.
const TRIES: usize = 600;

/// What is asked for.
struct Wish {
    targets: Vec<&'static Target>,
    /// `None`: each target's own number of the short run.
    inputs: Option<u64>,
    seed: u64,
}

/// How a child ended.
struct End {
    /// What it found; `None`: nothing.
    found: Option<String>,
    told: Json,
}

/// Runs what the arguments ask for.
pub(crate) fn run(words: &[&str]) -> ExitCode {
    let wish = match wish(words) {
        Ok(wish) => wish,
        Err(why) => {
            eprintln!("{why}\n\nfuzz [TARGET…] [--inputs N | --short] [--seed S]");
            ALL.iter().for_each(|target| eprintln!("  {:<10} {}", target.name, target.about));
            return ExitCode::from(2);
        }
    };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("a folder for inputs under way cannot be made: {error}");
            return ExitCode::from(2);
        }
    };
    println!(
        "{:<12} {:>10} {:>10} {:>7} {:>10} {:>9} {:>10}  what",
        "target", "inputs", "taken", "ways", "inputs/s", "seconds", "KiB used"
    );
    let mut good = true;
    for target in &wish.targets {
        let end = child(target, wish.inputs.unwrap_or(target.short), wish.seed, &folder);
        let told = &end.told;
        let number = |name: &str| told[name].as_f64().unwrap_or_default();
        match end.found {
            None => println!(
                "{:<12} {:>10} {:>10} {:>7} {:>10.0} {:>9.1} {:>10.0}  {}",
                target.name,
                number("inputs"),
                number("taken"),
                number("kinds"),
                number("inputs") / number("seconds").max(0.001),
                number("seconds"),
                number("memory") / 1024.0,
                target.about
            ),
            Some(what) => {
                good = false;
                println!("{:<12} FOUND {what}", target.name);
                report(target, &what, &folder);
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wish(words: &[&str]) -> Result<Wish, String> {
    let mut wish = Wish { targets: Vec::new(), inputs: Some(USUAL), seed: 1 };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut number =
            || rest.next().and_then(|text| text.replace('_', "").parse().ok()).ok_or(format!("{word} needs a number"));
        match *word {
            "--inputs" => wish.inputs = Some(number()?),
            "--seed" => wish.seed = number()?,
            "--short" => wish.inputs = None,
            name => wish.targets.push(target(name).ok_or("no such target")?),
        }
    }
    if wish.targets.is_empty() {
        wish.targets = ALL.iter().collect();
    }
    Ok(wish)
}

/// The input that was under way when a child ended.
fn last(folder: &TempDir) -> Vec<u8> {
    let bytes = fs::read(folder.path().join("last")).unwrap_or_default();
    let (head, rest) = bytes.split_at(bytes.len().min(8));
    let length = head.try_into().map_or(0, |head| usize::try_from(u64::from_le_bytes(head)).unwrap_or_default());
    rest[..length.min(rest.len())].to_vec()
}

fn ended(mut command: Command) -> End {
    let output = match command.stdout(Stdio::piped()).stderr(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return End { found: Some(format!("start: {error}")), told: Json::Null },
    };
    let told: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let found = match output.status.code() {
        Some(0) => None,
        Some(code) if code == i32::from(FOUND) => Some(told["what"].as_str().unwrap_or_default().to_owned()),
        _ => Some(format!("death: the process ended with {}", output.status)),
    };
    End { found, told }
}

fn program() -> Command {
    Command::new(std::env::current_exe().unwrap_or_default())
}

fn child(target: &Target, inputs: u64, seed: u64, folder: &TempDir) -> End {
    let mut command = program();
    command.args(["child", target.name, &inputs.to_string(), &seed.to_string()]).arg(folder.path().join("last"));
    ended(command)
}

/// What one input does in a process of its own.
fn once(target: &Target, input: &[u8], path: &Path) -> Option<String> {
    fs::write(path, input).ok()?;
    let mut command = program();
    command.args(["once", target.name]).arg(path);
    ended(command).found
}

/// The sort of a finding, with its place where it has one: `panic: panicked at FILE:LINE:COLUMN:`, `promise: it`, …
fn sort(what: &str) -> Vec<&str> {
    let words = if what.starts_with("panic") { 4 } else { 2 };
    what.split_whitespace().take(words).collect()
}

/// Makes the input that was found small and keeps it.
fn report(target: &Target, what: &str, folder: &TempDir) {
    let path = folder.path().join("once");
    let mut input = last(folder);
    if once(target, &input, &path).is_none_or(|again| sort(&again) != sort(what)) {
        eprintln!("alone, the input does something else: it takes what came before it. It is kept as it is.");
    } else {
        let (mut step, mut tries) = (input.len().div_ceil(2), 0);
        while step > 0 && tries < TRIES {
            let mut at = 0;
            while at < input.len() && tries < TRIES {
                let end = (at + step).min(input.len());
                let smaller = [&input[..at], &input[end..]].concat();
                tries += 1;
                if once(target, &smaller, &path).is_some_and(|again| sort(&again) == sort(what)) {
                    input = smaller;
                } else {
                    at = end;
                }
            }
            step /= 2;
        }
    }
    match kept::keep(target.name, what, &input) {
        Ok(path) => eprintln!(
            "{} bytes, kept as {}: {:?}",
            input.len(),
            path.display(),
            String::from_utf8_lossy(&input[..input.len().min(300)])
        ),
        Err(error) => eprintln!("it could not be kept: {error}"),
    }
}
