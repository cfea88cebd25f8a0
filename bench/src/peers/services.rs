//! The services that are measured: how each is started and asked. What each consists of is in `bench/peers/`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::world::{KEY, LEADS, World};
use crate::{
    Res,
    load::{Target, fresh},
    process::{SERVER_CORE, Server, free_address, pinned},
    request::{FEATURES, NAME, Request, numbers, question},
};

/// One service.
pub(super) struct Service {
    /// How the tables call it.
    pub(super) name: &'static str,
    /// What is special about it, for the table of lines and versions.
    pub(super) about: &'static str,
    /// Its folder in `bench/peers` and its environment in `.cache/peers`.
    pub(super) folder: &'static str,
    /// Folder it runs in: two services may have the same sources.
    run: &'static str,
    /// Where the model stands in that folder.
    model: &'static str,
    /// Where it is asked.
    path: &'static str,
    body: fn() -> String,
    /// Where the score stands in an answer.
    pub(super) output: &'static str,
    /// Whether every request carries a key and an idempotency key.
    pub(super) keyed: bool,
    /// Whether it scores the rows of the CRM by itself.
    pub(super) watches: bool,
    command: fn(&World<'_>, &Path, SocketAddr) -> Res<Command>,
    /// Whether all that it answered (so many at least) is where it belongs; waits for what may come later.
    pub(super) settled: fn(&World<'_>, u64) -> Res<()>,
}

/// A running service.
pub(super) struct Running {
    pub(super) server: Server,
    pub(super) target: Target,
}

/// All, Tendon first.
pub(super) const SERVICES: &[Service] = &[
    Service {
        name: "Tendon",
        about: "everything on: durable ledger, keys, idempotency keys, ranges, fallback, the watch with write-back",
        folder: "tendon",
        run: "tendon",
        model: "models/lead-score/model.txt",
        path: "/v1/integrations/lead-score/decisions",
        body: question,
        output: "/output",
        keyed: true,
        watches: true,
        command: tendon,
        settled: |_, _| Ok(()),
    },
    Service {
        name: "FastAPI, bare",
        about: "uvicorn with uvloop and httptools, one process, no access log; LightGBM on one thread",
        folder: "bare",
        run: "bare",
        model: "model.txt",
        path: "/decisions",
        body: question,
        output: "/output",
        keyed: false,
        watches: false,
        command: |_, _, address| uvicorn("bare", address),
        settled: |_, _| Ok(()),
    },
    Service {
        name: "FastAPI, careful",
        about: "the same, and an audit row in PostgreSQL by asyncpg (plain SQL, 16 connections) before each answer",
        folder: "careful",
        run: "careful",
        model: "model.txt",
        path: "/decisions",
        body: question,
        output: "/output",
        keyed: true,
        watches: false,
        command: |world, _, address| careful(world, address, "audit", None),
        settled: |world, answered| recorded(world, "audit", answered),
    },
    Service {
        name: "FastAPI, careful, writing back",
        about: "the same, and the score in the CRM's row, in batches of up to 500",
        folder: "careful",
        run: "careful-back",
        model: "model.txt",
        path: "/decisions",
        body: question,
        output: "/output",
        keyed: true,
        watches: false,
        command: |world, _, address| careful(world, address, "audit_back", Some("careful_crm")),
        settled: |world, answered| {
            recorded(world, "audit_back", answered)?;
            world.until_none("audit_back", "SELECT count(*) FROM decisions WHERE delivered_at IS NULL")
        },
    },
    Service {
        name: "MLServer",
        about: "in its main process (`parallel_workers: 0`), with uvloop and httptools",
        folder: "mlserver",
        run: "mlserver",
        model: "model.txt",
        path: "/v2/models/lead-score/infer",
        body: v2,
        output: "/outputs/0/data/0",
        keyed: false,
        watches: false,
        command: mlserver,
        settled: |_, _| Ok(()),
    },
    Service {
        name: "BentoML",
        about: "one worker, no access log, no tracing, with uvloop and httptools",
        folder: "bentoml",
        run: "bentoml",
        model: "model.txt",
        path: "/decisions",
        body: question,
        output: "/output",
        keyed: false,
        watches: false,
        command: bentoml,
        settled: |_, _| Ok(()),
    },
];

impl Service {
    /// Starts it, until it answered its first question.
    pub(super) fn start(&self, world: &World<'_>) -> Res<Running> {
        if let Ok(reason) = fs::read_to_string(format!(".cache/peers/{}.failed", self.folder)) {
            return Err(format!("it could not be installed: {}", reason.trim()));
        }
        let folder = world.folder(self.run, self.folder, self.model)?;
        let address = free_address()?;
        let mut command = (self.command)(world, &folder, address)?;
        let log = fs::File::create(folder.join("log")).map_err(|error| error.to_string())?;
        command.current_dir(&folder).env("MODEL", "model.txt").env("OMP_NUM_THREADS", "1").stderr(log);
        let target = Target { address, request: self.request(&folder)? };
        let server = Server::start_asked(command, address, fresh(&target.request).next())?;
        Ok(Running { server, target })
    }

    fn request(&self, folder: &Path) -> Res<Request> {
        let key = fs::read_to_string(folder.join("key")).unwrap_or_else(|_| KEY.to_owned());
        let bearer = format!("Bearer {key}");
        let headers: &[(&str, &str)] =
            if self.keyed { &[("authorization", &bearer), ("idempotency-key", NAME)] } else { &[] };
        let leads = u64::try_from(LEADS).map_err(|error| error.to_string())?;
        Ok(Request::of(self.path, headers, &(self.body)(), 1, leads))
    }
}

/// The features in the Open Inference Protocol.
fn v2() -> String {
    format!(
        "{{\"inputs\":[{{\"name\":\"x\",\"shape\":[1,{FEATURES}],\"datatype\":\"FP64\",\"data\":[{}]}}]}}",
        numbers()
    )
}

/// A program of a peer's own environment, as a path that holds in any folder.
fn program(peer: &str, name: &str) -> Res<PathBuf> {
    let path = PathBuf::from(format!(".cache/peers/{peer}/bin/{name}"));
    std::path::absolute(&path)
        .ok()
        .filter(|path| path.exists())
        .ok_or_else(|| format!("{} is missing; `cargo xtask bench --peers` installs it", path.display()))
}

fn uvicorn(peer: &str, address: SocketAddr) -> Res<Command> {
    let mut command = pinned(SERVER_CORE, &program(peer, "uvicorn")?);
    command.args(["app:app", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]);
    command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
    Ok(command)
}

fn careful(world: &World<'_>, address: SocketAddr, audit: &str, crm: Option<&str>) -> Res<Command> {
    let mut command = uvicorn("careful", address)?;
    command.env("AUDIT_URL", world.url(audit));
    if let Some(crm) = crm {
        command.env("CRM_URL", world.url(crm));
    }
    Ok(command)
}

/// Every answer that left must be in the audit table; the load counts a part of them.
fn recorded(world: &World<'_>, database: &str, answered: u64) -> Res<()> {
    let found = u64::try_from(world.count(database, "SELECT count(*) FROM decisions")?).unwrap_or_default();
    if found >= answered { Ok(()) } else { Err(format!("{answered} were answered, {found} of them recorded")) }
}

fn mlserver(_: &World<'_>, _: &Path, address: SocketAddr) -> Res<Command> {
    let mut command = pinned(SERVER_CORE, &program("mlserver", "mlserver")?);
    command.args(["start", "."]).env("MLSERVER_HTTP_PORT", address.port().to_string());
    command.env("MLSERVER_GRPC_PORT", free_address()?.port().to_string());
    command.env("MLSERVER_METRICS_PORT", free_address()?.port().to_string());
    Ok(command)
}

fn bentoml(_: &World<'_>, folder: &Path, address: SocketAddr) -> Res<Command> {
    let mut command = pinned(SERVER_CORE, &program("bentoml", "bentoml")?);
    command.args(["serve", "service:LeadScore", "--host", "127.0.0.1", "--port", &address.port().to_string()]);
    command.env("BENTOML_DO_NOT_TRACK", "True").env("BENTOML_HOME", folder.join("home"));
    Ok(command)
}

fn tendon(world: &World<'_>, folder: &Path, address: SocketAddr) -> Res<Command> {
    let program = world.setting.target.join("release/tendon");
    let program = std::path::absolute(&program).map_err(|error| format!("{}: {error}", program.display()))?;
    let url = world.url("tendon_crm");
    let key = folder.join("key");
    if !key.exists() {
        let mut make = Command::new(&program);
        make.args(["keys", "create", "--name", "bench", "--project"]).arg(folder).env("CRM_URL", &url);
        let made = crate::lines_of(&mut make)?;
        let word = made.iter().flat_map(|line| line.split_whitespace()).find(|word| word.starts_with("tdn_"));
        fs::write(&key, word.ok_or("`tendon keys create` printed no key")?).map_err(|error| error.to_string())?;
    }
    let mut command = pinned(SERVER_CORE, &program);
    command.args(["up", "--project", "."]).args(["--listen", &address.to_string()]).env("CRM_URL", url);
    Ok(command)
}
