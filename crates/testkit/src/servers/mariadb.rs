//! A private MariaDB: passwords, binary log by rows, TLS where the server offers it.

use std::path::PathBuf;

use super::{
    PASSWORD,
    guarded::{Guarded, Log, Plan, folder, run, words},
};

const USER: &str = "mysql";

/// The server; the administrator is `app` with [`PASSWORD`].
pub struct MariaDb {
    server: Option<Guarded>,
    folder: PathBuf,
    port: u16,
}

impl MariaDb {
    /// Makes a data folder and starts the server on it.
    ///
    /// # Panics
    /// When it cannot be made or does not get ready.
    pub fn start() -> Self {
        let folder = folder(USER);
        let data = folder.join("data").display().to_string();
        let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
        let first = folder.join("first.sql");
        let sql =
            format!("CREATE USER app@'%' IDENTIFIED BY '{quoted}';\nGRANT ALL ON *.* TO app@'%' WITH GRANT OPTION;\n");
        std::fs::write(&first, sql).unwrap_or_else(|error| panic!("writing a file: {error}"));
        let data_option = format!("--datadir={data}");
        let make = ["mariadb-install-db", "--no-defaults", "--user=mysql", &data_option];
        let mut make = words(&make);
        make.extend(words(&["--auth-root-authentication-method=normal", "--skip-test-db"]));
        run(&make, "", &[]).unwrap_or_else(|error| panic!("{error}"));
        let tls = "umask 077; printf '%s\\n' '[req]' 'distinguished_name=dn' 'x509_extensions=own' '[dn]' '[own]' \
                   'basicConstraints=critical,CA:FALSE' 'subjectAltName=DNS:localhost,IP:127.0.0.1' > tls.cnf; \
                   openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
                   -config tls.cnf -keyout server.key -out server.crt && \
                   chmod 644 server.key server.crt";
        let certify = words(&["sh", "-c", &format!("cd '{}' && {tls}", folder.display())]);
        run(&certify, "", &[]).unwrap_or_else(|error| panic!("{error}"));
        let mut mariadb = Self { server: None, folder, port: 0 };
        mariadb.launch(None);
        mariadb
    }

    fn launch(&mut self, port: Option<u16>) {
        let plan = Plan {
            folder: &self.folder,
            signal: "KILL",
            log: Log::Err,
            // "ready for connections" also stands before the port is open for all, and "port: " where the socket is made; the
            // line with the version comes last.
            ready: "'  port: ",
            port,
        };
        let at = |name: &str| self.folder.join(name).display().to_string();
        let (data, socket, key, certificate, first) =
            (at("data"), at("socket"), at("server.key"), at("server.crt"), at("first.sql"));
        let fresh = port.is_none();
        let server = Guarded::start(&plan, |port| {
            let mut command = words(&["mariadbd", "--no-defaults", "--user=mysql", "--bind-address=127.0.0.1"]);
            command.extend(words(&["--log-bin", "--server-id=1", "--binlog-format=ROW", "--skip-name-resolve"]));
            command.extend([format!("--datadir={data}"), format!("--port={port}"), format!("--socket={socket}")]);
            // A server that starts removes the temporary tables it finds: in a shared folder those of others too, whose
            // statements then end with an error 6.
            command.push(format!("--tmpdir={}", self.folder.display()));
            command.extend([format!("--ssl-key={key}"), format!("--ssl-cert={certificate}")]);
            command.extend(fresh.then(|| format!("--init-file={first}")));
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
        self.folder.join("server.crt")
    }

    /// Kills the server, as a power cut does.
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

    /// Runs SQL by `mariadb` as the administrator and gives what it prints: no headers, fields apart by tabs, rows by lines.
    ///
    /// # Errors
    /// What `mariadb` says of the first statement that fails.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        run(&self.client(database), sql, &[("MYSQL_PWD", PASSWORD)])
    }

    /// As [`MariaDb::try_sql`].
    ///
    /// # Panics
    /// When a statement fails; tells what the server said last.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let told = || self.server.as_ref().map(Guarded::log).unwrap_or_default();
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{error}\nthe server's log ends:\n{}", told()))
    }

    /// The command line of `mariadb`, reading SQL from its input; give it `MYSQL_PWD`.
    pub fn client(&self, database: &str) -> Vec<String> {
        let port = format!("--port={}", self.port);
        let mut command = words(&["mariadb", "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", &port]);
        command.extend(words(&["--user=app", "--batch", "--skip-column-names", "--unbuffered", "--binary-mode"]));
        command.extend(words(&["--default-character-set=utf8mb4", database]));
        command
    }
}
