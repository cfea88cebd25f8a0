//! Fuzzing on demand. The targets and what drives them are the crate `fuzz`; a short run of it is part of the tests.

use crate::{
    Outcome,
    run::{cargo, status},
};

/// Builds the fuzzer with the checks of a debug build and runs it.
pub(crate) fn fuzz(args: &[String]) -> Outcome {
    let mut run = cargo(&["run", "--quiet", "--locked", "-p", "tendon-fuzz", "--"]);
    run.args(args);
    status(run)
}
