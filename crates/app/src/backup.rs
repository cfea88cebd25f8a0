//! Backups of a project's state. In the *record's* folder: the ledger without keys, models and plans by digest, API keys (hashed) and
//! aliases; it opens nothing and may be kept for years. In the *keys'* folder: the keyring and the keys that wrap it, always
//! the newest only, so that an erasure holds in backups, too.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};
use tendon_kernel::sockets::secrets::{Keys, Secret};
use tendon_ledger::{
    backup::{Place, copy, copy_keyring, covered},
    verify::{Options, verify},
};
use tendon_platform::{ProjectLock, RealDisk, SealedKeys, copy_store};

use crate::{
    checkpoints, commands, durable,
    failure::{self, Failure},
    orders::Order,
    output,
    project::Project,
    wiring::{self, Purpose},
};

/// The ledger's folder in a backup.
const LEDGER: &str = "ledger";
/// Where a restored ledger lies until it is verified, under the project's state.
const DRAFT: &str = "restoring";
/// Folders of files that never change, each copied once.
const KEPT: [&str; 2] = ["objects", "facts"];

/// Copies what came since the last time. Works beside a running process.
///
/// # Errors
/// When there is no ledger, the folders hold another's backup, or a newer one (a fork), or a disk refuses.
pub(crate) async fn backup(project: &Project, to: &Path, keys: &Path) -> Result<Json, Failure> {
    let state = project.state();
    if !state.join(wiring::LEDGER).is_dir() {
        return Err(Failure::new("no_ledger", "the project has no ledger yet", "it is made by the first `tendon up`"));
    }
    let (to, keys) = (folder(to)?, folder(keys)?);
    if to.starts_with(&keys) || keys.starts_with(&to) {
        return Err(Failure::new(
            "backup_together",
            "the keys cannot be backed up into the record's folder, or the other way round",
            "who finds the record must not find its keys: give --keys a place of its own",
        ));
    }
    let _one_at_a_time = ProjectLock::acquire(&to)?;
    // So that the backup reaches to what was recorded before it was asked for. Where the project cannot be opened, it reaches to
    // the last checkpoint, which is a backup all the same; a fork is found below.
    if let Err(failure) = commands::order(project, Order::LedgerCheckpoint {}).await {
        output::say_line(&format!("note: the backup ends at the last checkpoint: {}", failure.message));
    }
    let (live, record, secret) = (RealDisk::new(&state)?, RealDisk::new(&to)?, RealDisk::new(&keys)?);
    let from = Place { disk: &live, folder: wiring::LEDGER };
    let copied = copy(from, Place { disk: &record, folder: LEDGER }).await?;
    // After the record, so that there is a key for each of its entries.
    copy_keyring(from, Place { disk: &secret, folder: LEDGER }).await?;
    for name in KEPT {
        copy_files(&state.join(name), &to.join(name), name == "objects")?;
    }
    copy_files(&state.join("keys"), &keys.join("keys"), false)?;
    copy_store(&state.join("records.db"), &to.join("records.db"))?;
    // Last: it says how far the keys reach.
    put(&keys.join("checkpoint"), copied.checkpoint.as_bytes())?;
    Ok(json!({
        "origin": copied.origin, "entries": copied.entries, "new": copied.entries - copied.before, "bytes": copied.bytes,
        "record": to.display().to_string(), "keys": keys.display().to_string(),
    }))
}

