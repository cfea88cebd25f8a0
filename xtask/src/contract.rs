//! The interface against its own description, at length: the test `contract` of the program with as many examples as are asked for. With
//! `--write`, what came of it goes into docs/hostile-input.md.

use crate::{
    Outcome,
    page::{HOSTILE, number, put, read},
    run::{cargo, given, status, tee},
};

/// Examples of each operation when nobody says.
const EXAMPLES: &str = "400";

/// Runs the test with the arguments' numbers.
pub(crate) fn contract(args: &[String]) -> Outcome {
    let (examples, seed) = (given(args, "--examples", EXAMPLES), given(args, "--seed", "1"));
    let mut run = cargo(&["test", "--locked", "-p", "tendon", "--test", "e2e", "contract", "--", "--nocapture"]);
    run.env("TENDON_CONTRACT_EXAMPLES", &examples).env("TENDON_CONTRACT_SEED", &seed);
    if !args.iter().any(|arg| arg == "--write") {
        return status(run);
    }
    let mut said = Vec::new();
    if !tee(run, |line| said.push(line.to_owned()))? {
        return Err("schemathesis found something, or did not start: the page stays as it was".to_owned());
    }
    let (operations, cases) = counts(&said).ok_or("the summary of schemathesis is not as it was: read it anew")?;
    let text = format!(
        "`cargo xtask contract --examples {examples} --seed {seed}`: {} requests to {operations} operations, all checks, nothing found.",
        number(cases)
    );
    put(HOSTILE, "contract", &text)
}

/// How many operations were tested with how many requests, from the summary at the end.
fn counts(said: &[String]) -> Option<(u64, u64)> {
    let tested = said.iter().find_map(|line| read(line.trim().strip_prefix("Tested:")?))?;
    let generated = said.iter().find_map(|line| read(line.split_once(" generated")?.0))?;
    Some((tested, generated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read() {
        let said = [
            "API Operations:",
            "  Selected: 17/17",
            "  Tested: 17",
            "",
            "Test cases:",
            "  12345 generated, 12345 passed",
        ];
        assert_eq!(counts(&said.map(str::to_owned)), Some((17, 12_345)));
        assert_eq!(counts(&["Tested: none".to_owned()]), None);
    }
}
