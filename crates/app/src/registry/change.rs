//! Changes of models: a version comes or goes, an alias moves. One after the other, each judged on the whole project before
//! anything is written, and in force with the next decision when it returns.

use serde_json::{Value as Json, json};
use tendon_kernel::Id;
use tendon_plan::facts::ModelFacts;

use super::{Alias, CHAMPION, Change, PREVIOUS, Pending, Reference, View, What, files, write};
use crate::{
    failure::{self, Failure},
    process::Next,
    wiring::Parts,
};

/// What an alias named before is remembered this far back.
const MOST_BEFORE: usize = 100;

/// Who asks, and why.
pub(crate) struct Asked {
    pub(crate) by: String,
    pub(crate) why: Option<String>,
}

impl Asked {
    pub(super) fn change(self, parts: &Parts, what: What, model: &str, version: Reference) -> Change {
        Change {
            id: Id::new(&parts.context),
            at: parts.context.clock.now(),
            what,
            model: model.to_owned(),
            alias: None,
            version,
            from: None,
            by: self.by,
            why: self.why,
            file: None,
        }
    }
}

/// Lets an alias name a version.
///
/// # Errors
/// When there is no such model or version, the alias cannot be, or the project would not be right then.
pub(crate) async fn promote(
    parts: &Parts,
    model: &str,
    version: &str,
    alias: &str,
    asked: Asked,
) -> Result<Json, Failure> {
    let _turn = parts.installing.lock().await;
    let (view, facts) = seen(parts, model).await?;
    check_alias(&facts, alias)?;
    let to = find(&facts, model, version)?;
    let from = named(&view, &facts, model, alias);
    let of_record = view.alias(model, alias);
    if of_record.is_some_and(|row| row.now == to) {
        return Ok(shown(model, alias, &to, from.as_ref(), false));
    }
    let mut before = of_record.map(|row| row.before.clone()).unwrap_or_default();
    before.extend(from.clone().filter(|from| *from != to));
    before.drain(..before.len().saturating_sub(MOST_BEFORE));
    let row = Alias { now: to, before };
    turn(parts, view, What::Promoted, model, alias, from, row, asked).await
}

/// Lets an alias name what it named before.
///
/// # Errors
/// As [`promote`]; when it was never promoted, or the version before is not there any more.
pub(crate) async fn roll_back(parts: &Parts, model: &str, alias: &str, asked: Asked) -> Result<Json, Failure> {
    let _turn = parts.installing.lock().await;
    let (view, facts) = seen(parts, model).await?;
    let nothing = || {
        let message = format!("alias {alias} of model {model} named nothing before");
        Failure::new(
            "nothing_before",
            message,
            "`tendon models show NAME` tells the history; `tendon models promote` sets it",
        )
    };
    let mut row = view.alias(model, alias).cloned().ok_or_else(nothing)?;
    let from = row.now.clone();
    row.now = row.before.pop().ok_or_else(nothing)?;
    let found = find(&facts, model, &row.now.version)?;
    if found != row.now {
        let message = format!("version {} of model {model} has other bytes than it had then", found.version);
        let hint = "put the old file back (.tendon/objects keeps it by its digest), or promote a version by name";
        return Err(Failure::new("version_changed", message, hint));
    }
    turn(parts, view, What::RolledBack, model, alias, Some(from), row, asked).await
}

#[expect(clippy::too_many_arguments, reason = "one call per kind of change, each part named by its type")]
async fn turn(
    parts: &Parts,
    mut view: View,
    what: What,
    model: &str,
    alias: &str,
    from: Option<Reference>,
    row: Alias,
    asked: Asked,
) -> Result<Json, Failure> {
    view.set(model, alias, row.clone());
    let next = Next::read(parts, &view).await?;
    next.keep(parts).await?;
    let next = next.prepare(parts)?;
    let mut change = asked.change(parts, what, model, row.now.clone());
    change.alias = Some(alias.to_owned());
    change.from.clone_from(&from);
    let answer = shown(model, alias, &row.now, from.as_ref(), true);
    let pending = Pending { change, rows: vec![(alias.to_owned(), row)] };
    let entry = write::entry(&parts.context, next.plan(), &pending.change)?;
    write::begin(&*parts.records, &pending).await?;
    // From here on the change is made, also when the process dies: the next start finishes it.
    let recorded = next.record(parts, vec![entry]).await?;
    write::end(&*parts.records, &pending).await?;
    recorded.put_in_force(parts).await;
    Ok(answer)
}

