//! The project that is measured, written anew for each variant, and the real program started on it.

use std::{fmt::Write as _, fs, net::SocketAddr, path::Path, process::Command};

use crate::{
    Res, Setting,
    load::Target,
    process::{SERVER_CORE, Server, free_address, pinned},
    request::{FEATURES, Request},
};

/// Where its decisions are asked.
const PATH: &str = "/v1/integrations/bench/decisions";

/// File with the address of the gRPC port.
const GRPC: &str = "grpc.address";

/// File with the address of the database that is looked up in.
pub(crate) const BOOKS: &str = "books.url";
/// How many people requests are about that are about the same ones again and again.
pub(crate) const PEOPLE: u64 = 1000;

/// What is different in the integration or in the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Everything as it is by default: durable record, explanations on request, every subject new.
    Plain,
    /// `explain: always`.
    Explained,
    /// `record: buffered`.
    Buffered,
    /// The requests are about 1,000 people again and again.
    Known,
    /// The same, and their answers are recalled from memory.
    Recalled,
    /// A watched table of a CRM instead of callers.
    Watched,
    /// The same in a PostgreSQL on this port.
    Postgres(u16),
    /// A gRPC port beside HTTP.
    Grpc,
    /// A watched table of a CRM and callers at once.
    Soaked,
    /// A feature of the same 1,000 people is looked up in another database (its address in [`BOOKS`]).
    LookedUp,
}

/// A running program and how it is asked.
pub(crate) struct Started {
    /// The program.
    pub(crate) server: Server,
    /// Requests to it.
    pub(crate) target: Target,
    /// The key of its caller.
    pub(crate) key: String,
    /// Where it speaks gRPC, of [`Variant::Grpc`].
    pub(crate) grpc: Option<SocketAddr>,
}

/// Writes the project where it does not exist yet, makes a key and starts the program on it.
pub(crate) fn start(setting: &Setting, variant: Variant) -> Res<Started> {
    let folder = match variant {
        Variant::Postgres(_) => setting.folder.join("postgres"),
        _ => setting.folder.join(format!("{variant:?}").to_lowercase()),
    };
    let key_file = folder.join("bench.key");
    let tendon = setting.target.join("release/tendon");
    if !key_file.exists() {
        write(setting, &folder, variant)
            .map_err(|error| format!("{} could not be written: {error}", folder.display()))?;
        let key = new_key(setting, &folder, &["--name", "bench"])?;
        fs::write(&key_file, key).map_err(|error| format!("{}: {error}", key_file.display()))?;
    }
    let key = fs::read_to_string(&key_file).map_err(|error| format!("{}: {error}", key_file.display()))?;
    let address = free_address()?;
    let mut command = pinned(SERVER_CORE, &tendon);
    command.arg("up").arg("--project").arg(&folder).args(["--listen", &address.to_string()]);
    let log = fs::File::create(folder.join("up.log")).map_err(|error| error.to_string())?;
    command.stderr(log);
    let server = Server::start(command, address, Some("/readyz"))?;
    let known = matches!(variant, Variant::Known | Variant::Recalled | Variant::LookedUp);
    let subjects = if known { PEOPLE } else { u64::MAX };
    let key = key.trim().to_owned();
    let grpc = fs::read_to_string(folder.join(GRPC)).ok().and_then(|address| address.parse().ok());
    let target = Target { address, request: Request::new(PATH, &key, 1, subjects) };
    Ok(Started { server, target, key, grpc })
}

/// Makes a key of the project in this folder.
pub(crate) fn new_key(setting: &Setting, folder: &Path, options: &[&str]) -> Res<String> {
    let mut command = Command::new(setting.target.join("release/tendon"));
    let made = crate::lines_of(command.args(["keys", "create"]).args(options).arg("--project").arg(folder))?;
    let key = made.iter().flat_map(|line| line.split_whitespace()).find(|word| word.starts_with("tdn_"));
    Ok(key.ok_or("`tendon keys create` printed no key")?.to_owned())
}

fn write(setting: &Setting, folder: &Path, variant: Variant) -> std::io::Result<()> {
    fs::create_dir_all(folder.join("integrations"))?;
    fs::create_dir_all(folder.join("models/bench"))?;
    fs::copy(&setting.model, folder.join("models/bench/model.txt"))?;
    let mut project = String::from("project: bench\nmodels:\n  bench: { path: models/bench }\n");
    let mut integration = String::from(
        "integration: bench\npurpose: measure the path\nowner: bench\nmodel: bench@champion\nsubject: input.id\n\
         bands: { green: \">= 0.7\", yellow: \">= 0.4\", red: otherwise }\n",
    );
    let features: Vec<String> = (0..FEATURES).map(|feature| format!("f{feature:02}")).collect();
    match variant {
        Variant::Explained => integration.push_str("explain: always\n"),
        Variant::Buffered => integration.push_str("record: buffered\n"),
        Variant::Grpc => {
            let address = free_address().map_err(std::io::Error::other)?;
            let _ = writeln!(project, "server: {{ grpc: {{ listen: \"{address}\" }} }}");
            fs::write(folder.join(GRPC), address.to_string())?;
        }
        // The load is over before the first answer is.
        Variant::Recalled => integration.push_str("cache: { key: [id], ttl: 1h }\n"),
        Variant::LookedUp => project.push_str(
            "systems:\n  books: { kind: postgres, url: \"${file:books.url}\", read: { people: [id, f00] } }\n",
        ),
        Variant::Plain | Variant::Known | Variant::Watched | Variant::Soaked | Variant::Postgres(_) => {}
    }
    let crm = match variant {
        Variant::Watched | Variant::Soaked => Some("kind: sqlite\n    path: crm.db".to_owned()),
        Variant::Postgres(port) => {
            Some(format!("kind: postgres\n    url: postgres://bench:bench@127.0.0.1:{port}/postgres"))
        }
        _ => None,
    };
    if let Some(crm) = crm {
        let read = features.join(", ");
        let _ = write!(
            project,
            "systems:\n  crm:\n    {crm}\n    read: {{ leads: [id, {read}, updated_at] }}\n    \
             write: {{ leads: [score, score_band, scored_at] }}\n"
        );
        integration.push_str(
            "input: { from: crm.leads }\ndoors:\n  events: { from: crm.leads, on: [insert, update], to: crm.leads, set: { score: \
             output, score_band: band, scored_at: now } }\n",
        );
        if variant == Variant::Soaked {
            integration.push_str("  api: {}\n");
        }
    } else {
        integration.push_str("input:\n  schema:\n    fields:\n      id: { type: text, required: true }\n");
        for feature in &features {
            let _ = writeln!(integration, "      {feature}: {{ type: float, required: true }}");
        }
        if variant == Variant::LookedUp {
            integration
                .push_str("  lookups: { person: { from: books.people, key: { id: input.id }, deadline: 30s } }\n");
            integration.push_str("  features: { f00: person.f00 }\n");
        }
        integration.push_str("doors: { api: {} }\n");
    }
    fs::write(folder.join("tendon.yaml"), project)?;
    fs::write(folder.join("integrations/bench.yaml"), integration)
}
