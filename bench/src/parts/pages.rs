//! The console over a ledger of a million decisions: what each page takes the server, and when a browser first paints it.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rusqlite::Connection;
use serde_json::json;
use tendon_kernel::Timestamp;

use super::{
    doors::{RECORDS, batch, block_on},
    soak::decisions,
    watch::{NUMBER, fill, follow},
};
use crate::{
    Res, Setting,
    histogram::Histogram,
    into_page, lines_of,
    project::{self, Variant},
    table::Row,
};

/// Batches that fill the ledger: a million decisions.
const BATCHES: usize = 25;
/// Whom they are about.
const PEOPLE: u64 = 40_000;
/// Dead letters of the second look.
const LETTERS: i64 = 100_000;
/// How often each page is asked.
const ASKED: usize = 200;
/// A page that takes so long hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// A key that may see everything.
const ADA: [&str; 4] = ["--name", "ada", "--scope", "admin"];
/// Drives a real browser.
const BROWSER: &str = "crates/app/tests/browser";

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let mut table = String::from("| page | server, p50 | server, p99 | first paint |\n|---|---:|---:|---:|\n");
    let full = many_decisions(setting, &mut table, rows)?;
    many_letters(setting, &mut table, rows)?;
    if setting.write {
        let machine = crate::machine();
        let text = machine["text"].as_str().unwrap_or_default();
        into_page("docs/console.md", "pages", &format!("{text} {full} Each page was asked {ASKED} times.\n\n{table}"))?;
    }
    Ok(())
}

/// All pages with a million decisions; tells how many there are.
fn many_decisions(setting: &Setting, table: &mut String, rows: &mut Vec<Row>) -> Res<String> {
    let started = project::start(setting, Variant::Plain)?;
    let mut between = String::new();
    for number in 1..=BATCHES {
        if number == BATCHES / 2 {
            between = now();
        }
        block_on(batch(&started, RECORDS, PEOPLE, "\"outcome\":\"ok\""))?;
        eprintln!("bench: pages: {} of {} decisions", number * RECORDS, BATCHES * RECORDS);
    }
    let key = project::new_key(setting, &setting.folder.join("plain"), &ADA)?;
    let mut reader = Reader::sign_in(started.target.address, &key)?;
    let Newest { decision, subject, version } = reader.newest()?;
    let pages = [
        ("overview", "/console".to_owned(), true),
        ("overview, 30 days", "/console?span=30d".to_owned(), true),
        ("decisions, newest", "/console/decisions".to_owned(), true),
        ("decisions of one person", format!("/console/decisions?subject={subject}"), true),
        ("decisions of an earlier time", format!("/console/decisions?until={between}"), true),
        ("decisions of a time without any", "/console/decisions?until=2020-01-01".to_owned(), true),
        ("decisions that failed (none)", "/console/decisions?outcome=failed".to_owned(), true),
        ("decisions of a band", "/console/decisions?band=red".to_owned(), true),
        ("decisions of a band (none), one step", "/console/decisions?band=none".to_owned(), false),
        ("decisions of a version (all)", format!("/console/decisions?version={version}"), true),
        ("decisions of a version (none)", "/console/decisions?version=none".to_owned(), true),
        ("one decision", format!("/console/decisions/{decision}"), false),
        ("one decision, proved", format!("/console/decisions/{decision}?check=proof"), false),
        ("deliveries", "/console/deliveries".to_owned(), false),
        ("dead letters", "/console/letters".to_owned(), false),
        ("models", "/console/models".to_owned(), false),
        ("systems", "/console/systems".to_owned(), false),
        ("configuration", "/console/configuration".to_owned(), false),
        ("ledger", "/console/ledger".to_owned(), false),
        ("map", "/console/map".to_owned(), false),
    ];
    look(&mut reader, &key, &pages, table, rows)?;
    Ok(format!("{} decisions about {PEOPLE} people.", BATCHES * RECORDS))
}

/// The pages that show dead letters, with a hundred thousand of them: rows of a watched table that do not fit.
fn many_letters(setting: &Setting, table: &mut String, rows: &mut Vec<Row>) -> Res<()> {
    let folder = setting.folder.join("watched");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let crm = folder.join("crm.db");
    fill(&crm, LETTERS, NUMBER)
        .and_then(|()| Connection::open(&crm)?.execute("UPDATE leads SET f00 = 'much'", []))
        .map_err(|error| format!("{} could not be filled: {error}", crm.display()))?;
    let started = project::start(setting, Variant::Watched)?;
    follow(&started.server, LETTERS, || Ok(decisions(&started, "outcome=\"rejected\"")? as i64))?;
    let key = project::new_key(setting, &folder, &ADA)?;
    let mut reader = Reader::sign_in(started.target.address, &key)?;
    let pages = [
        ("overview, 100,000 dead letters", "/console".to_owned(), true),
        ("dead letters, 100,000", "/console/letters".to_owned(), false),
    ];
    look(&mut reader, &key, &pages, table, rows)
}

