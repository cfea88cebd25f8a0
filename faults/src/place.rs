//! Where a cell happens: a project in a folder of its own with its CRM, the program on it, what was seen of it from outside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value as Json;
use tendon_testkit::{layer::Layer, servers::Redis};

use crate::{
    Res, Setting,
    crm::{Crm, Kind},
    http::{Answer, Request},
    lock,
    look::Seen,
    program::{Program, clean},
};

/// The model: a score is the balance over 2^30.
const MODEL: &str = r#"{ "format": "tendon/linear@1", "intercept": 0, "features": [
  { "name": "balance", "kind": "number", "coefficient": 9.313225746154785e-10, "missing": { "as": 0 } } ] }"#;

/// What differs from cell to cell.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) crm: Kind,
    /// Leads in the CRM from the start, and whether people add others.
    pub(crate) leads: u64,
    pub(crate) grows: bool,
    pub(crate) callers: u64,
    pub(crate) batchers: u64,
    /// Whether people change the CRM meanwhile.
    pub(crate) people: bool,
    /// Whether the program runs above the layer that cuts the power.
    pub(crate) layer: bool,
    /// Whether answers are kept in a Redis.
    pub(crate) redis: bool,
    /// Each caller asks about so many subjects again and again; 0: each question is about another.
    pub(crate) subjects: u64,
    /// SQL for the CRM, before the program starts.
    pub(crate) sql: &'static str,
    /// Whether each decision asks the CRM for a row first.
    pub(crate) lookup: bool,
    /// More lines of `tendon.yaml`, of the CRM's block, and of the integration.
    pub(crate) project: String,
    pub(crate) system: String,
    pub(crate) integration: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            crm: Kind::Sqlite,
            leads: 60,
            grows: true,
            callers: 2,
            batchers: 0,
            people: true,
            layer: false,
            redis: false,
            subjects: 0,
            sql: "",
            lookup: false,
            project: String::new(),
            system: String::new(),
            integration: String::new(),
        }
    }
}

/// A place.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) crm: Crm,
    pub(crate) layer: Option<Layer>,
    pub(crate) seed: u64,
    pub(crate) seen: Mutex<Seen>,
    /// Answers that callers were given so far.
    pub(crate) answered: AtomicU64,
    /// Requests that broke off after they had been sent.
    pub(crate) broken: AtomicU64,
    /// Longest wait for something that has to happen.
    pub(crate) patience: Duration,
    /// The fault did not come to its end: nobody needs to wait for anything.
    pub(crate) given_up: AtomicBool,
    binary: PathBuf,
    mutant: Option<&'static str>,
    key: String,
    port: AtomicU16,
    program: Mutex<Option<Program>>,
    redis: Option<Mutex<Redis>>,
}

fn io<T>(what: &str, outcome: std::io::Result<T>) -> Res<T> {
    outcome.map_err(|error| format!("{what}: {error}"))
}

