//! Starts real programs for tests: Python with the packages of the development environment, Go programs, servers on free
//! ports. Every child is stopped by its id when its guard is dropped.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The Python interpreter with the packages that oracles need: `TENDON_PYTHON`, else the one that `cargo xtask setup` made.
///
/// # Panics
/// When there is none.
pub fn python() -> PathBuf {
    let path =
        std::env::var_os("TENDON_PYTHON").map_or_else(|| workspace().join(".cache/venv/bin/python"), PathBuf::from);
    assert!(path.exists(), "no Python at {}: run `cargo xtask setup`, or set TENDON_PYTHON", path.display());
    path
}

/// Runs a Python script text with arguments and returns its standard output.
///
/// # Panics
/// When it fails; tells what it wrote.
pub fn python_run(script: &str, args: &[&str]) -> String {
    let mut command = Command::new(python());
    command.arg("-c").arg(script).args(args);
    finish(command, "python")
}

/// Runs `go run .` with arguments in a folder and returns its standard output.
///
/// # Panics
/// When Go is missing or the program fails; tells what it wrote.
pub fn go_run(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("go");
    command.arg("run").arg(".").args(args).current_dir(folder);
    finish(command, "go (needed by this test; `cargo xtask setup` tells how to get it)")
}

fn finish(mut command: Command, what: &str) -> String {
    let output: Output =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("could not start {what}: {error}"));
    assert!(output.status.success(), "{what} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A port on 127.0.0.1 that was free a moment ago. Another process may take it first: prefer servers that accept port 0
/// and tell which they got.
///
/// # Panics
/// When no port can be bound.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| panic!("no free port: {error}"));
    listener.local_addr().unwrap_or_else(|error| panic!("no free port: {error}")).port()
}

/// A running child, stopped when dropped.
pub struct Peer {
    child: Child,
    name: String,
}

impl Peer {
    /// Starts a command.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {name}: {error}"));
        Self { child, name }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads its standard output up to the first line that starts with `prefix` and returns the line's rest. What the
    /// child prints later is read and thrown away, so that it never blocks.
    ///
    /// # Panics
    /// When it ends first.
    pub fn wait_for(&mut self, prefix: &str) -> String {
        let Some(stdout) = self.child.stdout.take() else { panic!("the output of {} was read already", self.name) };
        let mut lines = BufReader::new(stdout);
        let mut line = String::new();
        let mut seen = String::new();
        loop {
            line.clear();
            let count = lines.read_line(&mut line).unwrap_or(0);
            assert!(count > 0, "{} ended before it printed `{prefix}`: {seen}", self.name);
            if let Some(rest) = line.trim_end().strip_prefix(prefix) {
                let rest = rest.to_owned();
                std::thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
                return rest;
            }
            seen.push_str(&line);
        }
    }

    /// Reads the rest of its standard output and waits for its end. Whether it succeeded, and what it printed.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn finish(mut self) -> (bool, String) {
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut text).unwrap_or_else(|error| panic!("reading from {}: {error}", self.name));
        }
        let status = self.child.wait().unwrap_or_else(|error| panic!("waiting for {}: {error}", self.name));
        (status.success(), text)
    }

    /// Kills it at once (`SIGKILL`), as a crash does.
    pub fn kill(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}
