//! A project's files, changed only when the whole project is right afterwards, and never overwritten.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use tendon_kernel::schema::Catalog;
use tendon_plan::{Facts, Finding, Plan, Severity, Sources};

use crate::{
    failure::{self, Failure},
    project::{MAIN, Project},
};

/// Changes to a project that are not on disk yet.
pub(crate) struct Draft {
    folder: PathBuf,
    /// `tendon.yaml` as it was and as it will be.
    before: String,
    pub(crate) main: String,
    others: Vec<(String, String)>,
    /// What the new configuration is checked against.
    pub(crate) facts: Facts,
    added: Vec<(String, String)>,
    models: Vec<(String, Vec<u8>)>,
}

impl Draft {
    /// The project as it is, with what is known of it.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub(crate) fn new(project: &Project, facts: Facts) -> Result<Self, Failure> {
        let mut sources = project.sources()?.into_iter();
        let before = sources.next().map(|(_, text)| text).unwrap_or_default();
        let others = sources.collect();
        Ok(Self {
            folder: project.folder.clone(),
            main: before.clone(),
            before,
            others,
            facts,
            added: Vec::new(),
            models: Vec::new(),
        })
    }

    /// What a system said of itself.
    pub(crate) fn knows(&mut self, system: &str, catalog: &Catalog) {
        self.facts.catalogs.insert(system.to_owned(), catalog.clone());
    }

    /// Adds a configuration file; its name is relative to the folder. One of the same name added before is replaced.
    pub(crate) fn add(&mut self, name: &str, text: String) {
        self.added.retain(|(known, _)| known != name);
        self.added.push((name.to_owned(), text));
    }

    /// Adds a model's file.
    pub(crate) fn add_model(&mut self, name: &str, bytes: Vec<u8>) {
        self.models.push((name.to_owned(), bytes));
    }

    /// The plan that the changed project has.
    ///
    /// # Errors
    /// The findings, when it has none.
    pub(crate) fn plan(&self) -> Result<(Plan, Vec<Finding>), Failure> {
        let mut sources = vec![(MAIN.to_owned(), self.main.clone())];
        sources.extend(self.others.iter().chain(&self.added).cloned());
        let outcome = tendon_plan::plan(&Sources(sources), &self.facts, tendon_connectors::ALL);
        let findings = outcome.findings;
        match outcome.plan {
            Some(plan) => Ok((plan, findings)),
            None => {
                let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
                let shown: String = errors.take(8).map(|finding| format!("\n  {finding}")).collect();
                Err(Failure::new(
                    "would_not_check",
                    format!("nothing was written, because the project would have errors:{shown}"),
                    "answer by flags what is named there, or mend what was wrong before: `tendon check`",
                ))
            }
        }
    }

    /// Writes it all: new files first, `tendon.yaml` last and in one step.
    ///
    /// # Errors
    /// When a file is there already, or cannot be written.
    pub(crate) fn write(&self) -> Result<Vec<String>, Failure> {
        let mut written = Vec::new();
        let texts = self.added.iter().map(|(name, text)| (name, text.as_bytes()));
        for (name, bytes) in self.models.iter().map(|(name, bytes)| (name, bytes.as_slice())).chain(texts) {
            let path = self.folder.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| failure::io("making the folder", parent, &error))?;
            }
            if !write_new(&path, bytes)? {
                return Err(Failure::new(
                    "file_there",
                    format!("{name} is there already, and nothing is overwritten"),
                    "choose another name, or move the file away",
                ));
            }
            written.push(name.clone());
        }
        if self.main != self.before {
            let path = self.folder.join(MAIN);
            let beside = self.folder.join(format!(".{MAIN}.new-{}", std::process::id()));
            let io = |error: std::io::Error| failure::io("writing", &path, &error);
            if fs::read_to_string(&path).map_err(io)? != self.before {
                return Err(Failure::new(
                    "changed_meanwhile",
                    "tendon.yaml was changed by somebody else meanwhile",
                    "run the command again",
                ));
            }
            fs::write(&beside, &self.main).map_err(io)?;
            fs::rename(&beside, &path).map_err(io)?;
            written.push(MAIN.to_owned());
        }
        Ok(written)
    }
}

/// Writes a file where there is none; whether it was written.
///
/// # Errors
/// As the file system's.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, Failure> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    match opened.and_then(|mut file| file.write_all(bytes)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failure::io("writing", path, &error)),
    }
}

/// Writes the schemas that the files' first lines name, for editors: made from this program, so never edited.
///
/// # Errors
/// As the file system's.
pub(crate) fn schema_files(state: &Path) -> Result<(), Failure> {
    let folder = state.join("schema");
    fs::create_dir_all(&folder).map_err(|error| failure::io("making the folder", &folder, &error))?;
    let schemas = tendon_plan::schema::editor_schema(tendon_connectors::ALL);
    for (name, pattern) in [("tendon.json", "tendon.yaml"), ("integration.json", "integrations/*.yaml")] {
        let path = folder.join(name);
        let text = serde_json::to_vec_pretty(&schemas[pattern]).unwrap_or_default();
        if fs::read(&path).is_ok_and(|old| old == text) {
            continue;
        }
        fs::write(&path, text).map_err(|error| failure::io("writing", &path, &error))?;
    }
    Ok(())
}