impl Place {
    /// Writes the project, makes the CRM and a key.
    pub(crate) fn make(setting: &Setting, name: &str, setup: &Setup) -> Res<Self> {
        let folder = setting.folder.join(name);
        if folder.exists() {
            io("an old folder could not be removed", fs::remove_dir_all(&folder))?;
        }
        let project = folder.join("project");
        for made in ["integrations", "models/score"] {
            io("a folder could not be made", fs::create_dir_all(project.join(made)))?;
        }
        let project = io("the folder has no path", project.canonicalize())?;
        let folder = io("the folder has no path", folder.canonicalize())?;
        let crm = Crm::create(setup.crm, &project, setup.leads)?;
        if !setup.sql.is_empty() {
            crm.sql(setup.sql)?;
        }
        let mut place = Self {
            layer: if setup.layer {
                Some(Layer::over(&project.join(".tendon"), &folder.join("beside"))?)
            } else {
                None
            },
            folder,
            crm,
            seed: setting.seed,
            seen: Mutex::default(),
            answered: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            patience: setting.patience,
            given_up: AtomicBool::new(false),
            binary: setting.program.clone(),
            mutant: setting.mutant,
            key: String::new(),
            port: AtomicU16::new(0),
            program: Mutex::default(),
            redis: setup.redis.then(|| Mutex::new(Redis::start(&[]))),
        };
        place.write("models/score/v1.json", MODEL)?;
        let system = place.crm.block(&setup.system);
        let cache = place.redis.as_ref().map(|redis| lock(redis).port());
        let cache = cache.map_or_else(String::new, |port| {
            format!("cache: {{ redis: {{ url: \"redis://127.0.0.1:{port}/1\" }} }}\n")
        });
        let text = format!(
            "project: faults\nsystems:\n{system}models:\n  score: {{ path: models/score }}\n{}{cache}",
            setup.project
        );
        place.write("tendon.yaml", &text)?;
        place.write("integrations/score.yaml", &integration("0.25", setup.lookup, &setup.integration))?;
        let made = place.command(&["keys", "create", "--name", "caller", "--output", "json"])?;
        place.key = made["key"].as_str().ok_or("no key was made")?.to_owned();
        Ok(place)
    }

    /// The project's folder.
    pub(crate) fn project(&self) -> PathBuf {
        self.folder.join("project")
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, text: &str) -> Res<()> {
        io(name, fs::write(self.project().join(name), text))
    }