/// Takes a version out.
///
/// # Errors
/// When something names it, there is no such version, or the project would not be right without it.
pub(crate) async fn remove(parts: &Parts, model: &str, version: &str, asked: Asked) -> Result<Json, Failure> {
    let _turn = parts.installing.lock().await;
    let (mut view, facts) = seen(parts, model).await?;
    let gone = find(&facts, model, version)?;
    if let Some(user) = user(parts, &view, &facts, model, version) {
        let message = format!("version {version} of model {model} is in use: {user} names it");
        return Err(Failure::new("version_in_use", message, "promote another version, or change what names it, first"));
    }
    let path = path(parts, model)?;
    let place = parts.project.folder.join(&path);
    let file = crate::facts::file_of(&place, version).filter(|file| place.is_dir() && file.is_file());
    let file = file.ok_or_else(|| is_file(model, &path))?;
    view.without = Some((model.to_owned(), version.to_owned()));
    let next = Next::read(parts, &view).await?.prepare(parts)?;
    // What an alias named before, it cannot go back to.
    let rows = view.aliases.iter().filter(|((of, _), row)| of == model && row.before.contains(&gone));
    let rows = rows.map(|((_, alias), row)| {
        let before = row.before.iter().filter(|one| **one != gone).cloned().collect();
        (alias.clone(), Alias { before, ..row.clone() })
    });
    let rows = rows.collect();
    let mut change = asked.change(parts, What::Removed, model, gone.clone());
    change.file = file.strip_prefix(&parts.project.folder).ok().map(|file| file.to_string_lossy().into_owned());
    let pending = Pending { change, rows };
    let entry = write::entry(&parts.context, next.plan(), &pending.change)?;
    write::begin(&*parts.records, &pending).await?;
    if let Err(error) = files::remove(&file) {
        write::forget(&*parts.records, &pending.change).await?;
        return Err(failure::io("removing", &file, &error));
    }
    let recorded = next.record(parts, vec![entry]).await?;
    write::end(&*parts.records, &pending).await?;
    recorded.put_in_force(parts).await;
    Ok(json!({ "model": model, "version": version, "digest": gone.digest }))
}

/// Who names a version: an alias (not one that only follows from the order of the files), or an integration.
fn user(parts: &Parts, view: &View, facts: &ModelFacts, model: &str, version: &str) -> Option<String> {
    let follows =
        |alias: &str| alias == PREVIOUS && view.alias(model, CHAMPION).is_none_or(|row| row.before.is_empty());
    let mut aliases = facts.aliases.iter().filter(|(alias, of)| *of == version && !follows(alias));
    if let Some((alias, _)) = aliases.next() {
        return Some(format!("alias {alias}"));
    }
    let plan = parts.engine.runtime().plan().clone();
    let means = |alias: &str| facts.aliases.get(alias).map_or(alias, String::as_str) == version;
    let mut integrations = plan.integrations.values().filter(|one| &*one.model == model);
    let found = integrations.find(|one| {
        let route = one.route.arms.iter().chain(&one.route.shadow);
        means(&one.alias) || route.into_iter().any(|arm| means(&arm.alias))
    });
    found.map(|one| format!("integration {}", one.name))
}

