//! The layer below a real program: what was synced stays, what was not is taken in parts, the clock and the room bend.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use tendon_testkit::{layer::Layer, peer::Peer};

/// A program that writes, syncs a part, renames and removes, and waits to be killed.
const PROGRAM: &str = r#"
import os, sys, time
folder = sys.argv[1]
def make(name, data, sync):
    file = os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(file, data)
    if sync: os.fdatasync(file)
    return file
make("synced", b"s" * 5000, True)
file = make("half", b"a" * 4096, True)
os.pwrite(file, b"b" * 4096, 1024)
make("unsynced", b"u" * 3000, False)
os.unlink(f"{folder}/old")
make("new", b"n", True)
os.rename(f"{folder}/new", f"{folder}/place")
print("ready", flush=True)
time.sleep(600)
"#;

fn run(layer: &Layer, folder: &Path) {
    for (name, text) in [("old", "old"), ("place", "before")] {
        fs::write(folder.join(name), text).unwrap();
    }
    let mut command = Command::new("python3");
    command.args(["-c", PROGRAM]).arg(folder);
    layer.below(&mut command);
    let mut peer = Peer::start(command);
    peer.wait_for("ready");
    peer.kill();
}

fn bytes(path: &Path) -> Option<Vec<u8>> {
    fs::read(path).ok()
}

#[test]
fn what_was_synced_stays_and_all_else_is_lost_in_parts() {
    let (mut halves, mut unsynced, mut olds, mut places) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 0..24 {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("guarded");
        let layer = Layer::over(&folder, &place.path().join("beside")).unwrap();
        run(&layer, &folder);
        let cut = layer.cut(seed).unwrap();
        assert_eq!((cut.files, cut.writes), (2, 2), "{cut:?}");
        assert_eq!(bytes(&folder.join("synced")).unwrap(), vec![b's'; 5000]);
        let half = bytes(&folder.join("half")).unwrap();
        assert_eq!(half[..1024], [b'a'; 1024], "before the write");
        assert!(half[1024..4096].iter().all(|byte| b"ab".contains(byte)));
        assert!(half[4096..].iter().all(|byte| [b'b', 0].contains(byte)));
        halves.insert(half);
        unsynced.insert(bytes(&folder.join("unsynced")));
        olds.insert(bytes(&folder.join("old")));
        places.insert(bytes(&folder.join("place")));
    }
    assert!(halves.contains(&vec![b'a'; 4096]), "the second write was never lost");
    assert!(halves.len() > 3, "it was never torn");
    assert!(unsynced.contains(&None) && unsynced.contains(&Some(vec![b'u'; 3000])), "an unsynced name comes and goes");
    assert_eq!(olds, BTreeSet::from([None, Some(b"old".to_vec())]));
    assert_eq!(places, BTreeSet::from([Some(b"before".to_vec()), Some(b"n".to_vec())]));
}

#[test]
fn syncs_that_lie_keep_nothing() {
    let mut lost = 0;
    for seed in 0..8 {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("guarded");
        let layer = Layer::over(&folder, &place.path().join("beside")).unwrap();
        layer.lie(true).unwrap();
        run(&layer, &folder);
        layer.cut(seed).unwrap();
        lost += usize::from(bytes(&folder.join("synced")) != Some(vec![b's'; 5000]));
    }
    assert!(lost > 0, "what was only said to be synced was never lost");
}

#[test]
fn the_clock_jumps_and_the_disk_is_full() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("guarded");
    let layer = Layer::over(&folder, &place.path().join("beside")).unwrap();
    let program = "import os, sys, time\n\
                   file = os.open(sys.argv[1] + '/f', os.O_RDWR | os.O_CREAT)\n\
                   try: print(int(time.time()), os.write(file, b'x' * 4000), os.pwrite(file, b'y' * 10, 0), os.write(file, b'z'))\n\
                   except OSError as error: print(error.errno, os.fstat(file).st_size)";
    let said = |program: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", program]).arg(&folder);
        layer.below(&mut command);
        String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
    };
    layer.clock(-3600).unwrap();
    let then = said("import time; print(int(time.time()))").parse::<i64>().unwrap();
    let mut date = Command::new("date");
    let now = String::from_utf8(date.arg("+%s").output().unwrap().stdout).unwrap().trim().parse::<i64>().unwrap();
    assert!((3590..=3610).contains(&(now - then)), "{then} {now}");
    layer.clock(0).unwrap();
    assert!(said(program).ends_with(" 4000 10 1"));
    fs::remove_file(folder.join("f")).unwrap();
    layer.room(Some(4000)).unwrap();
    // The room is used up to its last byte; writing over what is there goes on.
    assert_eq!(said(program), "28 4000");
}
