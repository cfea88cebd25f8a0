//! Starts the benchmarks: release builds first, then the harness of `bench/`, which measures and prints.

use crate::{
    Outcome, peers,
    run::{cargo, command, root, status, target},
    setup,
};

/// The harness, for its list of parts: a misspelt one is refused before minutes of building.
const HARNESS: &str = include_str!("../../bench/src/main.rs");
/// Options of the harness.
const FLAGS: [&str; 4] = ["--long", "--peers", "--readme", "--write"];
/// Those with a number behind them.
const NUMBERS: [&str; 2] = ["--minutes", "--seconds"];

/// Builds everything that is measured, then measures it.
pub(crate) fn bench(args: &[String]) -> Outcome {
    if args.iter().any(|arg| matches!(arg.as_str(), "--help" | "-h" | "help")) {
        println!("{}", usage());
        return Ok(());
    }
    understood(args)?;
    if !root().join("bench/Cargo.toml").is_file() {
        return Err("there is no bench/ in this checkout".to_owned());
    }
    setup::setup()?;
    status(cargo(&["build", "--release", "--locked", "-p", "tendon", "-p", "tendon-bench"]))?;
    if args.iter().any(|arg| arg == "--peers") {
        peers::peers()?;
    } else {
        for room in ["ledger", "models"] {
            status(cargo(&["build", "--release", "--locked", "-p", &format!("tendon-{room}"), "--examples"]))?;
        }
    }
    let mut harness = command(target().join("release/tendon-bench"), &[]);
    harness.args(args).env("PYTHON", setup::venv_python()).env("TENDON_TARGET", target());
    status(harness)
}

/// What can be written behind `cargo xtask bench`.
fn usage() -> String {
    let named = names("NAMED");
    let usual: Vec<&str> = names("PARTS").into_iter().filter(|part| !named.contains(part)).collect();
    format!(
        "cargo xtask bench [--long] [--readme] [--seconds N] [PART…]\n\
         cargo xtask bench [--write] [--minutes N] {}\n\
         cargo xtask bench --peers [--write] [--seconds N]\n\n\
         parts: {}\nonly when named: {}",
        named.join("|"),
        usual.join(", "),
        named.join(", ")
    )
}

/// Refuses what the harness does not know.
fn understood(args: &[String]) -> Outcome {
    let parts = names("PARTS");
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if NUMBERS.contains(&word) {
            let number = words.next().unwrap_or_default();
            number.parse::<f64>().map_err(|_| format!("{word} wants a number, not `{number}`\n\n{}", usage()))?;
        } else if !FLAGS.contains(&word) && !parts.contains(&word) {
            let what = if word.starts_with('-') { "option" } else { "part" };
            return Err(format!("the bench has no {what} `{word}`\n\n{}", usage()));
        }
    }
    Ok(())
}

/// The texts in a list of the harness: the first of each line's, or all of them where the list has one line.
fn names(list: &str) -> Vec<&'static str> {
    let body = HARNESS.split_once(&format!("const {list}: ")).and_then(|(_, rest)| rest.split_once(" = "));
    let body = body.and_then(|(_, rest)| rest.split_once("];")).map_or("", |(body, _)| body);
    body.split('"').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Outcome {
        understood(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_the_harness_has_is_taken_and_nothing_else() {
        assert_eq!(names("PARTS").first(), Some(&"http"));
        assert!(names("NAMED").iter().all(|part| names("PARTS").contains(part)) && names("NAMED").len() == 3);
        for line in ["", "http trees", "--long --readme", "soak --minutes 2.5 --write", "--peers --seconds 3"] {
            assert_eq!(given(line), Ok(()), "{line}");
        }
        for (line, said) in [
            ("htp", "no part `htp`"),
            ("http --loud", "no option `--loud`"),
            ("soak --minutes", "--minutes wants a number"),
            ("soak --minutes long", "not `long`"),
        ] {
            let refused = given(line).err().unwrap_or_default();
            assert!(
                refused.contains(said) && refused.contains("parts: http, ") && refused.contains("pages"),
                "{refused}"
            );
        }
    }
}