/// The view of record and what is known of a model in it, after what a crash left over was finished.
pub(super) async fn seen(parts: &Parts, model: &str) -> Result<(View, ModelFacts), Failure> {
    let plan = parts.engine.runtime().plan().digest.clone();
    write::finish(&parts.project.folder, &*parts.records, &*parts.ledger, &parts.context, &plan).await?;
    let view = View::of(&*parts.records).await?;
    let files = crate::facts::read_model(&parts.project.folder, model, &path(parts, model)?, &view);
    Ok((view, files.facts))
}

/// Where the model's files are, relative to the project.
pub(super) fn path(parts: &Parts, model: &str) -> Result<String, Failure> {
    let outline = tendon_plan::outline(&tendon_plan::Sources(parts.project.sources()?));
    let known: Vec<&str> = outline.models.iter().map(|(name, _)| name.as_str()).collect();
    let found = outline.models.iter().find(|(name, _)| name == model).map(|(_, path)| path.clone());
    found.ok_or_else(|| {
        let hint = hint(model, &known, "`models` in tendon.yaml names the project's models");
        Failure::new("no_model", format!("no model of the project is called `{model}`"), hint)
    })
}

pub(super) fn is_file(model: &str, path: &str) -> Failure {
    let message = format!("model {model} of the project is one file, {path}, not a folder of versions");
    Failure::new("model_is_file", message, "make it a folder with one file per version")
}

fn find(facts: &ModelFacts, model: &str, version: &str) -> Result<Reference, Failure> {
    if let Some(found) = facts.versions.iter().find(|one| one.version == version) {
        return Ok(Reference { version: found.version.clone(), digest: found.digest.clone() });
    }
    if let Some((_, reason)) = facts.broken.iter().find(|(one, _)| one == version) {
        let message = format!("version {version} of model {model} cannot be used: {reason}");
        return Err(Failure::new("version_broken", message, "put the file back, or choose another version"));
    }
    let known: Vec<&str> = facts.versions.iter().map(|one| one.version.as_str()).collect();
    let hint = hint(version, &known, "`tendon models add` brings one in");
    Err(Failure::new("no_version", format!("model {model} has no version {version}"), hint))
}

fn hint(wrong: &str, known: &[&str], otherwise: &str) -> String {
    let meant = tendon_plan::nearest(wrong, known.iter().copied());
    match (meant, known) {
        (Some(meant), _) => format!("did you mean {meant}? known are: {}", known.join(", ")),
        (None, []) => otherwise.to_owned(),
        (None, known) => format!("known are: {}; {otherwise}", known.join(", ")),
    }
}

/// What an alias names now, of record or by default.
fn named(view: &View, facts: &ModelFacts, model: &str, alias: &str) -> Option<Reference> {
    let of_record = view.alias(model, alias).map(|row| row.now.clone());
    of_record.or_else(|| {
        let version = facts.aliases.get(alias)?;
        let found = facts.versions.iter().find(|one| one.version == *version)?;
        Some(Reference { version: found.version.clone(), digest: found.digest.clone() })
    })
}

fn check_alias(facts: &ModelFacts, alias: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if alias.is_empty() || alias.len() > 64 || !alias.chars().all(plain) {
        let message = format!("`{alias}` cannot be an alias");
        return Err(Failure::new("alias_name", message, "1 to 64 letters, digits, `-` or `_`"));
    }
    if alias == PREVIOUS {
        let message = "the alias `previous` follows from the champion: it is what the champion was before";
        return Err(Failure::new("alias_name", message, "promote the champion, or choose another alias"));
    }
    if facts.versions.iter().any(|one| one.version == alias) {
        let message = format!("a version of the model is called {alias}");
        return Err(Failure::new("alias_name", message, "choose another alias"));
    }
    Ok(())
}

fn shown(model: &str, alias: &str, to: &Reference, from: Option<&Reference>, changed: bool) -> Json {
    json!({
        "model": model, "alias": alias, "version": to.version, "digest": to.digest,
        "from": from.map(|from| &from.version), "changed": changed,
    })
}
