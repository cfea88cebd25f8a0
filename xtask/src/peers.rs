//! The environments of the services that Tendon is measured beside: one for each folder of `bench/peers` that lists packages,
//! so that none chooses another's versions. A peer that cannot be installed is no failure; its reason goes into the table.

use std::{fs, path::Path};

use crate::{
    Outcome,
    run::{command, root, status},
    setup,
};

/// Makes what is missing or older than its lists.
pub(crate) fn peers() -> Outcome {
    let failed = |error: std::io::Error| format!("the peers could not be listed: {error}");
    let mut names: Vec<String> = fs::read_dir(root().join("bench/peers"))
        .map_err(failed)?
        .flatten()
        .filter(|entry| entry.path().join("requirements.txt").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in names {
        let reason = root().join(format!(".cache/peers/{name}.failed"));
        let lists = ["requirements.txt", "lock.txt"].map(|list| format!("bench/peers/{name}/{list}"));
        let python = root().join(format!(".cache/peers/{name}/bin/python"));
        let made = setup::part(&format!("peer {name}"), &lists, &python, || install(&name, &python, &lists));
        let noted = match made {
            Ok(()) if reason.exists() => fs::remove_file(&reason),
            Ok(()) => Ok(()),
            Err(message) => {
                eprintln!("setup: {message}; the bench goes on without {name}");
                fs::write(&reason, message)
            }
        };
        noted.map_err(|error| format!("{} could not be changed: {error}", reason.display()))?;
    }
    Ok(())
}

fn install(name: &str, python: &Path, [requirements, lock]: &[String; 2]) -> Outcome {
    let uv = ".cache/installer/bin/uv";
    let python = python.to_string_lossy();
    let folder = format!(".cache/peers/{name}");
    status(command(uv, &["venv", "--quiet", "--allow-existing", "--python", "python3", &folder]))?;
    status(command(uv, &["pip", "install", "--quiet", "--python", &python, "-r", requirements, "-c", lock]))
}
