//! The demo's folder: an ordinary project, to be read, changed and broken.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value as Json, json};
use tendon_doors::keys::{KeyRing, NewKey, Scope};

use super::data::{self, INPUTS, Lead, NUMBERS};
use crate::{
    failure::{self, Failure},
    project::{MAIN, Project},
};

/// Writes what is missing; what is there stays as it is.
///
/// # Errors
/// When files cannot be written, or the folder holds something else.
pub(super) fn prepare(folder: &Path) -> Result<Project, Failure> {
    let io = |error: std::io::Error| failure::io("making the demo's folder", folder, &error);
    let foreign = folder.is_dir() && !folder.join(MAIN).is_file() && fs::read_dir(folder).map_err(io)?.next().is_some();
    if foreign {
        return Err(Failure::new(
            "demo_folder",
            format!("{} holds something else than a demo", folder.display()),
            "choose another folder with --dir",
        ));
    }
    for part in ["integrations", "models/lead-score"] {
        fs::create_dir_all(folder.join(part)).map_err(io)?;
    }
    write_new(&folder.join(MAIN), project().as_bytes())?;
    write_new(&folder.join("integrations/lead-score.yaml"), integration()?.as_bytes())?;
    write_new(&folder.join("models/lead-score/card.md"), data::CARD.as_bytes())?;
    let has_model = fs::read_dir(folder.join("models/lead-score")).map_err(io)?.flatten();
    if !has_model.into_iter().any(|file| file.path().extension().is_some_and(|end| end == "txt")) {
        write_new(&folder.join("models/lead-score/v1.txt"), data::MODEL)?;
    }
    let folder = folder.canonicalize().map_err(io)?;
    Ok(Project { folder, state: None, only: Vec::new() })
}

/// Writes a file where there is none.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|error| failure::io("writing", path, &error))
}

fn project() -> String {
    let read = INPUTS.join(", ");
    format!(
        "# A project: the systems a business runs, what may be touched there, and the models that answer questions.
project: demo
systems:
  crm:
    kind: sqlite
    path: crm.db
    # Nothing else is ever read, and nothing else is ever written.
    read: {{ leads: [id, {read}, updated_at] }}
    write: {{ leads: [score, score_band, scored_at] }}
models:
  lead-score: {{ path: models/lead-score }}
"
    )
}

fn integration() -> Result<String, Failure> {
    let bands: Json = serde_json::from_str(data::BANDS)
        .map_err(|error| Failure::new("demo_data", format!("the demo's bands cannot be read: {error}"), ""))?;
    let (green, yellow) = (&bands["green"], &bands["yellow"]);
    Ok(format!(
        "# One question to one model: for whom, from where, under which rules, through which doors.
integration: lead-score
purpose: rank leads by their probability to subscribe
owner: sales-ops
model: lead-score@champion
subject: string(input.id)
input: {{ from: crm.leads }}
# From quantiles of the training scores; the model card tells why the level drifts.
bands: {{ green: \">= {green}\", yellow: \">= {yellow}\", red: otherwise }}
# When the model cannot answer, and only then; such decisions are marked degraded.
fallback:
  rules: [ {{ when: \"input.poutcome == 'success'\", output: 0.5 }} ]
  default: 0.05
doors:
  api: {{}}
  events:
    from: crm.leads
    on: [insert, update]
    to: crm.leads
    set: {{ score: output, score_band: band, scored_at: now }}
"
    ))
}

/// The key for `curl`: the one in the folder while it works, else a new one.
///
/// # Errors
/// When it cannot be made or written.
pub(super) async fn api_key(folder: &Path, keys: &KeyRing) -> Result<PathBuf, Failure> {
    let path = folder.join("api.key");
    let kept = fs::read_to_string(&path).ok();
    if kept.is_some_and(|text| keys.recognise(text.trim()).is_ok()) {
        return Ok(path);
    }
    let (token, _) = keys.create(NewKey::new("demo", vec![Scope::DecideAll, Scope::Read]), "demo").await?;
    let failed = |error: std::io::Error| failure::io("writing", &path, &error);
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    std::io::Write::write_all(&mut file, format!("{}\n", token.reveal()).as_bytes()).map_err(failed)?;
    Ok(path)
}

/// A lead as the input of a request.
pub(super) fn input(id: usize, lead: &Lead) -> Json {
    let mut input = Map::new();
    input.insert("id".into(), json!(id));
    for (name, text) in INPUTS.iter().zip(lead) {
        let number = text.parse::<i64>().ok().filter(|_| NUMBERS.contains(name));
        input.insert((*name).to_owned(), number.map_or_else(|| json!(text), |number| json!(number)));
    }
    input.into()
}
