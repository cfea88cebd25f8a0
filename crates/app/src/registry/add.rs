//! A new version comes in: read, judged against what asks the model, and put into the model's folder as a whole.

use std::{fs, path::PathBuf, sync::Arc};

use serde_json::{Value as Json, json};
use tendon_kernel::sockets::ledger::ModelRef;
use tendon_plan::{
    Finding, Severity,
    facts::{ModelFacts, VersionFact},
};

use super::{
    Alias, CHAMPION, PREVIOUS, Pending, Reference, Staged, View, What,
    change::{Asked, is_file, path, seen},
    differences::differences,
    files, write,
};
use crate::{
    assemble,
    facts::{self, Loaded},
    failure::{self, Failure},
    process::Next,
    wiring::Parts,
};

/// A file that is to become a version.
pub(crate) struct Arrival {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) file: PathBuf,
    /// SHA-256 of the bytes that were meant.
    pub(crate) digest: String,
}

/// Brings a version in.
///
/// # Errors
/// When the file cannot be loaded, another version has its name, or it would be champion at once and does not fit.
pub(crate) async fn add(parts: &Parts, arrival: Arrival, asked: Asked) -> Result<Json, Failure> {
    let _turn = parts.installing.lock().await;
    let Arrival { model, version, file, digest } = arrival;
    let (mut view, before) = seen(parts, &model).await?;
    check_name(&before, &version)?;
    let path = path(parts, &model)?;
    let place = parts.project.folder.join(&path);
    if place.is_file() {
        return Err(is_file(&model, &path));
    }
    let bytes = fs::read(&file).map_err(|error| failure::io("reading the model", &file, &error))?;
    if facts::sha256(&bytes) != digest {
        let message = format!("the file {} was changed while it was added", file.display());
        return Err(Failure::new("model_file_changed", message, "try again when it is written"));
    }
    if let Some(found) = facts::file_of(&place, &version) {
        if files::digest(&found).is_some_and(|found| found == digest) {
            return Ok(json!({ "model": model, "version": version, "digest": digest, "added": false }));
        }
        return Err(exists(&model, &version));
    }
    let staged = stage(&model, &version, &file, &bytes, &digest)?;
    let place = place.join(&staged.file_name);
    let changes = changes(&before, &staged.version);
    view.staged = Some((model.clone(), Box::new(staged)));
    let next = Next::read(parts, &view).await.map_err(|failure| does_not_fit(failure, &changes))?;
    let names = next.aliases(&model, &version);
    let warnings = if names.contains(&CHAMPION.to_owned()) {
        Vec::new()
    } else {
        trial(parts, &view, &before, &model, &version).await?
    };
    next.keep(parts).await?;
    let next = next.prepare(parts)?;

    let mut change =
        asked.change(parts, What::Added, &model, Reference { version: version.clone(), digest: digest.clone() });
    change.file = place.strip_prefix(&parts.project.folder).ok().map(|file| file.to_string_lossy().into_owned());
    let pending = Pending { change, rows: Vec::new() };
    let entry = write::entry(&parts.context, next.plan(), &pending.change)?;
    write::begin(&*parts.records, &pending).await?;
    if let Err(error) = files::put(&place, &bytes) {
        write::forget(&*parts.records, &pending.change).await?;
        return Err(match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(&model, &version),
            _ => failure::io("writing the version", &place, &error),
        });
    }
    let recorded = next.record(parts, vec![entry]).await?;
    write::end(&*parts.records, &pending).await?;
    recorded.put_in_force(parts).await;
    Ok(json!({
        "model": model, "version": version, "digest": digest, "added": true, "file": pending.change.file,
        "aliases": names, "differences": changes, "warnings": warnings,
    }))
}

fn stage(model: &str, version: &str, file: &std::path::Path, bytes: &[u8], digest: &str) -> Result<Staged, Failure> {
    let name = file.file_name().and_then(|name| name.to_str());
    let (format, loaded) = tendon_models::load(name, bytes)?;
    let known = format.extensions.iter().find(|ending| name.is_some_and(|name| name.ends_with(**ending)));
    let ending = known.or(format.extensions.first()).copied().unwrap_or_default();
    let reference = ModelRef { name: Arc::from(model), version: Arc::from(version), digest: Arc::from(digest) };
    Ok(Staged {
        file_name: format!("{version}{ending}"),
        version: VersionFact {
            version: version.to_owned(),
            digest: digest.to_owned(),
            format: format.name.to_owned(),
            signature: loaded.signature().clone(),
        },
        loaded: Loaded { reference, model: loaded, bytes: bytes.into() },
    })
}

/// What is other than in the champion.
fn changes(before: &ModelFacts, new: &VersionFact) -> Vec<String> {
    let champion = before.aliases.get(CHAMPION);
    let champion = before.versions.iter().find(|one| champion.is_some_and(|champion| *champion == one.version));
    champion.map(|champion| differences(&champion.signature, &new.signature)).unwrap_or_default()
}

/// What would be wrong with the project if the version had the model's aliases: told now, not when it is promoted.
async fn trial(
    parts: &Parts,
    view: &View,
    before: &ModelFacts,
    model: &str,
    version: &str,
) -> Result<Vec<String>, Failure> {
    let mut view = view.clone();
    for alias in before.aliases.keys().filter(|alias| *alias != PREVIOUS) {
        // Without a digest: whatever bytes it has.
        let now = Reference { version: version.to_owned(), digest: String::new() };
        view.set(model, alias, Alias { now, before: Vec::new() });
    }
    let found = assemble::assemble(&parts.project, &parts.context, &parts.secrets, &view).await?.outcome.findings;
    Ok(found.iter().filter(|finding| finding.severity == Severity::Error).map(Finding::to_string).collect())
}

fn does_not_fit(failure: Failure, changes: &[String]) -> Failure {
    if failure.code != "config_invalid" {
        return failure;
    }
    let told = changes.iter().map(|change| format!("\n  {change}")).collect::<String>();
    let message = format!("the version would be champion at once and does not fit: {}{told}", failure.message);
    let hint = "promote the version that is champion now, so that it stays champion; then add this one";
    Failure::new("model_does_not_fit", message, hint)
}

fn exists(model: &str, version: &str) -> Failure {
    let message = format!("model {model} has a version {version} with other bytes");
    Failure::new("version_exists", message, "versions never change: choose another name with --version")
}

fn check_name(facts: &ModelFacts, version: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if version.is_empty() || version.len() > 64 || version.starts_with('.') || !version.chars().all(plain) {
        let message = format!("`{version}` cannot be a version's name");
        return Err(Failure::new(
            "version_name",
            message,
            "1 to 64 letters, digits, `.`, `-` or `_`, not beginning with a dot",
        ));
    }
    if [CHAMPION, PREVIOUS].contains(&version) || facts.aliases.contains_key(version) {
        let message = format!("`{version}` is an alias, a version cannot be called so");
        return Err(Failure::new("version_name", message, "choose another name with --version"));
    }
    Ok(())
}
