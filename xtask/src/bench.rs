//! Starts the benchmarks: release builds first, then the harness of `bench/`, which measures and prints.

use crate::{
    Outcome, peers,
    run::{cargo, command, root, status, target},
    setup,
};

/// Builds everything that is measured, then measures it.
pub(crate) fn bench(args: &[String]) -> Outcome {
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
