//! What every test starts with: a project of its own in a folder of its own, the real program on it, and a plain HTTP client.

mod client;
pub(crate) mod crm;
mod mount;
mod project;
mod sample;
mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

pub(crate) use client::{Answer, Client};
pub(crate) use mount::Mount;
pub(crate) use project::{Project, Ran, Setup, example, insert_lead, run_in};
pub(crate) use sample::{FEATURES, input, sample};
pub(crate) use server::Server;

/// Longest wait for something that has to happen; far longer than it takes on a machine under load.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Looks again and again until something is there.
///
/// # Panics
/// When it is not within [`LONG`].
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LONG, "waited in vain until {what}");
        rest(Duration::from_millis(5));
    }
}

/// Looks whether something stays true while other things happen: `look` says true, and `passed` says when that was long enough.
///
/// # Panics
/// When it does not stay true, or `passed` never comes.
pub(crate) fn stays(what: &str, mut look: impl FnMut() -> bool, mut passed: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !passed() {
        assert!(look(), "it did not stay so: {what}");
        assert!(begun.elapsed() < LONG, "what was waited for did not come while {what}");
        rest(Duration::from_millis(5));
    }
    assert!(look(), "it did not stay so: {what}");
}

/// All files below a folder.
///
/// # Panics
/// When it cannot be read.
pub(crate) fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// Leaves the processor to others between two looks. Nothing relies on how long it takes.
pub(crate) fn rest(most: Duration) {
    thread::park_timeout(most);
}
