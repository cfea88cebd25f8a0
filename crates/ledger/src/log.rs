//! The segment that is being written: how one begins and ends, and what takes its place after a failed sync. What is on the
//! disk is unknown then, and syncing that file again would lie: a copy of what was durable before, checked frame by frame,
//! takes the file's place, and the next group goes there.

use std::sync::Arc;

use tendon_kernel::{
    Result,
    context::{File, Open},
};

use crate::{
    book::Inner,
    format::disk_error,
    publish::write_whole,
    segment::{self, HEADER},
    tiles,
};

/// The segment being written.
pub(crate) struct Log {
    pub(crate) file: Option<Arc<dyn File>>,
    pub(crate) first: u64,
    /// Bytes that are durable (or, without sync, written).
    pub(crate) end: u64,
    /// Bytes of the file: zeros follow the end up to here.
    pub(crate) room: u64,
    /// What followed the end was cut, which no sync has made durable yet.
    pub(crate) cut: bool,
    /// A write could not be undone or a sync failed: this file is not touched any more.
    pub(crate) failed: bool,
}

impl Log {
    /// So many bytes more are written.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.end += bytes;
        self.room = self.room.max(self.end);
    }

    /// Ends the file with its last entry, durably.
    async fn finish(&mut self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if self.room > self.end {
            file.set_len(self.end)?;
        }
        let synced = file.sync().await;
        self.failed |= synced.is_err();
        synced?;
        (self.room, self.cut) = (self.end, false);
        Ok(())
    }
}

impl Inner {
    /// Begins a new segment, durable before it is used; the old one is complete.
    pub(crate) async fn begin_segment(&self, log: &mut Log, first: u64) -> Result<()> {
        let path = segment::path(&self.folder, first);
        let io = |error: std::io::Error| disk_error("begin a segment", &path, &error);
        let disk = &self.context.disk;
        if !self.settings.sync || log.cut || log.room > log.end {
            log.finish().await.map_err(io)?;
        }
        // From here on the old one takes nothing more, also when this fails: a new one whose removal is not durable may come
        // back after a power cut and hide what stood behind it (seed 1128 of the crash test).
        log.file = None;
        let folder = format!("{}/segments", self.folder);
        // One of that name can only be an attempt that failed: it holds no entry.
        let name = format!("{first:020}.seg");
        if disk.list(&folder).map_err(io)?.contains(&name) {
            disk.remove(&path).map_err(io)?;
            disk.sync_folder(&folder).await.map_err(io)?;
        }
        let spare = self.take_spare();
        // A spare keeps its name until its header is durable.
        let name = spare.as_ref().map_or(path.as_str(), |spare| spare.path.as_str());
        let begin = || {
            let file = spare
                .as_ref()
                .map_or_else(|| disk.open(&path, Open::CreateNew), |spare| Ok(Arc::clone(&spare.file)))?;
            file.write_at(&segment::header(first), 0)?;
            Ok(file)
        };
        let undo = |error| {
            drop(disk.remove(name));
            drop(disk.remove(&path));
            io(error)
        };
        let file = begin().map_err(undo)?;
        file.sync().await.map_err(undo)?;
        if name != path {
            disk.rename(name, &path).map_err(undo)?;
        }
        disk.sync_folder(&folder).await.map_err(undo)?;
        let room = spare.as_ref().map_or(HEADER, |spare| spare.bytes);
        *log = Log { file: Some(file), first, end: HEADER, room, cut: false, failed: false };
        if spare.is_some() {
            self.wake_spare.notify_one();
        }
        Ok(())
    }

    /// After a failed sync: puts a copy of what was durable in the segment's place.
    pub(crate) async fn renew_segment(&self, log: &mut Log) -> Result<()> {
        let path = segment::path(&self.folder, log.first);
        let changed = |seq| {
            crate::format::corrupt("ledger_entry", "an entry cannot be read back after a failed sync")
                .with("entry", seq)
        };
        let disk = &self.context.disk;
        let mut reader =
            segment::Reader::open(&**disk, &self.folder, log.first)?.map_err(|broken| changed(broken.seq))?;
        while reader.offset() < log.end {
            let next = reader.next()?.map_err(|broken| changed(broken.seq))?.map(|frame| frame.seq);
            if next.is_none() {
                return Err(changed(reader.seq()));
            }
        }
        let mut bytes =
            tiles::read_file(&**disk, &path).map_err(|error| disk_error("read a segment", &path, &error))?;
        bytes.truncate(usize::try_from(log.end).unwrap_or(usize::MAX));
        let folder = format!("{}/segments", self.folder);
        write_whole(&*self.context.disk, &folder, &format!("{:020}.seg", log.first), &bytes).await?;
        let file = disk.open(&path, Open::ReadWrite).map_err(|error| disk_error("open a segment", &path, &error))?;
        *log = Log { file: Some(file), first: log.first, end: log.end, room: log.end, cut: false, failed: false };
        Ok(())
    }

    /// Cuts the room that is left, when the ledger is closed: a file at rest ends with its last entry. Where it cannot, the
    /// next start does.
    pub(crate) async fn trim(&self, log: &mut Log) {
        if log.room > log.end
            && !log.failed
            && let Err(error) = log.finish().await
        {
            tracing::warn!(%error, "room behind the last entry was left to the next start");
        }
    }
}
