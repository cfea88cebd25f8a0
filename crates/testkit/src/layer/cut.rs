//! Takes away what was not synced: reads the notes of `layer.c`, brings every file back to what is certainly on the disk, and
//! then lets a part of the unsynced writes happen after all: none, all, those up to a torn one, or single sectors, as disks do.
//! Names come back in order: the last ones are lost first, as with a file system that keeps a journal.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::Rng;

const SECTOR: u64 = 512;
const HEAD: usize = 40;

/// What a power cut took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Files with unsynced writes.
    pub files: u64,
    /// Unsynced writes and changes of length.
    pub writes: u64,
    /// Those of them that are gone or torn.
    pub lost: u64,
    /// Unsynced new, renamed and removed names.
    pub names: u64,
    /// Those of them that are undone.
    pub undone: u64,
}

/// One unsynced act on a file.
struct Act {
    write: bool,
    offset: u64,
    /// Length of the file before.
    size: u64,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// One unsynced act on names.
struct Name {
    kind: char,
    one: PathBuf,
    two: PathBuf,
    three: PathBuf,
}

pub(super) fn cut(folder: &Path, journal: &Path, seed: u64) -> io::Result<Cut> {
    let mut rng = Rng::new(seed);
    let mut done = Cut::default();
    let mut paths = BTreeMap::new();
    inodes(folder, &mut paths)?;
    inodes(journal, &mut paths)?;
    for entry in fs::read_dir(journal)? {
        let entry = entry?;
        let Some(inode) = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok()) else { continue };
        let acts = acts(&fs::read(entry.path())?);
        // A file without a name was removed, and that is certain: nothing of it is left to lose.
        let Some(path) = paths.get(&inode).filter(|_| !acts.is_empty()) else { continue };
        done.files += 1;
        done.writes += acts.len() as u64;
        let file = File::options().write(true).open(path)?;
        back(&file, &acts)?;
        done.lost += again(&file, &acts, &mut rng)?;
    }
    let names = names(&fs::read_to_string(journal.join("names")).unwrap_or_default());
    let kept = usize::try_from(rng.below(names.len() as u64 + 1)).unwrap_or(0);
    done.names = names.len() as u64;
    done.undone = (names.len() - kept) as u64;
    for name in names.iter().skip(kept).rev() {
        undo(name)?;
    }
    Ok(done)
}

fn inodes(folder: &Path, found: &mut BTreeMap<u64, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.path().symlink_metadata()?;
        if about.is_dir() {
            inodes(&entry.path(), found)?;
        } else if about.is_file() {
            found.entry(about.ino()).or_insert_with(|| entry.path());
        }
    }
    Ok(())
}

/// The acts of a file's notes, in order. The kill may have torn the last note; its act did not happen then.
fn acts(notes: &[u8]) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut at = 0;
    while let Some(head) = notes.get(at..at + HEAD) {
        let number = |which: usize| {
            let bytes = head.get(which * 8..which * 8 + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_ne_bytes)
        };
        let (old, new) = (number(3) as usize, number(4) as usize);
        let body = at + HEAD;
        let (Some(old), Some(new)) = (notes.get(body..body + old), notes.get(body + old..body + old + new)) else {
            break;
        };
        let write = number(0) == u64::from(b'W');
        acts.push(Act { write, offset: number(1), size: number(2), old: old.to_vec(), new: new.to_vec() });
        at = body + old.len() + new.len();
    }
    acts
}

/// To what is certainly on the disk.
fn back(file: &File, acts: &[Act]) -> io::Result<()> {
    for act in acts.iter().rev() {
        file.write_all_at(&act.old, act.offset)?;
        file.set_len(act.size)?;
    }
    Ok(())
}

/// Lets a part of the acts happen again; how many did not, or not wholly.
fn again(file: &File, acts: &[Act], rng: &mut Rng) -> io::Result<u64> {
    let count = acts.len();
    let (whole, torn, single) = match rng.below(4) {
        0 => (0, false, false),
        1 => (count, false, false),
        2 => (usize::try_from(rng.below(count as u64)).unwrap_or(0), true, false),
        _ => (0, false, true),
    };
    let mut lost = 0;
    for (number, act) in acts.iter().enumerate() {
        let sectors = single || (torn && number == whole);
        match (number < whole, sectors, act.write) {
            (true, _, true) => file.write_all_at(&act.new, act.offset)?,
            (true, _, false) => file.set_len(act.offset)?,
            (false, true, true) => {
                some_sectors(file, act, rng)?;
                lost += 1;
            }
            (false, true, false) if rng.below(2) == 0 => file.set_len(act.offset)?,
            (false, ..) => lost += 1,
        }
    }
    Ok(lost)
}

fn some_sectors(file: &File, act: &Act, rng: &mut Rng) -> io::Result<()> {
    let end = act.offset + act.new.len() as u64;
    let mut at = act.offset;
    while at < end {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        if rng.below(2) == 0 {
            let range = usize::try_from(at - act.offset).unwrap_or(0)..usize::try_from(next - act.offset).unwrap_or(0);
            file.write_all_at(act.new.get(range).unwrap_or_default(), at)?;
        }
        at = next;
    }
    Ok(())
}

/// The acts on names that no sync made certain, in order. A file's own sync keeps the name it was made with, as the file
/// systems in use do.
fn names(notes: &str) -> Vec<Name> {
    let mut left: Vec<Name> = Vec::new();
    for line in notes.lines() {
        let mut parts = line.split('\t');
        let (Some(kind), Some(one), Some(two), Some(three)) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            break;
        };
        let path = PathBuf::from(one);
        let within = |known: &Path| known.parent() == Some(&path);
        match kind {
            "D" => left.retain(|name| !(within(&name.one) || (name.kind == 'R' && within(&name.two)))),
            "F" => left.retain(|name| !(name.kind == 'C' && name.one == path)),
            _ => {
                let kind = kind.chars().next().unwrap_or(' ');
                left.push(Name { kind, one: path, two: two.into(), three: three.into() });
            }
        }
    }
    left
}

fn undo(name: &Name) -> io::Result<()> {
    let gone = |outcome: io::Result<()>| match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match name.kind {
        'C' => gone(fs::remove_file(&name.one)),
        'M' => gone(fs::remove_dir_all(&name.one)),
        'U' if !name.one.exists() => fs::hard_link(&name.two, &name.one),
        'R' if !name.one.exists() => {
            gone(fs::rename(&name.two, &name.one))?;
            if name.three.as_os_str().is_empty() { Ok(()) } else { fs::rename(&name.three, &name.two) }
        }
        // It did not happen: the program was killed just before.
        _ => Ok(()),
    }
}
