//! The interface against its own description, at length: the test `contract` of the program with as many examples as are asked for.

use crate::{
    Outcome,
    run::{cargo, status},
};

/// Examples of each operation when nobody says.
const EXAMPLES: &str = "400";

/// Runs the test with the arguments' numbers.
pub(crate) fn contract(args: &[String]) -> Outcome {
    let given = |flag: &str, usual: &str| {
        let at = args.iter().position(|arg| arg == flag);
        at.and_then(|at| args.get(at + 1)).map_or(usual, String::as_str).to_owned()
    };
    let mut run = cargo(&["test", "--locked", "-p", "tendon", "--test", "e2e", "contract", "--", "--nocapture"]);
    run.env("TENDON_CONTRACT_EXAMPLES", given("--examples", EXAMPLES))
        .env("TENDON_CONTRACT_SEED", given("--seed", "1"));
    status(run)
}