    /// Runs a command on the project to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Res<Output> {
        let mut command = clean(&self.binary);
        command.args(words).arg("--project").arg(self.project());
        command.output().map_err(|error| format!("`tendon {}` could not be started: {error}", words.join(" ")))
    }

    /// The same; it has to succeed and print JSON.
    pub(crate) fn command(&self, words: &[&str]) -> Res<Json> {
        let done = self.run(words)?;
        let said = format!("`tendon {}` ended with {}", words.join(" "), done.status);
        if !done.status.success() {
            return Err(format!("{said}: {}", String::from_utf8_lossy(&done.stderr)));
        }
        serde_json::from_slice(&done.stdout).map_err(|error| format!("{said} and printed no JSON: {error}"))
    }

    /// The command that starts the program.
    pub(crate) fn up(&self) -> Command {
        let mut command = clean(&self.binary);
        command.args(["up", "--listen", "127.0.0.1:0", "--project"]).arg(self.project());
        command.envs(self.mutant.map(|mutant| ("TENDON_MUTANT", mutant)));
        if let Some(layer) = &self.layer {
            layer.below(&mut command);
        }
        command
    }

    /// Starts the program.
    pub(crate) fn launch(&self) -> Res<()> {
        *lock(&self.program) = Some(Program::start(self.up())?);
        Ok(())
    }

    /// Waits until it listens and says that it is ready.
    pub(crate) fn wait_ready(&self) -> Res<()> {
        let port = self.with(Program::port)?;
        self.port.store(port, Relaxed);
        self.until("the program is ready", || Ok(self.readiness().is_some_and(|(status, _)| status == 200)))
    }

    /// Starts it, waits, and keeps how long that took.
    pub(crate) fn start(&self) -> Res<()> {
        let begun = Instant::now();
        self.launch()?;
        self.wait_ready()?;
        self.recovered(begun);
        Ok(())
    }

    /// Another process is the program from now on.
    pub(crate) fn adopt(&self, program: Program) {
        *lock(&self.program) = Some(program);
    }

    /// Starts the cache again, or kills it.
    pub(crate) fn redis(&self, there: bool) -> Res<()> {
        let mut redis = lock(self.redis.as_ref().ok_or("the cell has no Redis")?);
        if there {
            redis.restart(&[])
        } else {
            redis.crash()
        }
        Ok(())
    }

    /// Does something with the running program.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Program) -> Res<T>) -> Res<T> {
        lock(&self.program).as_mut().map_or_else(|| Err("no program runs".to_owned()), act)
    }

    /// The same, unless somebody else holds it just now.
    pub(crate) fn try_with<T>(&self, act: impl FnOnce(&mut Program) -> T) -> Option<T> {
        self.program.try_lock().ok()?.as_mut().map(act)
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) -> Res<()> {
        self.with(Program::kill)
    }

    /// Asks as the caller.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> std::io::Result<Answer> {
        Request { method, path, key: &self.key, headers, body }.send(self.port.load(Relaxed))
    }

    /// Where it listens, and the key of its caller.
    pub(crate) fn door(&self) -> (u16, &str) {
        (self.port.load(Relaxed), &self.key)
    }

    /// Keeps the checkpoint as it stands: what it covers must never change again.
    pub(crate) fn keep_checkpoint(&self) {
        let from = self.project().join(".tendon/ledger/main/checkpoint");
        if let Ok(text) = fs::read_to_string(from) {
            let path = self.folder.join("checkpoints.txt");
            let before = fs::read_to_string(&path).unwrap_or_default();
            if !before.ends_with(&text) {
                drop(fs::write(path, format!("{before}\u{1e}{text}")));
            }
        }
    }

    /// Ends the program in order and writes what the checker reads.
    pub(crate) fn finish(&self, refused: u64) -> Res<()> {
        self.with(Program::stop)?;
        lock(&self.program).take();
        let verified = self.run(&["ledger", "verify"])?;
        if !verified.status.success() {
            return Err(format!("the ledger does not verify: {}", String::from_utf8_lossy(&verified.stdout)));
        }
        let all = ["--limit", "100000000", "--output", "json"];
        for (name, words) in [("decisions.json", ["decisions", "list"]), ("letters.json", ["letters", "list"])] {
            let list = self.command(&[&words[..], &all[..]].concat())?;
            io(name, fs::write(self.folder.join(name), list.to_string()))?;
        }
        self.expect(refused, true)
    }

    /// The cell did not come to its end: writes what there is without the program's help.
    pub(crate) fn leave(&self, refused: u64) -> Res<()> {
        // It may have ended by itself: that is told already.
        drop(self.kill());
        lock(&self.program).take();
        self.expect(refused, false)
    }

    fn expect(&self, refused: u64, whole: bool) -> Res<()> {
        let expected = serde_json::json!({ "refused": refused, "whole": whole });
        io("expected.json", fs::write(self.folder.join("expected.json"), expected.to_string()))?;
        io("history.jsonl", fs::write(self.folder.join("history.jsonl"), self.crm.history()?))
    }

    /// The folder of the public record.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.project().join(".tendon/ledger/main")
    }
}

/// The integration's file; `green`: where the best band begins.
pub(crate) fn integration(green: &str, lookup: bool, more: &str) -> String {
    let lookups = ", lookups: { lead: { from: crm.leads, key: { id: input.id }, fields: [balance] } }";
    let lookups = if lookup { lookups } else { "" };
    format!(
        "integration: score\npurpose: prove that nothing is lost\nowner: tests\nmodel: score\nsubject: string(input.id)\n\
         input: {{ from: crm.leads{lookups} }}\nbands: {{ green: \">= {green}\", red: otherwise }}\ndoors:\n  api: {{ deadline: 4s }}\n  \
         events: {{ set: {{ score: output, band: band, scored_at: now, decided_by: decision }}, poll: 50ms, sweep: 2s }}\n{more}"
    )
}

/// Leaves the processor to others between two looks. Nothing relies on how long it takes.
pub(crate) fn rest(most: Duration) {
    thread::park_timeout(most);
}

/// The same, until a moment has come.
pub(crate) fn rest_until(due: Instant) {
    while due > Instant::now() {
        rest(due.saturating_duration_since(Instant::now()));
    }
}

/// The path as text.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
