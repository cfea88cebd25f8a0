//! A project on disk: where it is and which files make up its configuration.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::failure::{self, Failure};

/// Name of the file that makes a folder a project.
pub(crate) const MAIN: &str = "tendon.yaml";

/// A project's folder.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    /// Where everything Tendon keeps is, when that is not inside of the folder.
    pub(crate) state: Option<PathBuf>,
    /// Only these integrations are run; empty: all.
    pub(crate) only: Vec<String>,
}

impl Project {
    /// The project in a folder that was named, or in the current folder or the nearest above it; `state` is where it keeps
    /// what is not configuration, default: `.tendon` in that folder.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(named: Option<&Path>, state: Option<&Path>) -> Result<Self, Failure> {
        let absolute = |path: &Path| {
            path.canonicalize().map_err(|error| failure::io("opening the folder", path, &error).could_not_run())
        };
        let state = state.map(std::path::absolute).transpose();
        let state =
            state.map_err(|error| failure::io("naming the folder", Path::new("--state"), &error).could_not_run())?;
        if let Some(folder) = named {
            let folder = absolute(folder)?;
            if folder.join(MAIN).is_file() {
                return Self { folder, state, only: Vec::new() }.unless_foreign();
            }
            return Err(none(&format!("there is no {MAIN} in {}", folder.display())));
        }
        let here = absolute(Path::new("."))?;
        let found = here.ancestors().find(|folder| folder.join(MAIN).is_file());
        let folder = found.ok_or_else(|| none(&format!("there is no {MAIN} in {} or above it", here.display())))?;
        Self { folder: folder.to_owned(), state, only: Vec::new() }.unless_foreign()
    }

    /// Root may do everything, and would leave files that the account of the service cannot write any more.
    fn unless_foreign(self) -> Result<Self, Failure> {
        let owner = |path: &Path| fs::metadata(path).map(|found| found.uid()).ok();
        match (owner(Path::new("/proc/self")), owner(&self.state())) {
            (Some(0), Some(owner)) if owner != 0 => Err(foreign(&self.state(), owner)),
            _ => Ok(self),
        }
    }

    /// The folder of everything Tendon keeps.
    pub(crate) fn state(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.folder.join(".tendon"))
    }

    /// The configuration: name relative to the folder and text, `tendon.yaml` first, then the integrations by name.
    ///
    /// # Errors
    /// When a file cannot be read or is no UTF-8.
    pub(crate) fn sources(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut names = vec![MAIN.to_owned()];
        let folder = self.folder.join("integrations");
        if folder.is_dir() {
            let list =
                fs::read_dir(&folder).map_err(|error| failure::io("listing", &folder, &error).could_not_run())?;
            let mut found: Vec<String> = list
                .filter_map(|item| item.ok()?.file_name().into_string().ok())
                .filter(|name| !name.starts_with('.'))
                .filter(|name| Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml"))
                .collect();
            found.sort();
            names.extend(found.into_iter().map(|name| format!("integrations/{name}")));
        }
        let read = |name: String| {
            let path = self.folder.join(&name);
            let text =
                fs::read_to_string(&path).map_err(|error| failure::io("reading", &path, &error).could_not_run())?;
            Ok((name, text))
        };
        names.into_iter().map(read).collect()
    }
}

fn foreign(state: &Path, owner: u32) -> Failure {
    let message = format!(
        "{} belongs to the account {owner}, and root would leave files there that it cannot use",
        state.display()
    );
    let hint = format!("run it as that account: `sudo -u '#{owner}' tendon …`");
    Failure::new("other_account", message, hint).could_not_run()
}

fn none(message: &str) -> Failure {
    Failure::new("no_project", message, "name the project's folder with --project D, or make one with `tendon init`")
        .could_not_run()
}
