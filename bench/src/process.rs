//! Servers as processes of their own, pinned to a core, with their memory read from the outside and stopped by their id.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Res;

/// The core of the measured server; the load generator has the other one.
pub(crate) const SERVER_CORE: usize = 0;
/// The core of the load generator.
pub(crate) const LOAD_CORE: usize = 1;

/// A running server; ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start until it first answered.
    pub(crate) start: Duration,
}

/// An address of this machine that nothing listens on.
pub(crate) fn free_address() -> Res<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

/// The command pinned to a core, where there is more than one.
pub(crate) fn pinned(core: usize, program: &Path) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 && !is_pinned() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// Whether this process was started pinned (it then sees one core only).
pub(crate) fn is_pinned() -> bool {
    std::env::var_os("TENDON_BENCH_PINNED").is_some()
}

impl Server {
    /// Starts it and waits until `path` answers 200 (or, without a path, until it takes connections).
    pub(crate) fn start(mut command: Command, address: SocketAddr, path: Option<&str>) -> Res<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().map_err(|error| format!("{command:?} could not be started: {error}"))?;
        let mut server = Self { child, address, start: Duration::ZERO };
        while !server.answers(path) {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{command:?} ended with {status} before it answered"));
            }
            if begun.elapsed() > Duration::from_secs(60) {
                return Err(format!("{command:?} did not answer within a minute"));
            }
            std::thread::yield_now();
        }
        server.start = begun.elapsed();
        Ok(server)
    }

    fn answers(&self, path: Option<&str>) -> bool {
        match (path, TcpStream::connect(self.address)) {
            (None, Ok(_)) => true,
            (Some(path), Ok(stream)) => get(stream, path).is_some_and(|answer| answer.starts_with("HTTP/1.1 200")),
            (_, Err(_)) => false,
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Res<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("VmRSS is {line}"))?;
        Ok(kib * 1024)
    }
}

fn get(mut stream: TcpStream, path: &str) -> Option<String> {
    use std::io::{Read, Write};
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8(answer).ok()
}

impl Drop for Server {
    /// Asks it to stop, so that it finishes what it accepted and frees its folder; after ten seconds it has to.
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while asked.is_ok() && begun.elapsed() < Duration::from_secs(10) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::yield_now();
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
