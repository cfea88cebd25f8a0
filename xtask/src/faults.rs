//! Starts the fault harness of `faults/`: debug builds of the program and the harness first, then the cells.

use std::{fs, path::PathBuf};

use crate::{
    Outcome,
    run::{cargo, command, files, root, status, target},
    setup,
};

/// Builds what is broken and what breaks it, then runs the cells that are named.
pub(crate) fn faults(args: &[String]) -> Outcome {
    setup::setup()?;
    status(cargo(&["build", "--locked", "-p", "tendon", "-p", "tendon-faults"]))?;
    let mut harness = command(target().join("debug/tendon-faults"), &[]);
    harness.args(args).env("PYTHON", setup::venv_python()).env("TENDON_TARGET", target());
    if args.iter().any(|arg| arg == "--mutations") {
        harness.env("TENDON_MUTANTS", mutants()?);
    }
    status(harness)
}

/// Builds the program from a patched copy of the source, apart from everything else: nothing of it may come near what is
/// shipped.
fn mutants() -> Result<PathBuf, String> {
    let apart = target().join("mutants");
    let source = apart.join("source");
    let failed = |error: std::io::Error| format!("the patched source could not be made: {error}");
    for file in files()? {
        let (from, to) = (root().join(&file), source.join(&file));
        fs::create_dir_all(to.parent().unwrap_or(&source)).map_err(failed)?;
        // What is as it was keeps its time, so that only what changed is built again.
        let text = fs::read(&from).map_err(failed)?;
        if fs::read(&to).ok().as_ref() != Some(&text) {
            fs::write(&to, text).map_err(failed)?;
        }
    }
    let patch = root().join("faults/mutations/mutants.patch");
    let mut apply = command("git", &["apply", &patch.to_string_lossy()]);
    // The copy lies inside of the repository and is none of its own.
    apply.current_dir(&source).env("GIT_CEILING_DIRECTORIES", &apart);
    status(apply)?;
    let mut build = cargo(&["build", "--locked", "-p", "tendon"]);
    build.current_dir(&source).env("CARGO_TARGET_DIR", apart.join("target"));
    status(build)?;
    Ok(apart.join("target/debug/tendon"))
}
