//! Facts: what systems and models say of themselves, gathered for the plan and kept under `.tendon/facts`, so that a
//! system that is down does not stop a check. Model files are loaded here, once, for the facts and for the engine alike.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ring::digest::{SHA256, digest};
use tendon_kernel::{
    schema::Catalog,
    sockets::{ledger::ModelRef, model::Model},
};
use tendon_plan::facts::{ModelFacts, VersionFact};

use crate::{
    failure::{self, Failure},
    registry::View,
};

/// One version of a model, loaded.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// Name, version and digest.
    pub(crate) reference: ModelRef,
    /// The model.
    pub(crate) model: Arc<dyn Model>,
    /// The file's bytes, to be kept by digest so that a replay finds them.
    pub(crate) bytes: Arc<[u8]>,
}

/// Facts and loaded versions of one model.
#[derive(Default)]
pub(crate) struct ModelFiles {
    pub(crate) facts: ModelFacts,
    pub(crate) loaded: Vec<Loaded>,
}

impl ModelFiles {
    /// Puts a version in its place by natural order.
    pub(crate) fn insert(&mut self, version: VersionFact, loaded: Loaded) {
        let at = self.facts.versions.partition_point(|one| natural(&one.version) < natural(&version.version));
        self.facts.versions.insert(at, version);
        self.loaded.insert(at.min(self.loaded.len()), loaded);
    }
}

/// Lower-case hex of the SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Loads all versions of a model: the file itself, or the files in the folder whose ending a format knows. A version that
/// cannot be loaded is named with its reason, and the others go on.
pub(crate) fn read_model(folder: &Path, name: &str, path: &str, view: &View) -> ModelFiles {
    let mut found = ModelFiles::default();
    let place = folder.join(path);
    for file in files(&place) {
        let version = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        match load(&file) {
            Ok((format, model, bytes)) => {
                let digest = sha256(&bytes);
                found.facts.versions.push(VersionFact {
                    version: version.clone(),
                    digest: digest.clone(),
                    format: format.to_owned(),
                    signature: model.signature().clone(),
                });
                let reference =
                    ModelRef { name: Arc::from(name), version: Arc::from(version), digest: Arc::from(digest) };
                found.loaded.push(Loaded { reference, model, bytes: bytes.into() });
            }
            Err(reason) => found.facts.broken.push((version, reason)),
        }
    }
    view.apply(name, &mut found);
    found
}

/// The file of a version of a model that is a folder.
pub(crate) fn file_of(place: &Path, version: &str) -> Option<PathBuf> {
    files(place).into_iter().find(|file| file.file_stem().is_some_and(|stem| *stem == *version))
}

/// Format, model and bytes of a file.
type Read = (&'static str, Arc<dyn Model>, Vec<u8>);

/// Loads one file.
fn load(file: &Path) -> Result<Read, String> {
    let bytes = fs::read(file).map_err(|error| format!("reading the file failed: {error}"))?;
    let name = file.file_name().and_then(|name| name.to_str());
    let (format, model) = tendon_models::load(name, &bytes).map_err(|error| error.to_string())?;
    Ok((format.name, model, bytes))
}

/// The files of a model, oldest version first (natural order: `v10` comes after `v9`).
fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let known = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut endings = tendon_models::FORMATS.iter().flat_map(|format| format.extensions);
        path.is_file() && !name.starts_with('.') && endings.any(|ending| name.ends_with(ending))
    };
    let list = fs::read_dir(place).map(|list| list.filter_map(|item| Some(item.ok()?.path())).collect());
    let mut files: Vec<PathBuf> = list.unwrap_or_default();
    files.retain(|path| known(path));
    let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    files.sort_by_cached_key(|path| (natural(&stem(path)), path.clone()));
    files
}

/// A text as pieces that sort naturally: runs of digits by their number, all else by its letters.
fn natural(text: &str) -> Vec<(u64, String)> {
    let mut pieces: Vec<(u64, String)> = Vec::new();
    let mut digits = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            pieces.push((digits.parse().unwrap_or(u64::MAX), String::new()));
            digits.clear();
        }
        match pieces.last_mut() {
            Some((u64::MAX, letters)) => letters.push(c),
            _ => pieces.push((u64::MAX, c.to_string())),
        }
    }
    pieces
}

/// What a system said of itself the last time it was reachable.
pub(crate) fn kept_catalog(state: &Path, system: &str) -> Option<Catalog> {
    let text = fs::read(catalog_path(state, system)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Keeps what a system said of itself. Written beside and renamed, so that a reader never sees half of it.
///
/// # Errors
/// As the file system's.
pub(crate) fn keep_catalog(state: &Path, system: &str, catalog: &Catalog) -> Result<(), Failure> {
    let path = catalog_path(state, system);
    let text = serde_json::to_vec_pretty(catalog).unwrap_or_default();
    if fs::read(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let folder = state.join("facts");
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&beside, text))
        .and_then(|()| fs::rename(&beside, &path))
        .map_err(|error| failure::io("keeping the catalog in", &path, &error))
}

fn catalog_path(state: &Path, system: &str) -> PathBuf {
    state.join("facts").join(format!("{system}.json"))
}

/// Facts of all models by name.
pub(crate) fn model_facts(models: &BTreeMap<String, ModelFiles>) -> BTreeMap<String, ModelFacts> {
    models.iter().map(|(name, files)| (name.clone(), files.facts.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_by_their_numbers() {
        let mut names = ["v10", "v9", "2026-05", "v9b", "v1"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["2026-05", "v1", "v9", "v9b", "v10"]);
    }

    #[test]
    fn the_newest_version_is_champion_and_the_one_before_it_previous() {
        let folder = tempfile::tempdir().unwrap();
        let model = include_str!("../../../examples/lead-score/lead-score.txt");
        let aliases = || {
            read_model(folder.path(), "lead-score", ".", &View::default()).facts.aliases.into_iter().collect::<Vec<_>>()
        };
        let named = |alias: &str, version: &str| (alias.to_owned(), version.to_owned());
        assert_eq!(aliases(), []);
        fs::write(folder.path().join("v9.txt"), model).unwrap();
        assert_eq!(aliases(), [named("champion", "v9")]);
        fs::write(folder.path().join("v10.txt"), model).unwrap();
        assert_eq!(aliases(), [named("champion", "v10"), named("previous", "v9")]);
        fs::write(folder.path().join("previous.txt"), model).unwrap();
        assert_eq!(aliases(), [named("champion", "v10")], "a version's own name goes before");
    }
}
