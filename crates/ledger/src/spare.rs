//! The next segment, made ahead: a file of zeros. A sync of a file that grows waits for the file system's journal, which all
//! files share, so that one busy with tiles and projections made each answer wait for milliseconds. A sync of bytes that
//! only replace zeros waits for those bytes alone: on the reference machine 0.1 ms instead of 0.2 to 4.
//!
//! Small ledgers have no spare: the first is made once a process has written some, as large as a multiple of that. It
//! lies among the temporary files, becomes a segment by being renamed, and is removed at closing and at opening.

use std::sync::{Arc, atomic::Ordering};

use tendon_kernel::{
    Result,
    context::{Context, File, Open},
};

use crate::{
    book::{Inner, closed},
    breath::breathe,
    format::disk_error,
};

/// Written and synced at once. A sync of entries waits for what the disk is given at the same time: behind a MiB it took 1 to 4 ms on the
/// reference machine, behind this much 0.2.
const CHUNK: u64 = 128 << 10;
/// Between two chunks, while the segment in use has room for the rest: some 50 MB/s.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(2);
/// A spare is so many times as large as what was written before.
const GROWTH: u64 = 8;
/// How long one that could not be made is left alone.
const RETRY: std::time::Duration = std::time::Duration::from_secs(30);

/// A file of zeros.
pub(crate) struct Spare {
    pub(crate) path: String,
    pub(crate) file: Arc<dyn File>,
    /// Its length.
    pub(crate) bytes: u64,
}

/// How the names of a ledger's spares begin.
fn prefix(folder: &str) -> String {
    format!("{}-spare-", folder.replace('/', "-"))
}

/// Removes what an earlier process left.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn clear(context: &Context, folder: &str) -> Result<()> {
    let names = context.disk.list("tmp").map_err(|error| disk_error("list temporary files", "tmp", &error))?;
    for name in names.iter().filter(|name| name.starts_with(&prefix(folder))) {
        // After a power cut it may be another name of a segment: the name goes, the file stays.
        let path = format!("tmp/{name}");
        context.disk.remove(&path).map_err(|error| disk_error("remove a temporary file", &path, &error))?;
    }
    Ok(())
}

/// Makes a spare whenever one is wanted, until the ledger is closed.
pub(crate) async fn run(inner: Arc<Inner>) {
    loop {
        inner.wake_spare.notified().await;
        while !inner.is_closing() {
            let mut spare = inner.spare.lock().await;
            if spare.is_some() {
                break;
            }
            match inner.make_spare().await {
                Ok(made) => {
                    *spare = Some(made);
                    break;
                }
                Err(_) if inner.is_closing() => {}
                Err(error) => {
                    drop(spare);
                    let detail = error.private_detail();
                    tracing::warn!(%error, detail, "no room was made ahead; entries are written more slowly");
                    tokio::select! {
                        biased;
                        () = inner.wake_spare.notified() => {}
                        () = inner.context.clock.sleep(RETRY) => {}
                    }
                }
            }
        }
        if inner.is_closing() {
            return;
        }
    }
}

impl Inner {
    /// Counts what was written, and what room is left; the first spare is wanted when it is enough.
    pub(crate) fn wrote(&self, bytes: u64, left: u64) {
        self.left.store(left, Ordering::Relaxed);
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        if before < self.settings.spare_after && before + bytes >= self.settings.spare_after {
            self.wake_spare.notify_one();
        }
    }

    /// Whether a spare is ready.
    pub(crate) fn has_spare(&self) -> bool {
        self.spare.try_lock().is_ok_and(|spare| spare.is_some())
    }

    /// The spare, if it is ready.
    pub(crate) fn take_spare(&self) -> Option<Spare> {
        self.spare.try_lock().ok()?.take()
    }

    /// Removes the spare, and waits for one that is being made.
    pub(crate) async fn drop_spare(&self) {
        if let Some(spare) = self.spare.lock().await.take() {
            // One that stays is removed at the next opening.
            drop(self.context.disk.remove(&spare.path));
        }
    }

    async fn make_spare(&self) -> Result<Spare> {
        let written = self.written.load(Ordering::Relaxed);
        let (least, most) = (self.settings.spare_bytes.min(self.settings.segment_bytes), self.settings.segment_bytes);
        let bytes = written.saturating_mul(GROWTH).clamp(least, most);
        let path = format!("tmp/{}{:020}", prefix(&self.folder), self.desk().size);
        let made = self.fill_spare(&path, bytes).await;
        if made.is_err() {
            drop(self.context.disk.remove(&path));
        }
        Ok(Spare { file: made?, path, bytes })
    }

    async fn fill_spare(&self, path: &str, bytes: u64) -> Result<Arc<dyn File>> {
        let io = |error: std::io::Error| disk_error("make room for entries", path, &error);
        let disk = &self.context.disk;
        disk.create_folder("tmp").map_err(io)?;
        let file = disk.open(path, Open::CreateNew).map_err(io)?;
        let zeros = vec![0; usize::try_from(CHUNK.min(bytes)).unwrap_or(0)];
        let mut at = 0;
        while at < bytes {
            let chunk =
                zeros.get(..usize::try_from(bytes - at).unwrap_or(usize::MAX).min(zeros.len())).unwrap_or(&zeros);
            file.write_at(chunk, at).map_err(io)?;
            at += chunk.len() as u64;
            file.sync().await.map_err(io)?;
            if bytes - at < self.left.load(Ordering::Relaxed) {
                self.context.clock.sleep(PAUSE).await;
            } else {
                breathe().await;
            }
            if self.is_closing() {
                return Err(closed());
            }
        }
        Ok(file)
    }
}