/// Asks each page again and again, and has a browser paint it; those that have to be quick are held against the aim.
fn look(
    reader: &mut Reader,
    key: &str,
    pages: &[(&str, String, bool)],
    table: &mut String,
    rows: &mut Vec<Row>,
) -> Res<()> {
    let mut looks = Vec::new();
    for (what, path, _) in pages {
        eprintln!("bench: pages: {what} …");
        looks.push(reader.times(path)?);
    }
    let paths: Vec<(&str, &str)> = pages.iter().map(|(what, path, _)| (*what, path.as_str())).collect();
    let paints = paints(reader, key, &paths)?;
    for (((what, _, quick), spent), (_, paint)) in pages.iter().zip(&looks).zip(&paints) {
        let (p50, p99) = (spent.quantile(0.5).as_secs_f64() * 1e3, spent.quantile(0.99).as_secs_f64() * 1e3);
        let row = Row::new("pages", format!("{what}, p50"), p50, "ms");
        rows.push(if *quick { row.aim("< 10 ms", p50 < 10.0) } else { row });
        rows.push(Row::new("pages", format!("{what}, p99"), p99, "ms"));
        rows.push(Row::new("pages", format!("{what}, first paint"), *paint, "ms"));
        let _ = writeln!(table, "| {what} | {p50:.1} ms | {p99:.1} ms | {paint:.0} ms |");
    }
    Ok(())
}

/// The time, as the search takes it.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).to_string()
}

/// When a real browser first paints something of each page, in milliseconds from when it was sent there.
fn paints(reader: &Reader, key: &str, pages: &[(&str, &str)]) -> Res<Vec<(String, f64)>> {
    if !Path::new(BROWSER).join("node_modules").exists() {
        return Err(format!("{BROWSER} has no browser's driver; `cargo xtask setup` installs it"));
    }
    let mut command = Command::new("node");
    command
        .current_dir(BROWSER)
        .arg("paint.mjs")
        .arg(format!("http://{}", reader.address))
        .arg(json!(pages).to_string());
    // The key is no word of a command line, which everybody on the machine can read.
    let printed = lines_of(command.env("TENDON_KEY", key))?.concat();
    serde_json::from_str(&printed).map_err(|error| format!("paint.mjs printed no figures: {error}"))
}

/// A decision, whom it is about, and the version of the model that it asked.
struct Newest {
    decision: String,
    subject: String,
    version: String,
}

/// Somebody who is signed in, over one connection.
struct Reader {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    cookie: String,
}

impl Reader {
    fn sign_in(address: SocketAddr, key: &str) -> Res<Self> {
        let stream = TcpStream::connect(address).map_err(|error| format!("the console: {error}"))?;
        let patient = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        patient.map_err(|error| error.to_string())?;
        let mut reader = Self { address, stream: BufReader::new(stream), cookie: String::new() };
        let form = format!("key={key}");
        let (head, _) = reader.ask(&format!(
            "POST /console/sign-in HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\ncontent-type: \
             application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        ))?;
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
        cookie.ok_or_else(|| format!("signing in gave no session: {head}"))?.clone_into(&mut reader.cookie);
        Ok(reader)
    }

    /// A page that must be there.
    fn get(&mut self, path: &str) -> Res<String> {
        let (address, cookie) = (self.address, &self.cookie);
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\n\r\n");
        let (head, body) = self.ask(&request)?;
        if head.starts_with("HTTP/1.1 200") { Ok(body) } else { Err(format!("{path}: {head}")) }
    }

    /// How long the page takes, again and again.
    fn times(&mut self, path: &str) -> Res<Histogram> {
        let mut spent = Histogram::new();
        for _ in 0..ASKED {
            let begun = Instant::now();
            self.get(path)?;
            spent.record(begun.elapsed());
        }
        Ok(spent)
    }

    /// The newest decision.
    fn newest(&mut self) -> Res<Newest> {
        let page = self.get("/console/decisions")?;
        let between = |from: &str, to: char| Some(page.split_once(from)?.1.split_once(to)?.0.to_owned());
        let found = || {
            Some(Newest {
                decision: between("href=\"/console/decisions/", '"')?,
                subject: between("data-of=\"Subject\">", '<')?,
                version: between("data-of=\"Version\">", '<')?,
            })
        };
        found().ok_or_else(|| "the list of decisions is empty".to_owned())
    }

    /// Sends it, reads head and body.
    fn ask(&mut self, request: &str) -> Res<(String, String)> {
        let failed = |error: std::io::Error| format!("the console: {error}");
        self.stream.get_mut().write_all(request.as_bytes()).map_err(failed)?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).map_err(failed)? == 0 {
                return Err(format!("the console closed the connection after `{head}`"));
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).map_err(failed)?;
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }
}
