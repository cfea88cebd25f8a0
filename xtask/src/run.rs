//! Starting other programs: one way to run a command, to capture its output, and to find the repository.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The repository's root: the folder above this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or `target/` in the repository.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A command that starts in the repository's root.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// What stands behind a flag, or what is usual; underscores between digits are left out.
pub(crate) fn given(args: &[String], flag: &str, usual: &str) -> String {
    let at = args.iter().position(|arg| arg == flag);
    at.and_then(|at| args.get(at + 1)).map_or(usual, String::as_str).replace('_', "")
}

/// `cargo`, the same one that runs this task.
pub(crate) fn cargo(args: &[&str]) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// Runs the command to its end; an exit code other than zero is an error that names it.
pub(crate) fn status(mut command: Command) -> Result<(), String> {
    let shown = show(&command);
    let status = command.status().map_err(|error| format!("`{shown}` could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}")) }
}

/// Runs the command and returns what it printed on stdout; stderr goes to ours.
pub(crate) fn capture(mut command: Command) -> Result<String, String> {
    let shown = show(&command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{shown}` could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` printed something that is not UTF-8"))
}

/// Runs the command, hands every line of its stdout to `line` and prints it too. Returns whether it succeeded.
pub(crate) fn tee(mut command: Command, mut line: impl FnMut(&str)) -> Result<bool, String> {
    let shown = show(&command);
    let failed = |error: std::io::Error| format!("`{shown}` could not be run: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(stdout) = child.stdout.take() {
        for bytes in BufReader::new(stdout).split(b'\n') {
            let text = String::from_utf8_lossy(&bytes.map_err(failed)?).into_owned();
            println!("{text}");
            line(&text);
        }
    }
    Ok(child.wait().map_err(failed)?.success())
}

/// The files that are or would be committed, as paths relative to the root with `/`, sorted.
pub(crate) fn files() -> Result<Vec<String>, String> {
    let listed = capture(command("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let mut files: Vec<String> =
        listed.split('\0').filter(|path| !path.is_empty() && root().join(path).is_file()).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}
