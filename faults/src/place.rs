//! Where a cell happens: a project in a folder of its own with its CRM, the program on it, what was seen of it from outside.

use std::{
    collections::BTreeMap,
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
    LONG, Res, Setting,
    crm::{Crm, Kind},
    http::{Answer, Request},
    lock,
    program::{Program, clean},
};

/// The model: a score is the balance over 2^30.
const MODEL: &str = r#"{ "format": "tendon/linear@1", "intercept": 0, "features": [
  { "name": "balance", "kind": "number", "coefficient": 9.313225746154785e-10, "missing": { "as": 0 } } ] }"#;

/// What differs from cell to cell.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) crm: Kind,
    /// Leads in the CRM from the start.
    pub(crate) leads: u64,
    pub(crate) callers: usize,
    pub(crate) batchers: usize,
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
            callers: 2,
            batchers: 0,
            people: true,
            layer: false,
            redis: false,
            subjects: 0,
            sql: "",
            project: String::new(),
            system: String::new(),
            integration: String::new(),
        }
    }
}

/// What was seen from the outside.
#[derive(Default)]
pub(crate) struct Seen {
    /// How often each word of readiness was heard.
    pub(crate) readiness: BTreeMap<String, u64>,
    /// Most memory of any process of this cell.
    pub(crate) peak: u64,
    /// Seconds from the end of a fault until it was ready again.
    pub(crate) recoveries: Vec<f64>,
    /// What else happened, in words.
    pub(crate) notes: Vec<String>,
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
        place.write("integrations/score.yaml", &integration("0.25", &setup.integration))?;
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

    /// `kill -9`.
    pub(crate) fn kill(&self) -> Res<()> {
        self.with(Program::kill)
    }

    /// Keeps how long a recovery took.
    pub(crate) fn recovered(&self, begun: Instant) {
        lock(&self.seen).recoveries.push(begun.elapsed().as_secs_f64());
    }

    /// Keeps a sentence for the report.
    pub(crate) fn note(&self, text: impl Into<String>) {
        lock(&self.seen).notes.push(text.into());
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

    /// What `/readyz` says; nothing when it does not answer.
    pub(crate) fn readiness(&self) -> Option<(u16, Json)> {
        let request = Request { method: "GET", path: "/readyz", key: "", headers: &[], body: "" };
        let answer = request.send(self.port.load(Relaxed)).ok().filter(|answer| answer.whole)?;
        Some((answer.status, answer.json()))
    }

    /// The word of readiness.
    pub(crate) fn state(&self) -> String {
        let said = self.readiness().and_then(|(_, report)| report["state"].as_str().map(str::to_owned));
        said.unwrap_or_else(|| "no answer".to_owned())
    }

    /// One part of what readiness says.
    pub(crate) fn part(&self, name: &str) -> Json {
        let report = self.readiness().map(|(_, report)| report).unwrap_or_default();
        let parts = report["parts"].as_array().cloned().unwrap_or_default();
        parts.into_iter().find(|part| part["name"] == name).unwrap_or_default()
    }

    /// Looks once from the outside: readiness and memory.
    pub(crate) fn look(&self) {
        let state = self.state();
        // Whoever starts the program holds it meanwhile.
        let peak =
            self.program.try_lock().ok().and_then(|program| program.as_ref().and_then(Program::peak)).unwrap_or(0);
        let mut seen = lock(&self.seen);
        *seen.readiness.entry(state).or_default() += 1;
        seen.peak = seen.peak.max(peak);
    }

    /// Looks again and again until it is so; an end of the program on the way is told at once.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> Res<bool>) -> Res<()> {
        let begun = Instant::now();
        while !is_so()? {
            if begun.elapsed() > LONG {
                let log = self.with(|program| Ok(program.log())).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(format!("waited in vain until {what}; the program said last:\n{}", tail.join("\n")));
            }
            rest(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits for so many further answers to callers.
    pub(crate) fn answers(&self, more: u64) -> Res<()> {
        let before = self.answered.load(Relaxed);
        self.until("callers were answered", || Ok(self.answered.load(Relaxed) >= before + more))
    }

    /// The fault is over: waits until readiness is calm, and keeps how long that took.
    pub(crate) fn calm(&self) -> Res<()> {
        let begun = Instant::now();
        self.until("readiness is calm again", || Ok(self.state() == "ready"))?;
        self.recovered(begun);
        Ok(())
    }

    /// Waits until every lead that can be scored carries the score of what it holds and nothing waits.
    pub(crate) fn settle(&self, except: u64) -> Res<()> {
        self.until("all leads carry the score of what they hold", || Ok(self.crm.unscored()? <= except))?;
        self.until("nothing waits", || Ok(self.part("outbox")["detail"]["waiting"] == 0))
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
        io("expected.json", fs::write(self.folder.join("expected.json"), format!("{{ \"refused\": {refused} }}")))?;
        io("history.jsonl", fs::write(self.folder.join("history.jsonl"), self.crm.history()?))
    }

    /// The folder of the public record.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.project().join(".tendon/ledger/main")
    }
}

/// The integration's file; `green`: where the best band begins.
pub(crate) fn integration(green: &str, more: &str) -> String {
    format!(
        "integration: score\npurpose: prove that nothing is lost\nowner: tests\nmodel: score\nsubject: string(input.id)\n\
         input: {{ from: crm.leads }}\nbands: {{ green: \">= {green}\", red: otherwise }}\ndoors:\n  api: {{ deadline: 4s }}\n  \
         events: {{ set: {{ score: output, band: band, scored_at: now, decided_by: decision }}, poll: 50ms, sweep: 2s }}\n{more}"
    )
}

/// Leaves the processor to others between two looks. Nothing relies on how long it takes.
pub(crate) fn rest(most: Duration) {
    thread::park_timeout(most);
}

/// The path as text.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
