//! Who is champion: aliases of models as a table of record, with who changed them and when, and what they named before.
//!
//! An alias that nobody promoted follows from the files: `champion` is the newest version, `previous` the one before it. Once
//! promoted, an alias stays where it is until somebody promotes or rolls back. A change is done in three steps, each durable
//! before the next: it is noted as pending, entered in the ledger, and carried out in one batch with the end of the note. What
//! a crash leaves pending is finished or forgotten at the next start, before anybody can ask (`finish`).

mod add;
mod change;
mod differences;
mod files;
mod write;

use std::{collections::BTreeMap, path::Path};

use tendon_doors::console::Return;
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    sockets::store::{Range, Store, Table},
};
use tendon_plan::facts::ModelFacts;
use tendon_platform::{Durability, SqliteStore};

use crate::facts::{Loaded, ModelFiles};

pub(crate) use add::{Arrival, add};
pub(crate) use change::{Asked, promote, remove, roll_back};
pub(crate) use write::finish;

/// `model/alias` → [`Alias`].
const ALIASES: Table = Table("model_aliases");
/// Model, zero, id → [`Change`]: all that was changed, in the order of time.
const CHANGES: Table = Table("model_changes");
/// Id → [`Pending`]: what was begun and not finished.
const PENDING: Table = Table("model_changes_pending");
/// More rows than anybody makes.
const ALL: usize = 1_000_000;
/// The alias an integration asks when it names none.
pub(crate) const CHAMPION: &str = "champion";
/// The version that the champion was before; follows from it.
pub(crate) const PREVIOUS: &str = "previous";

/// A version and the bytes it has.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Reference {
    pub(crate) version: String,
    /// SHA-256 of the file, lower-case hex.
    pub(crate) digest: String,
}

/// What an alias names, and what it named before, the latest last.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Alias {
    #[serde(flatten)]
    pub(crate) now: Reference,
    pub(crate) before: Vec<Reference>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Added,
    Promoted,
    RolledBack,
    Removed,
}

/// One change, as it is kept and sealed into its entry.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Change {
    /// Of its entry in the ledger.
    pub(crate) id: Id,
    pub(crate) at: Timestamp,
    pub(crate) what: What,
    pub(crate) model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alias: Option<String>,
    #[serde(flatten)]
    pub(crate) version: Reference,
    /// What the alias named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Reference>,
    pub(crate) by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// File of the version, relative to the project, where it came or went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
}

/// A change that is not done yet, with the rows of aliases that it sets.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Pending {
    change: Change,
    rows: Vec<(String, Alias)>,
}

/// How a project's models are to be seen: with the aliases of record, and with what a change would make of the files.
#[derive(Clone, Default)]
pub(crate) struct View {
    aliases: BTreeMap<(String, String), Alias>,
    /// A version of a model that is not there yet.
    staged: Option<(String, Box<Staged>)>,
    /// A version of a model that is not to be there any more.
    without: Option<(String, String)>,
}

/// A version that is not there yet.
#[derive(Clone)]
struct Staged {
    file_name: String,
    version: tendon_plan::facts::VersionFact,
    loaded: Loaded,
}

impl View {
    /// The aliases of record.
    ///
    /// # Errors
    /// As the store's; `Corrupt` when a row cannot be read.
    pub(crate) async fn of(store: &dyn Store) -> Result<Self> {
        let mut view = Self::default();
        for (key, value) in store.range(ALIASES, Range::prefix(b"", ALL)).await? {
            let key = String::from_utf8(key).map_err(|error| unreadable().private(error))?;
            let (model, alias) = key.split_once('/').ok_or_else(unreadable)?;
            view.aliases.insert((model.to_owned(), alias.to_owned()), read(&value)?);
        }
        Ok(view)
    }

    /// The same from a project's folder, for a command that opens nothing else of it; also while it runs.
    ///
    /// # Errors
    /// As the store's.
    pub(crate) async fn at(state: &Path) -> Result<Self> {
        match records(state)? {
            Some(store) => Self::of(&store).await,
            None => Ok(Self::default()),
        }
    }

    /// Whether the champion of a model stays, whatever files come.
    pub(crate) fn is_promoted(&self, model: &str) -> bool {
        self.alias(model, CHAMPION).is_some()
    }

    /// What an alias of record names.
    fn alias(&self, model: &str, alias: &str) -> Option<&Alias> {
        self.aliases.get(&(model.to_owned(), alias.to_owned()))
    }

