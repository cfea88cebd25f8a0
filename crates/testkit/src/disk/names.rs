//! Names of the disk in memory: which path leads to which file, as shown and as safe, and the changes between the two.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use crate::rng::Rng;

/// A path without `./`, doubled or trailing slashes; the root is empty.
pub(super) fn normal(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

/// The folder that a path lies in.
pub(super) fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

/// A change of names.
pub(super) enum NameOp {
    /// A new file.
    Link { path: String, node: usize },
    /// A file is gone.
    Unlink { path: String },
    /// A file has another name, whatever had it before.
    Move { from: String, to: String, node: usize },
    /// A new folder.
    Folder { path: String },
}

impl NameOp {
    /// The folder whose sync makes it safe.
    fn folder(&self) -> String {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } | Self::Folder { path } => folder_of(path),
            Self::Move { to, .. } => folder_of(to),
        }
    }

    fn run(&self, files: &mut BTreeMap<String, usize>, folders: &mut BTreeSet<String>) {
        match self {
            Self::Link { path, node } => {
                files.insert(path.clone(), *node);
            }
            Self::Unlink { path } => {
                files.remove(path);
            }
            Self::Move { from, to, node } => {
                // Only the moved file leaves its old name: another may have taken it where the two are reordered.
                if files.get(from) == Some(node) {
                    files.remove(from);
                }
                files.insert(to.clone(), *node);
            }
            Self::Folder { path } => {
                folders.insert(path.clone());
            }
        }
    }
}

/// All names. Folders are never removed.
#[derive(Default)]
pub(super) struct Names {
    pub(super) shown: BTreeMap<String, usize>,
    pub(super) safe: BTreeMap<String, usize>,
    shown_folders: BTreeSet<String>,
    safe_folders: BTreeSet<String>,
    pending: Vec<(u64, NameOp)>,
}

impl Names {
    pub(super) fn apply(&mut self, number: u64, op: NameOp) {
        op.run(&mut self.shown, &mut self.shown_folders);
        self.pending.push((number, op));
    }

    /// Makes the changes in a folder up to a mark safe.
    pub(super) fn settle(&mut self, folder: &str, mark: u64) {
        for (number, op) in std::mem::take(&mut self.pending) {
            if number <= mark && op.folder() == folder {
                op.run(&mut self.safe, &mut self.safe_folders);
            } else {
                self.pending.push((number, op));
            }
        }
    }

    /// Each unsynced change survives or not, on its own; what lies in a folder that did not survive is gone.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let luck = [0, 4, 8, 4][rng.index(4)];
        for (_, op) in std::mem::take(&mut self.pending) {
            if rng.chance(luck, 8) {
                op.run(&mut self.safe, &mut self.safe_folders);
            }
        }
        let folders = self.safe_folders.clone();
        self.safe_folders.retain(|path| all_above(path, &folders));
        let folders = self.safe_folders.clone();
        self.safe.retain(|path, _| all_above(path, &folders));
        self.shown.clone_from(&self.safe);
        self.shown_folders.clone_from(&self.safe_folders);
    }

    pub(super) fn has_folder(&self, folder: &str) -> bool {
        folder.is_empty() || self.shown_folders.contains(folder)
    }

    pub(super) fn parent_must_exist(&self, path: &str) -> io::Result<()> {
        if self.has_folder(&folder_of(path)) {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::NotFound, "no such folder"))
        }
    }

    /// The folder and those above it that do not exist yet, outermost first.
    pub(super) fn missing_folders(&self, folder: &str) -> Vec<String> {
        let mut missing = Vec::new();
        let mut path = folder.to_owned();
        while !self.has_folder(&path) {
            missing.push(path.clone());
            path = folder_of(&path);
        }
        missing.reverse();
        missing
    }

    pub(super) fn add_folder_safe(&mut self, folder: &str) {
        for path in self.missing_folders(folder) {
            self.shown_folders.insert(path.clone());
            self.safe_folders.insert(path);
        }
    }

    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        let inside = |path: &str| {
            if folder_of(path) == folder && !path.is_empty() {
                path.rsplit('/').next().map(str::to_owned)
            } else {
                None
            }
        };
        let files = self.shown.keys().filter_map(|path| inside(path));
        let folders = self.shown_folders.iter().filter_map(|path| inside(path)).map(|name| format!("{name}/"));
        let mut names: Vec<_> = files.chain(folders).collect();
        names.sort_unstable();
        names
    }
}

/// Whether every folder above a path is there.
fn all_above(path: &str, folders: &BTreeSet<String>) -> bool {
    let mut above = folder_of(path);
    while !above.is_empty() {
        if !folders.contains(&above) {
            return false;
        }
        above = folder_of(&above);
    }
    true
}
