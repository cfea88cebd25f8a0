//! All set-up that tests and benchmarks need beyond a Rust toolchain: the Python environment with the oracles, the Go and
//! Node modules of the oracle programs. A stamp per part holds a digest of what it was made from, so that a second run is quick.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{
    Outcome,
    run::{self, command, root, status},
};

const REQUIREMENTS: &str = "tests/oracles/requirements.txt";
/// The installer that fills the environment: parallel, and it checks that what is installed equals the list.
const INSTALLER: &str = "uv==0.13.8";

/// Programs that the README's tour and the tests use, with the Debian package that carries each. Servers are started by the
/// tests themselves, privately: packages must not leave one running.
const PROGRAMS: &[(&str, &str)] = &[
    ("/usr/lib/postgresql/15/bin/initdb", "postgresql-15"),
    ("buildah", "buildah"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("jq", "jq"),
    ("mariadbd", "mariadb-server"),
    ("openssl", "openssl"),
    ("promtool", "prometheus"),
    ("redis-server", "redis-server"),
    ("sqlite3", "sqlite3"),
    ("systemd-analyze", "systemd"),
];

/// Makes everything that is missing or older than its list.
pub(crate) fn setup() -> Outcome {
    programs()?;
    fs::create_dir_all(root().join(".cache")).map_err(|error| format!("`.cache` could not be made: {error}"))?;
    part("python environment", &[REQUIREMENTS.to_owned()], &venv_python(), python)?;
    for file in run::files()? {
        let folder = file.rsplit_once('/').map_or(".", |(folder, _)| folder).to_owned();
        if file.ends_with("/go.mod") {
            let sums = format!("{folder}/go.sum");
            part(&format!("go modules of {folder}"), &[file, sums], &root(), || {
                let mut go = command("go", &["mod", "download"]);
                go.current_dir(root().join(&folder));
                status(go)
            })?;
        } else if file.ends_with("/package-lock.json") {
            let modules = root().join(&folder).join("node_modules");
            part(&format!("node modules of {folder}"), &[file], &modules, || {
                let mut npm = command("npm", &["ci", "--no-audit", "--no-fund"]);
                npm.current_dir(root().join(&folder));
                status(npm)
            })?;
        }
    }
    Ok(())
}

/// Installs the small programs that are missing, where the system's package manager may be used.
fn programs() -> Outcome {
    let there = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !there(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("setup: installing {} …", missing.join(", "));
    let _no_services = NoServices::begin();
    let install = |verb: &[&str]| status(command("apt-get", verb));
    let installed = install(&["update", "-qq"])
        .and_then(|()| install(&[&["install", "-y", "-qq", "--no-install-recommends"], missing.as_slice()].concat()));
    installed.map_err(|error| format!("install {} yourself and run this again ({error})", missing.join(", ")))
}

/// Keeps Debian from starting the servers that it installs, while it lives (its own way: a policy that says no).
struct NoServices(Option<&'static Path>);

impl NoServices {
    fn begin() -> Self {
        let policy = Path::new("/usr/sbin/policy-rc.d");
        let no = || {
            fs::write(policy, "#!/bin/sh\nexit 101\n")?;
            fs::set_permissions(policy, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        };
        // Somebody else's policy stays; who may not write it may not install either, and is told so below.
        Self((!policy.exists() && no().is_ok()).then_some(policy))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = self.0 {
            drop(fs::remove_file(policy));
        }
    }
}

/// The interpreter of the environment.
pub(crate) fn venv_python() -> PathBuf {
    root().join(".cache/venv/bin/python")
}

/// Runs `make` unless the stamp of this part says that it was made from the same lists and its result is there.
pub(crate) fn part(name: &str, lists: &[String], result: &Path, make: impl FnOnce() -> Outcome) -> Outcome {
    let stamp = root().join(".cache/stamps").join(name.replace([' ', '/'], "-"));
    let digest = digest(lists)?;
    if result.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == digest) {
        return Ok(());
    }
    eprintln!("setup: {name} …");
    let start = Instant::now();
    make().map_err(|error| format!("set-up of the {name} failed: {error}"))?;
    let kept = fs::create_dir_all(root().join(".cache/stamps")).and_then(|()| fs::write(&stamp, digest));
    kept.map_err(|error| format!("the stamp {} could not be written: {error}", stamp.display()))?;
    eprintln!("setup: {name} ready after {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn digest(lists: &[String]) -> Result<String, String> {
    let mut hasher = DefaultHasher::new();
    for list in lists {
        match fs::read(root().join(list)) {
            Ok(bytes) => bytes.hash(&mut hasher),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0_u8.hash(&mut hasher),
            Err(error) => return Err(format!("{list} could not be read: {error}")),
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// A small environment holds the installer; it makes and fills the real one.
fn python() -> Outcome {
    let tool = root().join(".cache/installer");
    let tool = tool.to_string_lossy();
    status(command("python3", &["-m", "venv", &tool]))?;
    status(command(format!("{tool}/bin/python"), &["-m", "pip", "install", "--quiet", INSTALLER]))?;
    let uv = format!("{tool}/bin/uv");
    status(command(&uv, &["venv", "--quiet", "--allow-existing", "--python", "python3", ".cache/venv"]))?;
    let python = venv_python();
    let python = python.to_string_lossy();
    status(command(&uv, &["pip", "install", "--quiet", "--python", &python, "-r", REQUIREMENTS]))?;
    status(command(&*python, &["-c", "import lightgbm, numpy, onnxruntime, sklearn"]))
}