    /// What aliases named before, where they named anything.
    pub(crate) fn returns(&self) -> Vec<Return> {
        let before = self.aliases.iter().filter_map(|((model, alias), row)| Some((model, alias, row.before.last()?)));
        let before = before.map(|(model, alias, Reference { version, digest })| Return {
            model: model.clone(),
            alias: alias.clone(),
            version: version.clone(),
            digest: digest.clone(),
        });
        before.collect()
    }

    fn set(&mut self, model: &str, alias: &str, to: Alias) {
        self.aliases.insert((model.to_owned(), alias.to_owned()), to);
    }

    /// Makes the files of a model what this view says: the staged version comes in, the one that goes is left out, a version
    /// that has other bytes than were promoted is broken, and the aliases are named.
    pub(crate) fn apply(&self, model: &str, files: &mut ModelFiles) {
        if let Some((_, version)) = self.without.as_ref().filter(|(of, _)| of == model) {
            files.facts.versions.retain(|one| one.version != *version);
            files.facts.broken.retain(|(one, _)| one != version);
            files.loaded.retain(|one| *one.reference.version != **version);
        }
        if let Some((_, staged)) = self.staged.as_ref().filter(|(of, _)| of == model) {
            files.insert(staged.version.clone(), staged.loaded.clone());
        }
        let of_record: Vec<_> = self.aliases.iter().filter(|((of, _), _)| of == model).collect();
        for (_, alias) in &of_record {
            let Reference { version, digest } = &alias.now;
            let other = |one: &tendon_plan::facts::VersionFact| one.version == *version && one.digest != *digest;
            if files.facts.versions.iter().any(other) && !digest.is_empty() {
                files.facts.versions.retain(|one| !other(one));
                files.loaded.retain(|one| *one.reference.version != **version);
                let reason = format!("its file has other bytes than were promoted; .tendon/objects/{digest} has those");
                files.facts.broken.push((version.clone(), reason));
            }
        }
        let names = of_record.into_iter().map(|((_, alias), to)| (alias.clone(), to.now.version.clone()));
        files.facts.aliases = names.collect();
        self.name_defaults(model, &mut files.facts);
    }

    /// `champion`, where it was not promoted, and `previous`, which follows from it.
    fn name_defaults(&self, model: &str, facts: &mut ModelFacts) {
        let newest = facts.versions.last().map(|version| version.version.clone());
        let promoted = self.alias(model, CHAMPION);
        let Some(champion) = promoted.map(|alias| alias.now.version.clone()).or(newest) else { return };
        let there = |reference: &&Reference| {
            reference.version != champion
                && facts.versions.iter().any(|one| one.version == reference.version && one.digest == reference.digest)
        };
        let before = promoted.and_then(|alias| alias.before.iter().rev().find(there)).map(|one| one.version.clone());
        let previous = before.or_else(|| {
            let at = facts.versions.iter().position(|one| one.version == champion)?;
            Some(facts.versions.get(at.checked_sub(1)?)?.version.clone())
        });
        let named = [(CHAMPION, Some(champion)), (PREVIOUS, previous)];
        let named = named.into_iter().filter_map(|(alias, version)| Some((alias.to_owned(), version?)));
        // A version that is called so is found by its name.
        let named: Vec<_> = named.filter(|(alias, _)| facts.versions.iter().all(|one| one.version != *alias)).collect();
        facts.aliases.extend(named);
    }
}

/// All that was done to a model, the latest first.
///
/// # Errors
/// As the store's; `Corrupt` when a row cannot be read.
pub(crate) async fn history(state: &Path, model: &str) -> Result<Vec<Change>> {
    let Some(store) = records(state)? else { return Ok(Vec::new()) };
    let range = Range { descending: true, ..Range::prefix(&key(model, ""), ALL) };
    store.range(CHANGES, range).await?.iter().map(|(_, value)| read(value)).collect()
}

/// The store of records of a project, when it has one.
fn records(state: &Path) -> Result<Option<SqliteStore>> {
    let path = state.join("records.db");
    if path.is_file() { SqliteStore::open(&path, Durability::Records).map(Some) } else { Ok(None) }
}

fn key(model: &str, id: &str) -> Vec<u8> {
    format!("{model}\0{id}").into_bytes()
}

fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T> {
    serde_json::from_slice(value).map_err(|error| unreadable().private(error))
}

fn written<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "alias_record", "a change of a model cannot be written").private(error)
    })
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "alias_record", "a stored alias of a model cannot be read")
        .hint("restore .tendon/records.db from a backup")
}