/// Brings a project's state back from a backup. Nothing is put in its place before all of it verified; an existing ledger is
/// never overwritten.
///
/// # Errors
/// When the project has a ledger, the keys are older than the record, or the backup does not verify.
pub(crate) async fn restore(project: &Project, from: &Path, keys: &Path) -> Result<Json, Failure> {
    let state = project.state();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&state);
    made.map_err(|error| failure::io("making the folder", &state, &error))?;
    let lock = ProjectLock::acquire(&state)?;
    let mark = checkpoints::mark(&state);
    if state.join(wiring::LEDGER).exists() || (state.join("keys").exists() && !mark.exists()) {
        return Err(Failure::new(
            "restore_exists",
            "the project has a ledger or keys already, and restoring never overwrites them",
            "restore into a copy of the project without `.tendon`, or move that folder away",
        ));
    }
    let (record, secret) = (there(from)?, there(keys)?);
    let draft = state.join(DRAFT);
    clear(&draft)?;
    let restored = draw(&state, &record, &secret).await;
    let (entries, text) = match restored {
        Ok(done) => done,
        Err(failure) => {
            clear(&draft)?;
            return Err(failure);
        }
    };
    for name in KEPT {
        copy_files(&record.join(name), &state.join(name), false)?;
    }
    copy_store(&record.join("records.db"), &state.join("records.db"))?;
    put(&mark, text.as_bytes())?;
    clear(&state.join("keys"))?;
    let place = |from: PathBuf, to: &Path| {
        fs::rename(&from, to).map_err(|error| failure::io("putting in its place", to, &error))
    };
    place(draft.join("keys"), &state.join("keys"))?;
    let target = state.join(wiring::LEDGER);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(|error| failure::io("making the folder", folder, &error))?;
    }
    place(draft.join("main"), &target)?;
    clear(&draft)?;
    sync(&state)?;
    drop(lock);
    let mut done = json!({ "entries": entries, "verified": true, "project": project.folder.display().to_string() });
    // Opening makes the projections, and records the erasures that came after the copy.
    match wiring::open(project, Purpose::Command).await {
        Ok(parts) => parts.close().await,
        Err(failure) => {
            done["open"] = failure.message.into();
            done["hint"] = failure.hint.into();
        }
    }
    Ok(done)
}

/// Copies ledger and keys beside their places and verifies every byte; gives the entries and the checkpoint.
async fn draw(state: &Path, record: &Path, secret: &Path) -> Result<(u64, String), Failure> {
    let (live, from, keys) = (RealDisk::new(state)?, RealDisk::new(record)?, RealDisk::new(secret)?);
    let folder = format!("{DRAFT}/main");
    let target = Place { disk: &live, folder: &folder };
    let copied = copy(Place { disk: &from, folder: LEDGER }, target).await?;
    copy_keyring(Place { disk: &keys, folder: LEDGER }, target).await?;
    let draft = state.join(DRAFT);
    copy_files(&secret.join("keys"), &draft.join("keys"), false)?;
    let reach = read(&secret.join("checkpoint"))?;
    let key = read(&record.join(LEDGER).join("ledger.pub"))?;
    if covered(&reach, &key)? < copied.entries {
        return Err(Failure::new(
            "keys_older",
            "the keys are older than the record: of some entries there is none, and who was erased since could be read",
            "take the keys of the last backup",
        ));
    }
    let master = std::env::var(wiring::MASTER_KEY).ok().filter(|key| !key.is_empty()).map(Secret::new);
    let sealed = SealedKeys::open(&draft.join("keys"), master.as_ref())?;
    let options = Options { keys: Some(&sealed as &dyn Keys), tail: true, newer_keys: true, ..Options::default() };
    let report = verify(&live, &folder, &options, &mut |_, _| {})?;
    if let Some(finding) = report.findings.first() {
        let entry = finding.entry.map_or_else(String::new, |entry| format!("entry {entry}: "));
        return Err(Failure::new(
            "restore_damaged",
            format!("the backup does not verify: {entry}{}", finding.what),
            "nothing was put in its place; take another copy of the backup",
        ));
    }
    Ok((report.entries, copied.checkpoint))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| failure::io("reading", path, &error))
}

/// A folder, made where it is missing.
fn folder(path: &Path) -> Result<PathBuf, Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| path.canonicalize()).map_err(|error| failure::io("making the folder", path, &error))
}

fn there(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| failure::io("opening the folder", path, &error))
}

fn clear(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure::io("removing", folder, &error)),
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> Result<(), Failure> {
    durable::sync(folder).map_err(|error| failure::io("syncing", folder, &error))
}

/// Writes a file, readable for its owner only, at once.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    durable::replace(path, bytes, 0o600).map_err(|error| failure::io("writing", path, &error))
}

/// Copies the files of a folder; those that never change only once. Without the folder there is nothing to copy.
fn copy_files(from: &Path, to: &Path, once: bool) -> Result<(), Failure> {
    let names = match fs::read_dir(from) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failure::io("listing", from, &error)),
    };
    folder(to)?;
    for entry in names {
        let path = entry.map_err(|error| failure::io("listing", from, &error))?.path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else { continue };
        let target = to.join(name);
        if !(once && target.exists()) {
            let bytes = fs::read(&path).map_err(|error| failure::io("reading", &path, &error))?;
            put(&target, &bytes)?;
        }
    }
    sync(to)
}
