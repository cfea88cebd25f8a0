//! A private Redis: nothing kept on disk.

use std::path::PathBuf;

use super::guarded::{Guarded, Log, Plan, words};

/// The server.
pub struct Redis {
    server: Option<Guarded>,
    folder: PathBuf,
    port: u16,
}

impl Redis {
    /// Starts it, with further arguments (`--requirepass`, `x`).
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn start(arguments: &[&str]) -> Self {
        let made = tempfile::Builder::new().prefix("tendon-server-").tempdir();
        let folder = made.unwrap_or_else(|error| panic!("no temporary folder: {error}")).keep();
        let mut redis = Self { server: None, folder, port: 0 };
        redis.launch(None, arguments);
        redis
    }

    fn launch(&mut self, port: Option<u16>, arguments: &[&str]) {
        let plan =
            Plan { folder: &self.folder, signal: "KILL", log: Log::Out, ready: "Ready to accept connections", port };
        let folder = self.folder.display().to_string();
        let server = Guarded::start(&plan, |port| {
            let port = port.to_string();
            let fixed = ["redis-server", "--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir", &folder];
            let mut command = words(&fixed);
            command.extend(words(arguments));
            command
        });
        self.port = server.port;
        self.server = Some(server);
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it.
    pub fn crash(&mut self) {
        if let Some(server) = self.server.take() {
            server.crash();
        }
    }

    /// Starts it again, empty, on the same port.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn restart(&mut self, arguments: &[&str]) {
        self.crash();
        self.launch(Some(self.port), arguments);
    }
}
