//! The simulation at length: the towns of `crates/flows/tests/simulation` with as many seeds as are asked for.

use crate::{
    Outcome,
    run::{cargo, status},
};

/// Seeds of each sort of town when nobody says.
const SEEDS: &str = "20000";

/// Lives through them; prints which states were reached how often.
pub(crate) fn simulate(args: &[String]) -> Outcome {
    let at = args.iter().position(|arg| arg == "--seeds");
    let seeds = at.and_then(|at| args.get(at + 1)).map_or(SEEDS, String::as_str).replace('_', "");
    let mut run =
        cargo(&["test", "--locked", "-p", "tendon-flows", "--test", "simulation", "to_rest", "--", "--nocapture"]);
    run.env("TENDON_SEEDS", seeds);
    status(run)
}
