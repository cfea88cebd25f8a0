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
    pub(crate) fn start(command: Command, address: SocketAddr, path: Option<&str>) -> Res<Self> {
        Self::start_until(command, || match (path, TcpStream::connect(address)) {
            (None, Ok(_)) => true,
            (Some(path), Ok(stream)) => {
                let head = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
                answers_ok(stream, head.as_bytes())
            }
            (_, Err(_)) => false,
        })
    }

    /// Starts it and waits until it answers this request with 200.
    pub(crate) fn start_asked(command: Command, address: SocketAddr, request: &[u8]) -> Res<Self> {
        Self::start_until(command, || TcpStream::connect(address).is_ok_and(|stream| answers_ok(stream, request)))
    }

    fn start_until(mut command: Command, answers: impl Fn() -> bool) -> Res<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().map_err(|error| format!("{command:?} could not be started: {error}"))?;
        let mut server = Self { child, start: Duration::ZERO };
        while !answers() {
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

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Res<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("VmRSS is {line}"))?;
        Ok(kib * 1024)
    }

    /// Time that its threads were on a processor since its start, also those that ended. Counted in steps of 10 ms
    /// (`USER_HZ`, 100 on every Linux that this runs on).
    pub(crate) fn processor(&self) -> Res<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The second field is a name that may hold anything; behind it, utime and stime are the 12th and 13th (proc(5)).
        let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: Vec<u64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        let [user, system] = ticks[..] else { return Err(format!("{path} is no line of proc(5): {text}")) };
        Ok(Duration::from_millis((user + system) * 10))
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory of the process and all it started, in bytes; what they share counts once.
    pub(crate) fn memory_of_all(&self) -> Res<u64> {
        let mut kib = 0;
        for id in family(self.child.id()) {
            let path = format!("/proc/{id}/smaps_rollup");
            let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
            kib += line.trim().trim_end_matches(" kB").parse::<u64>().map_err(|_| format!("Pss is {line}"))?;
        }
        Ok(kib * 1024)
    }
}

/// The process and its descendants.
fn family(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut seen = 0;
    while let Some(id) = all.get(seen).copied() {
        seen += 1;
        for task in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
    }
    all
}

/// Whether the answer to this request begins with the status 200.
fn answers_ok(mut stream: TcpStream, request: &[u8]) -> bool {
    use std::io::{Read, Write};
    let mut head = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && head == *b"HTTP/1.1 200"
}

/// What it answers to a question without a key, head and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(address).ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_a_processor_is_that_of_the_process_and_never_more_than_went_by() {
        let begun = Instant::now();
        let child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let server = Server { child, start: Duration::ZERO };
        let mut used = server.processor().unwrap();
        while used < Duration::from_millis(50) {
            assert!(begun.elapsed() < Duration::from_secs(60), "a loop that is never on a processor");
            std::thread::yield_now();
            let now = server.processor().unwrap();
            assert!(now >= used, "{now:?} after {used:?}");
            used = now;
        }
        // Both times of a tick may be rounded up.
        assert!(used <= begun.elapsed() + Duration::from_millis(20), "{used:?} in {:?}", begun.elapsed());
    }
}
