//! The contract of `Disk` and `File` without a power cut: random operations against a model of names and bytes.

use std::{collections::BTreeMap, io, sync::Arc};

use tendon_kernel::context::{Disk, Open};

use crate::rng::Rng;

const PATHS: [&str; 6] = ["a", "b", "in/a", "in/b", "in/deep/a", "in/deep/b"];
const FOLDERS: [&str; 4] = ["", "in", "in/deep", "nowhere"];

type Model = BTreeMap<&'static str, Vec<u8>>;

/// Runs `rounds` random steps on an empty disk. `open` opens it, and again after the handle was dropped.
///
/// # Panics
/// Where the contract is broken.
pub async fn disk(seed: u64, rounds: u32, open: impl Fn() -> Arc<dyn Disk>) {
    let mut rng = Rng::stream(seed, "disk contract");
    let mut model = Model::new();
    let mut disk = open();
    missing_folder(&*disk);
    disk.create_folder("in/deep").unwrap_or_else(|error| panic!("seed {seed}: create_folder: {error}"));
    disk.create_folder("in/deep").unwrap_or_else(|error| panic!("seed {seed}: create_folder again: {error}"));
    for round in 0..rounds {
        let at = format!("seed {seed}, round {round}");
        let path = PATHS[rng.index(PATHS.len())];
        let done = match rng.below(10) {
            0..=3 => write(&*disk, &mut model, &mut rng, path).await,
            4 => cut(&*disk, &mut model, &mut rng, path),
            5 => read(&*disk, &model, &mut rng, path),
            6 => rename(&*disk, &mut model, &mut rng, path),
            7 => remove(&*disk, &mut model, path),
            8 => list(&*disk, &model).await,
            _ => {
                drop(disk);
                disk = open();
                create(&*disk, &mut model, path)
            }
        };
        done.unwrap_or_else(|error| panic!("{at}: {path}: {error}"));
    }
    for path in PATHS {
        read(&*disk, &model, &mut rng, path).unwrap_or_else(|error| panic!("seed {seed}: {path}: {error}"));
    }
}

fn missing_folder(disk: &dyn Disk) {
    let error = disk.open("nowhere/a", Open::ReadWrite).err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::NotFound), "a file in a folder that does not exist");
    assert_eq!(disk.list("nowhere").ok(), Some(Vec::new()), "a folder that does not exist is empty");
}

async fn write(disk: &dyn Disk, model: &mut Model, rng: &mut Rng, path: &'static str) -> io::Result<()> {
    let file = disk.open(path, Open::ReadWrite)?;
    let content = model.entry(path).or_default();
    for _ in 0..=rng.index(3) {
        let offset = rng.index(content.len() + 700);
        let size = rng.index(1500);
        let bytes = rng.bytes(size);
        file.write_at(&bytes, offset as u64)?;
        let end = offset + bytes.len();
        if content.len() < end && !bytes.is_empty() {
            content.resize(end, 0);
        }
        if !bytes.is_empty() {
            content[offset..end].copy_from_slice(&bytes);
        }
    }
    if rng.chance(1, 3) {
        file.sync().await?;
    }
    assert_eq!(file.len()?, content.len() as u64, "length after writes");
    assert_eq!(file.is_empty()?, content.is_empty());
    Ok(())
}

fn cut(disk: &dyn Disk, model: &mut Model, rng: &mut Rng, path: &'static str) -> io::Result<()> {
    let Some(content) = model.get_mut(path) else { return absent(disk.open(path, Open::Read).err()) };
    let len = rng.index(content.len() + 600);
    content.resize(len, 0);
    disk.open(path, Open::ReadWrite)?.set_len(len as u64)
}

fn read(disk: &dyn Disk, model: &Model, rng: &mut Rng, path: &'static str) -> io::Result<()> {
    let Some(content) = model.get(path) else { return absent(disk.open(path, Open::Read).err()) };
    let file = disk.open(path, Open::Read)?;
    assert!(file.write_at(b"x", 0).is_err(), "a file opened for reading was written");
    let mut all = vec![0; content.len() + 10];
    let count = file.read_at(&mut all, 0)?;
    assert!(all[..count] == content[..], "content of {path}");
    let offset = rng.index(content.len() + 50);
    let mut part = vec![0; rng.index(300)];
    let count = file.read_at(&mut part, offset as u64)?;
    let rest = content.get(offset..).unwrap_or_default();
    assert!(part[..count] == rest[..part.len().min(rest.len())], "part of {path} at {offset}");
    Ok(())
}

fn create(disk: &dyn Disk, model: &mut Model, path: &'static str) -> io::Result<()> {
    let made = disk.open(path, Open::CreateNew);
    if model.contains_key(path) {
        assert_eq!(made.err().map(|error| error.kind()), Some(io::ErrorKind::AlreadyExists));
        return Ok(());
    }
    model.insert(path, Vec::new());
    made.map(drop)
}

fn rename(disk: &dyn Disk, model: &mut Model, rng: &mut Rng, from: &'static str) -> io::Result<()> {
    let to = PATHS[rng.index(PATHS.len())];
    let Some(content) = model.remove(from) else { return absent(disk.rename(from, to).err()) };
    model.insert(to, content);
    disk.rename(from, to)
}

fn remove(disk: &dyn Disk, model: &mut Model, path: &'static str) -> io::Result<()> {
    if model.remove(path).is_none() {
        return absent(disk.remove(path).err());
    }
    disk.remove(path)
}

async fn list(disk: &dyn Disk, model: &Model) -> io::Result<()> {
    for folder in FOLDERS {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut names: Vec<String> = model
            .keys()
            .filter_map(|path| path.strip_prefix(prefix.as_str()))
            .filter(|name| !name.contains('/'))
            .map(str::to_owned)
            .collect();
        match folder {
            "" => names.push("in/".to_owned()),
            "in" => names.push("deep/".to_owned()),
            _ => {}
        }
        names.sort();
        assert_eq!(disk.list(folder)?, names, "names in `{folder}`");
        if folder != "nowhere" {
            disk.sync_folder(folder).await?;
        }
    }
    Ok(())
}

fn absent(error: Option<io::Error>) -> io::Result<()> {
    assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::NotFound), "a file that does not exist");
    Ok(())
}
