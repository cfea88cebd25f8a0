//! The real program as a process of its own: started, watched from the outside, killed.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{LONG, Res};

/// Variables that change what the program does; none of them reaches it.
const FOREIGN: &[&str] = &["TENDON_LOG", "TENDON_LOG_FORMAT", "TENDON_MASTER_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// A running `tendon up`.
pub(crate) struct Program {
    child: Child,
    ready: Receiver<u16>,
    log: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
    killed: bool,
}

/// A command without what others set.
pub(crate) fn clean(program: &std::path::Path) -> Command {
    let mut command = Command::new(program);
    FOREIGN.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.stdin(Stdio::null());
    command
}

impl Program {
    /// Starts it; what it says is kept.
    pub(crate) fn start(mut command: Command) -> Res<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("the program could not be started: {error}"))?;
        let stderr = child.stderr.take().ok_or("the program has no stderr")?;
        let log = Arc::new(Mutex::new(String::new()));
        let (tell, ready) = mpsc::channel();
        let kept = Arc::clone(&log);
        let listener = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(port) = line.strip_prefix("tendon is ready on http://127.0.0.1:") {
                    let _heard = tell.send(port.trim().parse().unwrap_or(0));
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Ok(Self { child, ready, log, listener: Some(listener), killed: false })
    }

    /// Waits until it says where it listens.
    pub(crate) fn port(&mut self) -> Res<u16> {
        match self.ready.recv_timeout(LONG) {
            Ok(port) => Ok(port),
            Err(RecvTimeoutError::Timeout) => Err(format!("the program did not get ready:\n{}", self.log())),
            Err(RecvTimeoutError::Disconnected) => Err(format!("the program ended at its start:\n{}", self.log())),
        }
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Most memory it ever had, in bytes; nothing when it has gone.
    pub(crate) fn peak(&mut self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// `kill -9`; an error when it had ended by itself before.
    pub(crate) fn kill(&mut self) -> Res<()> {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        let ended = ended.map_err(|error| format!("the program could not be killed: {error}"))?;
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
        match ended.signal() {
            Some(9) => {
                self.killed = true;
                Ok(())
            }
            _ => Err(format!("before it was killed, the program had ended by itself with {ended}:\n{}", self.log())),
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) -> Res<()> {
        let sent = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("signal {signal} could not be sent: {other:?}")),
        }
    }

    /// Whether it ended by itself, and how.
    pub(crate) fn ended(&mut self) -> Option<String> {
        if self.killed {
            return None;
        }
        self.child.try_wait().ok().flatten().map(|status| format!("{status}\n{}", self.log()))
    }

    /// Asks it to stop and waits for the orderly end.
    pub(crate) fn stop(&mut self) -> Res<()> {
        self.signal("-TERM")?;
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(None) => thread::park_timeout(Duration::from_millis(5)),
                other => return Err(format!("the program ended with {other:?}:\n{}", self.log())),
            }
        }
        Err(format!("the program did not end:\n{}", self.log()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
