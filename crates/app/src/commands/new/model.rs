//! The model of a new integration: a file that is copied into the project as a new version, or one that is there.

use std::{path::Path, sync::Arc};

use tendon_kernel::sockets::{
    ledger::ModelRef,
    model::{Model, Signature},
};
use tendon_plan::facts::{ModelFacts, VersionFact};

use crate::{
    assemble::Assembled,
    facts,
    failure::{self, Failure},
    project::Project,
};

/// The model that answers.
pub(super) struct Chosen {
    /// Its name in the project.
    pub(super) name: String,
    pub(super) loaded: Arc<dyn Model>,
    pub(super) reference: ModelRef,
    /// What is known of it then.
    pub(super) facts: ModelFacts,
    /// File to be written, relative to the project, with its bytes; `None` when it is there.
    pub(super) file: Option<(String, Vec<u8>)>,
    /// Path of the model, when tendon.yaml has no such model yet.
    pub(super) path: Option<String>,
}

impl Chosen {
    pub(super) fn signature(&self) -> &Signature {
        self.loaded.signature()
    }
}

/// Finds or loads it. `promoted`: whether the champion of the model of that name was promoted.
///
/// # Errors
/// When there is no such file or model, or it cannot be loaded.
pub(super) fn choose(
    project: &Project,
    known: &Assembled,
    given: &Path,
    integration: &str,
    promoted: bool,
) -> Result<Chosen, Failure> {
    let named = given.to_string_lossy().into_owned();
    if !given.is_file() {
        return of_project(known, &named);
    }
    let bytes = std::fs::read(given).map_err(|error| failure::io("reading the model", given, &error))?;
    let file = given.file_name().and_then(|name| name.to_str());
    let (format, loaded) = tendon_models::load(file, &bytes)?;
    let digest = facts::sha256(&bytes);
    // A file that the project has already, whatever it is called there, is not copied again.
    for (name, files) in &known.models {
        if let Some(version) = files.loaded.iter().find(|one| *one.reference.digest == *digest) {
            let facts = files.facts.clone();
            let newest = facts.aliases.get("champion").is_some_and(|champion| **champion == *version.reference.version);
            if newest {
                let (loaded, reference) = (version.model.clone(), version.reference.clone());
                return Ok(Chosen { name: name.clone(), loaded, reference, facts, file: None, path: None });
            }
        }
    }
    let files = known.models.get(integration);
    let mut facts = files.map(|files| files.facts.clone()).unwrap_or_default();
    let outline = tendon_plan::outline(&known.sources);
    let place = outline.models.into_iter().find(|(name, _)| name == integration).map(|(_, path)| path);
    let folder = place.clone().unwrap_or_else(|| format!("models/{integration}"));
    if project.folder.join(&folder).is_file() {
        let message =
            format!("model {integration} of the project is one file, {folder}, which has no room for another version");
        return Err(Failure::new(
            "model_is_file",
            message,
            "make it a folder with one file per version, or choose another name",
        ));
    }
    if promoted {
        let message = format!("the champion of model {integration} was promoted: a new file would not be asked");
        let hint =
            format!("add the file with `tendon models add {integration} FILE`, promote it, and name the model here");
        return Err(Failure::new("model_promoted", message, hint));
    }
    let version = format!("v{}", facts.versions.len() + facts.broken.len() + 1);
    let ending = given.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
    facts.versions.push(VersionFact {
        version: version.clone(),
        digest: digest.clone(),
        format: format.name.to_owned(),
        signature: loaded.signature().clone(),
    });
    facts.aliases.insert("champion".to_owned(), version.clone());
    let reference = ModelRef { name: integration.into(), version: version.as_str().into(), digest: digest.into() };
    let path = place.is_none().then(|| folder.clone());
    let file = Some((format!("{folder}/{version}{ending}"), bytes));
    Ok(Chosen { name: integration.to_owned(), loaded, reference, facts, file, path })
}

fn of_project(known: &Assembled, name: &str) -> Result<Chosen, Failure> {
    let missing = |hint: String| {
        Failure::new("model_not_found", format!("there is no model file {name}, and no model of this name"), hint)
    };
    let Some(files) = known.models.get(name) else {
        let names: Vec<&str> = known.models.keys().map(String::as_str).collect();
        return Err(missing(if names.is_empty() {
            "name the model's file".to_owned()
        } else {
            format!("the project's models are: {}", names.join(", "))
        }));
    };
    let champion = files.facts.aliases.get("champion");
    let loaded = files.loaded.iter().find(|one| champion.is_some_and(|champion| **champion == *one.reference.version));
    let loaded = loaded.ok_or_else(|| missing(format!("`tendon models list` shows what is wrong with {name}")))?;
    let (reference, facts) = (loaded.reference.clone(), files.facts.clone());
    Ok(Chosen { name: name.to_owned(), loaded: loaded.model.clone(), reference, facts, file: None, path: None })
}
