//! A private PostgreSQL: passwords by SCRAM, TLS with a certificate of its own, prepared transactions allowed.

use std::path::{Path, PathBuf};

use super::{
    PASSWORD,
    guarded::{Guarded, Log, Plan, acting_as, folder, run, words},
};

/// Where Debian keeps the programs of its PostgreSQL.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const USER: &str = "postgres";

/// The server; the administrator is `app` with [`PASSWORD`].
pub struct Postgres {
    server: Option<Guarded>,
    folder: PathBuf,
    options: Vec<String>,
    port: u16,
}

impl Postgres {
    /// Makes a database cluster and starts it, with further settings (`name=value`).
    ///
    /// # Panics
    /// When it cannot be made or does not get ready.
    pub fn start(settings: &[&str]) -> Self {
        let folder = folder(USER);
        let data = folder.join("data").display().to_string();
        let secret = folder.join("secret");
        std::fs::write(&secret, PASSWORD).unwrap_or_else(|error| panic!("writing a file: {error}"));
        let secret = secret.display().to_string();
        let initdb = format!("{PROGRAMS}/initdb");
        let mut make = acting_as(USER);
        let fixed = ["-U", "app", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
        make.extend(words(&[&initdb, "-D", &data, "--pwfile", &secret]));
        make.extend(words(&fixed));
        let tls = "umask 077; printf '%s\\n' '[req]' 'distinguished_name=dn' 'x509_extensions=own' '[dn]' '[own]' \
                   'basicConstraints=critical,CA:FALSE' 'subjectAltName=DNS:localhost,IP:127.0.0.1' > tls.cnf; \
                   exec openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
                   -config tls.cnf -keyout server.key -out server.crt";
        let mut certify = acting_as(USER);
        certify.extend(words(&["sh", "-c", &format!("cd '{data}' && {tls}")]));
        for command in [make, certify] {
            run(&command, "", &[]).unwrap_or_else(|error| panic!("{error}"));
        }
        let mut options = words(&["-c", "ssl=on", "-c", "max_prepared_transactions=8", "-c", "log_min_messages=log"]);
        for setting in settings {
            options.extend(words(&["-c", setting]));
        }
        let mut postgres = Self { server: None, folder, options, port: 0 };
        postgres.launch(None);
        postgres
    }

    fn launch(&mut self, port: Option<u16>) {
        let plan = Plan {
            folder: &self.folder,
            signal: "QUIT",
            log: Log::Err,
            ready: "database system is ready to accept connections",
            port,
        };
        let data = self.folder.join("data").display().to_string();
        let program = format!("{PROGRAMS}/postgres");
        let server = Guarded::start(&plan, |port| {
            let mut command = acting_as(USER);
            let port = port.to_string();
            command.extend(words(&[&program, "-D", &data, "-h", "127.0.0.1", "-p", &port, "-k", ""]));
            command.extend(self.options.iter().cloned());
            command
        });
        self.port = server.port;
        self.server = Some(server);
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate it shows, which signs itself.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("data/server.crt")
    }

    /// Kills the server with all its processes, as a power cut does.
    pub fn crash(&mut self) {
        if let Some(server) = self.server.take() {
            server.crash();
        }
    }

    /// Starts it again on the same port and data.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn restart(&mut self) {
        self.crash();
        self.launch(Some(self.port));
    }

    /// Runs SQL by `psql` as the administrator, statement by statement, and gives what it prints: no headers, fields apart
    /// by U+001F, rows by U+001E, null as U+2400.
    ///
    /// # Errors
    /// What `psql` says of the first statement that fails.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        run(&self.psql(database), sql, &[("PGPASSWORD", PASSWORD)])
    }

    /// As [`Postgres::try_sql`].
    ///
    /// # Panics
    /// When a statement fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The command line of `psql`, reading SQL from its input; give it `PGPASSWORD`.
    pub fn psql(&self, database: &str) -> Vec<String> {
        let port = self.port.to_string();
        let mut command = words(&["psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", &port, "-U", "app"]);
        let form = ["-F", "\u{1f}", "-R", "\u{1e}", "-P", "null=\u{2400}", "-v", "ON_ERROR_STOP=1", "-d", database];
        command.extend(words(&form));
        command
    }

    /// The folder of the server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
