//! A layer below a real program (`layer.c`, put in front of the C library): it takes away what a program wrote and did not
//! sync, as a power cut does, bends its wall clock, lets its disk become full, and makes syncs lie, fail or wait. The program is not
//! changed and knows nothing of it.
//!
//! The source is compiled into `target/` when it is first asked for; a C compiler is part of the set-up anyway.

mod cut;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

pub use cut::Cut;

use crate::peer::workspace;

const SOURCE: &str = include_str!("layer.c");

/// The layer over one folder.
pub struct Layer {
    library: PathBuf,
    folder: PathBuf,
    journal: PathBuf,
    control: File,
    control_path: PathBuf,
}

fn failed(what: &str, error: &io::Error) -> String {
    format!("{what}: {error}")
}

impl Layer {
    /// Prepares the layer over `folder` (made when missing), with its notes in `beside`, which must lie on the same file
    /// system outside of that folder.
    ///
    /// # Errors
    /// A sentence when the layer cannot be compiled or the folders not be made.
    pub fn over(folder: &Path, beside: &Path) -> Result<Self, String> {
        let library = compile()?;
        let journal = beside.join("journal");
        for made in [folder, &journal] {
            fs::create_dir_all(made).map_err(|error| failed("the layer's folders could not be made", &error))?;
        }
        let folder = folder.canonicalize().map_err(|error| failed("the guarded folder has no path", &error))?;
        let control_path = beside.join("control");
        let mut options = File::options();
        let control = options.read(true).write(true).create(true).truncate(true).open(&control_path);
        let control = control.map_err(|error| failed("the layer's switches could not be made", &error))?;
        let layer = Self { library, folder, journal, control, control_path };
        layer.switch(0, 0)?;
        layer.room(None)?;
        layer.lie(false)?;
        layer.switch(3, 0)?;
        Ok(layer)
    }

    /// Puts a program below the layer.
    pub fn below(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("LAYER_FOLDER", &self.folder)
            .env("LAYER_JOURNAL", &self.journal)
            .env("LAYER_CONTROL", &self.control_path);
    }

    fn switch(&self, at: u64, value: i64) -> Result<(), String> {
        let written = self.control.write_all_at(&value.to_ne_bytes(), at * 8);
        written.map_err(|error| failed("the layer's switches could not be written", &error))
    }

    /// Sets the wall clock of the program ahead (or back) by so many seconds, at once.
    ///
    /// # Errors
    /// When the switch cannot be written.
    pub fn clock(&self, seconds: i64) -> Result<(), String> {
        self.switch(0, seconds.saturating_mul(1_000_000_000))
    }

    /// Lets the files of the folder grow by so many more bytes, then the disk is full; without a number there is room.
    ///
    /// # Errors
    /// When the switch cannot be written.
    pub fn room(&self, bytes: Option<u32>) -> Result<(), String> {
        self.switch(1, bytes.map_or(-1, i64::from))
    }

    /// Makes syncs return at once without having done anything.
    ///
    /// # Errors
    /// When the switch cannot be written.
    pub fn lie(&self, lie: bool) -> Result<(), String> {
        self.switch(2, i64::from(lie))
    }

    /// Makes syncs fail, as of a disk that is breaking; what was written can be read all the same.
    ///
    /// # Errors
    /// When the switch cannot be written.
    pub fn fail(&self, fail: bool) -> Result<(), String> {
        self.switch(2, if fail { 2 } else { 0 })
    }

    /// Lets syncs of the ledger's files wait until this is taken back.
    ///
    /// # Errors
    /// When the switch cannot be written.
    pub fn hold(&self, hold: bool) -> Result<(), String> {
        self.switch(2, if hold { 3 } else { 0 })
    }

    /// How many syncs had to wait so far.
    ///
    /// # Errors
    /// When the count cannot be read.
    pub fn held(&self) -> Result<i64, String> {
        let mut count = [0; 8];
        let read = self.control.read_exact_at(&mut count, 3 * 8);
        read.map_err(|error| failed("how many syncs wait could not be read", &error))?;
        Ok(i64::from_ne_bytes(count))
    }

    /// After the program was killed: makes the folder what a disk may hold after a power cut at that moment. What was
    /// synced stays; of all else a part that follows from the seed is gone, torn at sectors, or there.
    ///
    /// # Errors
    /// When the notes cannot be read or the files not be changed.
    pub fn cut(&self, seed: u64) -> Result<Cut, String> {
        let done =
            cut::cut(&self.folder, &self.journal, seed).map_err(|error| failed("the power cut failed", &error))?;
        fs::remove_dir_all(&self.journal)
            .and_then(|()| fs::create_dir_all(&self.journal))
            .map_err(|error| failed("the layer's notes could not be emptied", &error))?;
        Ok(done)
    }
}

/// The compiled layer, made once for each text of its source.
fn compile() -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let library = target.join(format!("layer-{:08x}.so", digest(SOURCE)));
    if library.exists() {
        return Ok(library);
    }
    let failed = |what: &dyn std::fmt::Display| format!("the layer below the program could not be compiled: {what}");
    // Others may compile it at the same moment: each its own, the last name wins.
    let made = tempfile::Builder::new().prefix("layer-").suffix(".so").tempfile_in(&target).map_err(|e| failed(&e))?;
    let source = crate::layer::source_path();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(made.path())
        .arg(source)
        .arg("-lpthread");
    let ran = cc.output().map_err(|error| failed(&format!("`cc`: {error}")))?;
    if !ran.status.success() {
        return Err(failed(&String::from_utf8_lossy(&ran.stderr)));
    }
    made.persist(&library).map_err(|error| failed(&error))?;
    Ok(library)
}

fn source_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/layer/layer.c")
}

/// FNV-1a: tells one source from the next.
fn digest(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
