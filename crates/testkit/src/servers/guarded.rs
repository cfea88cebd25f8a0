//! A server program held by a shell that outlives nobody: see the room's `servers`.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, Read, Write as _},
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::peer::free_port;

/// Another program may take a port that was free a moment ago: so often a new one is tried.
const ATTEMPTS: usize = 8;
/// Lines of a server's log that are kept, for the message of a test that finds it gone.
const LINES: usize = 200;

/// Starts the server, lets go of its log, tells its id; ends it when the input ends, and removes the folder unless told
/// to keep it.
const HOLD: &str = r#"
folder=$1; signal=$2; shift 2
"$@" </dev/null &
pid=$!
exec 2>/dev/null
echo "$pid"; exec >/dev/null
read -r last
kill "-$signal" "$pid"
wait "$pid"
[ "$last" = keep ] || rm -rf "$folder"
"#;

/// A running server.
pub(super) struct Guarded {
    holder: Child,
    pid: u32,
    /// Where it listens.
    pub(super) port: u16,
    log: Tail,
}

/// The last lines of a log.
type Tail = Arc<Mutex<VecDeque<String>>>;

/// Where a server's log is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    Out,
    Err,
}

/// How a server is started.
pub(super) struct Plan<'a> {
    /// Removed at the end.
    pub(super) folder: &'a Path,
    /// Signal that ends it at once without leaving anything in the system (`QUIT`, `KILL`).
    pub(super) signal: &'static str,
    /// Where its log goes, and what stands there when it is ready.
    pub(super) log: Log,
    pub(super) ready: &'static str,
    /// The port it must have; none: any that is free.
    pub(super) port: Option<u16>,
}

impl Guarded {
    /// Starts a server, with another port when the one found was taken meanwhile.
    ///
    /// # Panics
    /// When it does not get ready; tells its log.
    pub(super) fn start(plan: &Plan<'_>, command: impl Fn(u16) -> Vec<String>) -> Self {
        let mut seen = String::new();
        for _ in 0..ATTEMPTS {
            let port = plan.port.unwrap_or_else(free_port);
            match Self::attempt(plan, port, &command(port)) {
                Ok(server) => return server,
                Err(log) => seen = log,
            }
        }
        panic!("the server did not get ready ({:?}): {seen}", command(0));
    }

    fn attempt(plan: &Plan<'_>, port: u16, words: &[String]) -> Result<Self, String> {
        let mut command = Command::new("sh");
        command.args(["-c", HOLD, "hold"]).arg(plan.folder).arg(plan.signal).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = command.spawn().unwrap_or_else(|error| panic!("could not start sh: {error}"));
        let (Some(out), Some(err)) = (holder.stdout.take(), holder.stderr.take()) else { panic!("no pipes") };
        let (mut out, err) = (BufReader::new(out), BufReader::new(err));
        let mut pid = String::new();
        let read = out.read_line(&mut pid);
        let Ok(pid) = pid.trim().parse() else { panic!("no id of {words:?}: {pid} {read:?}") };
        let server = Self { holder, pid, port, log: Tail::default() };
        let ready = match plan.log {
            Log::Out => wait_for(out, plan.ready, &server.log),
            Log::Err => wait_for(err, plan.ready, &server.log),
        };
        match ready {
            Ok(()) => Ok(server),
            Err(log) => {
                server.stop("keep");
                Err(log)
            }
        }
    }

    /// What the server said last.
    pub(super) fn log(&self) -> String {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect()
    }

    fn stop(mut self, last: &str) {
        self.end(last);
    }

    fn end(&mut self, last: &str) {
        if let Some(mut input) = self.holder.stdin.take() {
            drop(writeln!(input, "{last}"));
        }
        drop(self.holder.wait());
    }

    /// Ends it with all its children as a crash does (`SIGKILL`); the folder stays.
    pub(super) fn crash(mut self) {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default();
        let mut kill = Command::new("kill");
        kill.arg("-KILL").arg(self.pid.to_string()).args(children.split_whitespace());
        drop(kill.stderr(Stdio::null()).status());
        self.end("keep");
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.end("");
    }
}

/// Reads a log up to a word, then goes on reading, so that the server never blocks, and keeps the last lines.
fn wait_for(mut log: BufReader<impl Read + Send + 'static>, ready: &str, tail: &Tail) -> Result<(), String> {
    let mut seen = String::new();
    loop {
        let mut line = Vec::new();
        if log.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return Err(seen);
        }
        seen.push_str(&String::from_utf8_lossy(&line));
        if seen.contains(ready) {
            let tail = Arc::clone(tail);
            thread::spawn(move || keep(log, &tail));
            return Ok(());
        }
    }
}

fn keep(mut log: impl BufRead, tail: &Tail) {
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let mut lines = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line).into_owned());
        line.clear();
    }
}

/// A new folder that belongs to a user, where there are others than ourselves.
pub(super) fn folder(user: &str) -> PathBuf {
    let made = tempfile::Builder::new().prefix("tendon-server-").tempdir();
    let folder = made.unwrap_or_else(|error| panic!("no temporary folder: {error}")).keep();
    if root() {
        let (uid, gid) = ids(user);
        chown(&folder, Some(uid), Some(gid)).unwrap_or_else(|error| panic!("giving a folder to {user}: {error}"));
    }
    folder
}

/// The words before a command that runs it as a user: none when we are nobody special.
pub(super) fn acting_as(user: &str) -> Vec<String> {
    if !root() {
        return Vec::new();
    }
    let (uid, gid) = ids(user);
    ["setpriv".to_owned(), format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()].into()
}

/// Runs a command to its end and gives its output.
///
/// # Panics
/// When it fails; tells what it wrote.
pub(super) fn run(words: &[String], input: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    let (program, arguments) = words.split_first().unwrap_or_else(|| panic!("no command"));
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("could not start {program}: {error}; `cargo xtask setup` installs what tests need")
    });
    let stdin = child.stdin.take();
    let input = input.to_owned();
    let writing = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("waiting for {program}: {error}"));
    drop(writing.join());
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The folder with a server's programs, or an empty one when they stand in the search path.
pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

fn ids(user: &str) -> (u32, u32) {
    let list = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = list.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|line| line.first() == Some(&user));
    let id = |at: usize| line.as_ref().and_then(|line| line.get(at)).and_then(|id| id.parse().ok());
    let (Some(uid), Some(gid)) = (id(2), id(3)) else {
        panic!("there is no user {user} on this machine; `cargo xtask setup` installs what tests need")
    };
    (uid, gid)
}
