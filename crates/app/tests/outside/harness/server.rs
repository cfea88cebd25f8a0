//! The real program, running.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
};

use serde_json::Value as Json;

use super::{Client, LONG, until};

/// A running `tendon up`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens; 0 until it said so.
    pub(crate) port: Arc<AtomicU16>,
    ready: Receiver<u16>,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts it on a project and waits until it listens.
    ///
    /// # Panics
    /// When it ends before.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut server = Self::spawn(folder, Arc::default());
        server.wait_ready();
        server
    }

    /// Starts it; where it listens will stand in `port`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn spawn(folder: &Path, port: Arc<AtomicU16>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tendon"));
        command.args(["up", "--listen", "127.0.0.1:0", "--project"]).arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (tell, ready) = mpsc::channel();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("tendon is ready on http://127.0.0.1:") {
                    let _ = tell.send(address.parse().unwrap());
                }
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, port, ready, log }
    }

    /// Waits until it listens and says that it is ready.
    ///
    /// # Panics
    /// When it ends before, or is not ready in time.
    pub(crate) fn wait_ready(&mut self) {
        let port = self.ready.recv_timeout(LONG);
        let port = port.unwrap_or_else(|_| panic!("it did not become ready:\n{}", self.log()));
        self.port.store(port, Ordering::Relaxed);
        until("readyz answers 200", || self.readyz().0.eq(&200).then_some(()));
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Someone with a key who asks it.
    pub(crate) fn client(&self, key: &str) -> Client {
        Client { port: self.port.clone(), key: key.to_owned() }
    }

    /// What `/readyz` says: the status and the document.
    ///
    /// # Panics
    /// When it does not answer.
    pub(crate) fn readyz(&self) -> (u16, Json) {
        let answer = self.client("").ask("GET", "/readyz", &[], b"").unwrap();
        (answer.status, answer.json())
    }

    /// One part of what `/readyz` says.
    ///
    /// # Panics
    /// When there is no such part.
    pub(crate) fn part(&self, name: &str) -> Json {
        let (_, document) = self.readyz();
        let parts = document["parts"].as_array().unwrap();
        parts.iter().find(|part| part["name"] == name).unwrap_or_else(|| panic!("no part {name}: {document}")).clone()
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, as a supervisor does.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub(crate) fn terminate(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        assert!(asked.success());
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the process ends", || self.child.try_wait().unwrap())
    }

    /// Asks it to stop and waits for the orderly end.
    ///
    /// # Panics
    /// When it ends with another exit code than 0.
    pub(crate) fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "it ended with {status}:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("--- what the process said\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
