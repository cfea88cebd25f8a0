//! The simulation at length: the towns of `crates/flows/tests/simulation` with as many seeds as are asked for. With `--write`, what was
//! reached goes into docs/hostile-input.md.

use crate::{
    Outcome,
    page::{HOSTILE, number, put, read},
    run::{cargo, given, status, tee},
};

/// Seeds of each sort of town when nobody says.
const SEEDS: &str = "20000";

/// Lives through them; prints which states were reached how often.
pub(crate) fn simulate(args: &[String]) -> Outcome {
    let seeds = given(args, "--seeds", SEEDS);
    let mut run =
        cargo(&["test", "--locked", "-p", "tendon-flows", "--test", "simulation", "to_rest", "--", "--nocapture"]);
    run.env("TENDON_SEEDS", &seeds).env("TENDON_FROM", given(args, "--from", "0"));
    if !args.iter().any(|arg| arg == "--write") {
        return status(run);
    }
    let mut seen = Vec::new();
    let good = tee(run, |line| seen.extend(state(line)))?;
    if !good {
        return Err("a town failed, or could not be built: the page stays as it was".to_owned());
    }
    put(HOSTILE, "simulation", &table(&seen, read(&seeds).unwrap_or_default()))
}

/// A state and how often it was reached, from the line that the towns printed.
fn state(line: &str) -> Option<(String, u64)> {
    let (times, name) = line.split_once(" × ")?;
    Some((name.to_owned(), read(times)?))
}

fn table(seen: &[(String, u64)], seeds: u64) -> String {
    let rows = seen.iter().map(|(name, times)| format!("| {name} | {} |\n", number(*times))).collect::<String>();
    format!(
        "{} crowded towns lived through their faults and came to rest with nothing lost and nothing twice; {} states were reached.\n\n\
         | in the crowded towns | times |\n|---|---|\n{rows}",
        number(seeds),
        seen.iter().filter(|(_, times)| *times > 0).count()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_from_what_the_towns_print() {
        let seen: Vec<_> = ["   12345 × a delivery died", "test result: ok.", "       0 × it rained"]
            .into_iter()
            .filter_map(state)
            .collect();
        assert_eq!(seen, [("a delivery died".to_owned(), 12_345), ("it rained".to_owned(), 0)]);
        let text = table(&seen, 20_000);
        assert!(
            text.contains("| a delivery died | 12,345 |")
                && text.contains("20,000 crowded towns")
                && text.contains("1 states"),
            "{text}"
        );
    }
}
