//! Server databases from the outside, as a newcomer meets them: an empty folder, an address, a model. Everything is typed as
//! the reference says; the servers are real.

use std::{fs, process::Command};

use tempfile::TempDir;
use tendon_testkit::servers::{MariaDb, PASSWORD, Postgres};

use crate::support::{MODEL, Running, eventually, tendon};

/// Runs SQL as the owner and gives the one value it prints.
type Sql = Box<dyn Fn(&str) -> String>;
/// The address of a login with its password.
type Url = Box<dyn Fn(&str, &str) -> String>;

/// A server with a table of leads, and the ways in which databases differ.
struct Database {
    kind: &'static str,
    sql: Sql,
    url: Url,
    /// Makes a login.
    login: &'static str,
    /// A moment ago, as `updated_at` has it.
    now: &'static str,
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

const FEATURES: &str = "age INT, job VARCHAR(20), marital VARCHAR(20), education VARCHAR(20), \"default\" VARCHAR(5), balance INT, \
    housing VARCHAR(5), loan VARCHAR(5), contact VARCHAR(20), day INT, month VARCHAR(5), campaign INT, pdays INT, previous INT, \
    poutcome VARCHAR(20)";

/// The table, in standard SQL but for the quotes and the type of times.
fn table(time: &str, quote: &str) -> String {
    let row = |id: i32| {
        format!(
            "({id}, 'Zebulon Quux', {}, 'management', 'single', 'tertiary', 'no', {}, 'yes', 'no', 'unknown', {}, 'may', 1, -1, 0, \
             'unknown', '2026-01-01 00:00:0{}')",
            20 + id % 50,
            id * 37 % 3000,
            1 + id % 28,
            id % 10
        )
    };
    let rows: Vec<String> = (1..=60).map(row).collect();
    format!(
        "CREATE TABLE leads (id INT PRIMARY KEY, full_name VARCHAR(50), {}, updated_at {time} NOT NULL); INSERT INTO leads VALUES {};",
        FEATURES.replace('"', quote),
        rows.join(", ")
    )
}

fn mariadb() -> Database {
    let server = MariaDb::start();
    server.sql("mysql", "CREATE DATABASE crm CHARACTER SET utf8mb4;");
    server.sql("crm", &table("DATETIME(6)", "`"));
    let port = server.port();
    Database {
        kind: "mysql",
        sql: Box::new(move |sql| server.sql("crm", sql).trim().to_owned()),
        url: Box::new(move |user, password| format!("mysql://{user}:{}@127.0.0.1:{port}/crm", encoded(password))),
        login: "CREATE USER tendon@'%' IDENTIFIED BY 'x';",
        now: "UTC_TIMESTAMP(6)",
    }
}

fn postgres() -> Database {
    let server = Postgres::start(&["fsync=off"]);
    server.sql("postgres", &table("TIMESTAMPTZ", "\""));
    let port = server.port();
    Database {
        kind: "postgres",
        sql: Box::new(move |sql| server.sql("postgres", sql).trim().to_owned()),
        url: Box::new(move |user, password| {
            format!("postgres://{user}:{}@127.0.0.1:{port}/postgres", encoded(password))
        }),
        login: "CREATE ROLE tendon LOGIN PASSWORD 'x';",
        now: "now()",
    }
}

/// What a command said.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// A folder and the address in its environment.
struct Place {
    folder: TempDir,
    url: String,
}

impl Place {
    fn command(&self, line: &str) -> Command {
        let mut command = tendon(&line.split_whitespace().collect::<Vec<_>>());
        command.current_dir(self.folder.path()).env("CRM_URL", &self.url);
        command
    }

    fn run(&self, line: &str) -> Ran {
        let output = self.command(line).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran = Ran { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) };
        assert!(!format!("{}{}", ran.out, ran.err).contains(&encoded(PASSWORD)), "{line} shows the password");
        ran
    }

    fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {}\n{}", ran.out, ran.err);
        ran
    }

    fn json(&self, line: &str) -> serde_json::Value {
        let ran = self.run(&format!("{line} --output json"));
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{line}: {}\n{}", ran.out, ran.err))
    }
}

fn first_write_back(database: &Database) {
    let mut place = Place { folder: tempfile::tempdir().unwrap(), url: (database.url)("app", PASSWORD) };
    fs::write(place.folder.path().join("model.txt"), MODEL).unwrap();
    place.ok("init . --name shop");
    let discovered = place
        .ok(&format!("systems discover crm --kind {} --url ${{env:CRM_URL}} --resource leads --write", database.kind));
    assert!(discovered.out.contains("likely watermark") && !discovered.out.contains("Quux"), "{}", discovered.out);
    let tested = place.json("systems test");
    assert_eq!((&tested[0]["ok"], &tested[0]["can"]["watch"]), (&true.into(), &true.into()), "{tested}");
    let catalog = place.json("systems catalog crm leads");
    assert_eq!(catalog["resources"][0]["key"][0], "id");

    // A first integration, with the columns that the owner adds as printed.
    let new = "new integration lead-score --model model.txt --table crm.leads --owner sales --yes";
    let asked = place.run(new);
    assert_eq!((asked.code, asked.out.matches("ALTER TABLE").count()), (1, 3), "{}\n{}", asked.out, asked.err);
    (database.sql)(&asked.out);
    place.ok(new);

    // The owner's login may do more than is declared; the one that was granted what is printed may not.
    let findings = |place: &Place| place.json("check")["findings"].clone();
    let found = findings(&place);
    let warned = found.as_array().unwrap().iter().find(|one| one["code"] == "login_may_more").unwrap();
    assert_eq!(warned["severity"], "warning", "{warned}");
    assert!(warned["message"].as_str().unwrap().contains("SUPER"), "{warned}");
    let granted = place.ok("systems access crm --login tendon");
    (database.sql)(&format!("{}\n{}", database.login, granted.out));
    place.url = (database.url)("tendon", "x");
    let check = place.ok("check");
    assert!(check.err.contains("clean"), "{}\n{}", check.out, check.err);

    // It suffices for all that the integration does.
    place.ok("backfill lead-score");
    let missing = "SELECT count(*) FROM leads WHERE score IS NULL OR score_band IS NULL OR scored_at IS NULL";
    assert_eq!((database.sql)(missing).trim(), "0");
    let running = Running::of(place.command("up --listen 127.0.0.1:0").stdout(std::process::Stdio::null()));
    let old = (database.sql)("SELECT scored_at FROM leads WHERE id = 7");
    (database.sql)(&format!("UPDATE leads SET age = 61, updated_at = {} WHERE id = 7", database.now));
    eventually("the changed row is scored anew", || (database.sql)("SELECT scored_at FROM leads WHERE id = 7") != old);
    assert!(running.stop().success());
    assert_eq!((database.sql)("SELECT count(*) FROM leads WHERE scored_at IS NULL").trim(), "0");
    assert_eq!(place.json("ledger verify")["good"], true);
}

#[test]
fn a_mariadb_is_discovered_joined_and_written_back_with_the_least_rights() {
    first_write_back(&mariadb());
}

#[test]
fn a_postgresql_is_discovered_joined_and_written_back_with_the_least_rights() {
    first_write_back(&postgres());
}
