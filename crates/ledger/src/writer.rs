//! The one task that writes segments. Group commit without a linger timer: it takes all that is queued, writes it with one
//! write, syncs once and answers; what arrives meanwhile is the next group.
//!
//! A full disk: nothing of the group was synced, so the file is cut back and the next group tries again. A failed sync: see
//! `log`.

use std::sync::Arc;

use tendon_kernel::{Error, ErrorKind, Result, sockets::ledger::Draft};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::{
    book::{Inner, Job},
    breath::breathe,
    desk::Item,
    format::disk_error,
    log::Log,
    segment::{self, Place},
    tokens::Token,
};

/// Most bytes and entries of one group.
const GROUP_BYTES: u64 = 8 << 20;
const GROUP_ENTRIES: usize = 4096;
/// Leaves without checkpoint, in multiples of `checkpoint_after`, beyond which writing waits for the publisher.
const MOST_UNCOVERED: u64 = 8;
/// How long drafts that could not be written wait for the next attempt.
const RETRY: std::time::Duration = std::time::Duration::from_millis(200);

/// A sealed entry without its place.
pub(crate) struct Prepared {
    pub(crate) leaf: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
    pub(crate) item: Item,
}

/// Who waits for which entries of a group.
struct Waiter {
    entries: usize,
    reply: Option<oneshot::Sender<Result<Vec<u64>>>>,
    /// What `append` handed over; kept for another attempt.
    drafts: Vec<Draft>,
    room: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Group {
    entries: Vec<Prepared>,
    waiters: Vec<Waiter>,
    bytes: u64,
}

impl Group {
    fn is_full(&self) -> bool {
        self.bytes >= GROUP_BYTES || self.entries.len() >= GROUP_ENTRIES
    }

    fn add(&mut self, mut entries: Vec<Prepared>, waiter: Waiter) {
        self.bytes += entries.iter().map(|one| segment::frame_len(one.leaf.len(), one.sealed.len())).sum::<u64>();
        self.entries.append(&mut entries);
        self.waiters.push(waiter);
    }
}

/// Drafts of `append` that could not be written yet.
type Held = Vec<(Vec<Draft>, OwnedSemaphorePermit)>;

fn waits() -> Error {
    Error::new(ErrorKind::Unavailable, "ledger_waits", "outcomes wait: the ledger cannot write them now")
        .hint("they are written when it can write again; see its state")
}

/// Runs until the queue is closed.
pub(crate) async fn run(inner: Arc<Inner>, mut jobs: mpsc::UnboundedReceiver<Job>, mut log: Log) {
    let mut held: Held = Vec::new();
    let mut close = None;
    while close.is_none() {
        let first = if held.is_empty() {
            jobs.recv().await
        } else {
            tokio::select! {
                biased;
                job = jobs.recv() => job,
                () = inner.context.clock.sleep(RETRY) => None,
            }
        };
        if first.is_none() && held.is_empty() {
            break;
        }
        let mut group = Group::default();
        for (drafts, room) in std::mem::take(&mut held) {
            inner.add_drafts(&mut group, drafts, room, &mut held).await;
        }
        // What can go at once, without waiting for anything: whoever is ready now gives its entries before the sync begins.
        // On a busy core a sync for each few of them would cost more than the decisions do; on an idle one this is nothing.
        breathe().await;
        let mut next = first;
        while let Some(job) = next {
            match job {
                Job::Entries { entries, reply, _room } => {
                    let waiter =
                        Waiter { entries: entries.len(), reply: Some(reply), drafts: Vec::new(), room: Some(_room) };
                    group.add(entries, waiter);
                }
                Job::Drafts { drafts, room } => inner.add_drafts(&mut group, drafts, room, &mut held).await,
                Job::Close(done) => {
                    close = Some(done);
                    jobs.close();
                }
            }
            next = if group.is_full() { None } else { jobs.try_recv().ok() };
        }
        inner.write_group(&mut log, group, &mut held).await;
    }
    finish(&inner, &mut jobs, &mut log, held).await;
    if let Some(done) = close {
        // Whoever closes may have gone.
        let _gone = done.send(());
    }
    inner.wake_projector.notify_one();
}

/// Writes what is left after closing: jobs that were queued before, and drafts that wait, with one last attempt.
async fn finish(inner: &Arc<Inner>, jobs: &mut mpsc::UnboundedReceiver<Job>, log: &mut Log, mut held: Held) {
    let mut group = Group::default();
    for (drafts, room) in std::mem::take(&mut held) {
        inner.add_drafts(&mut group, drafts, room, &mut held).await;
    }
    while let Ok(job) = jobs.try_recv() {
        match job {
            Job::Entries { entries, reply, _room } => {
                let waiter =
                    Waiter { entries: entries.len(), reply: Some(reply), drafts: Vec::new(), room: Some(_room) };
                group.add(entries, waiter);
            }
            Job::Drafts { drafts, room } => inner.add_drafts(&mut group, drafts, room, &mut held).await,
            Job::Close(done) => {
                let _gone = done.send(());
            }
        }
        if group.is_full() {
            inner.write_group(log, std::mem::take(&mut group), &mut held).await;
        }
    }
    inner.write_group(log, group, &mut held).await;
    inner.trim(log).await;
    let lost: usize = held.iter().map(|(drafts, _)| drafts.len()).sum();
    if lost > 0 {
        tracing::error!(entries = lost, "outcomes could not be written before the ledger was closed");
    }
}

impl Inner {
    /// Seals the drafts of an `append`. What cannot be sealed for want of the store or the keyring waits; what never can is
    /// dropped, as is a draft whose claim is taken.
    async fn add_drafts(
        self: &Arc<Self>,
        group: &mut Group,
        drafts: Vec<Draft>,
        room: OwnedSemaphorePermit,
        held: &mut Held,
    ) {
        let mut planned =
            drafts.iter().cloned().enumerate().map(|(number, draft)| self.plan(number, draft, Vec::new())).collect();
        let reserved = match self.reserve(&mut planned).await {
            Ok(reserved) => reserved,
            Err(error) => {
                tracing::warn!(%error, "outcomes wait: the ledger cannot seal them now");
                held.push((drafts, room));
                return;
            }
        };
        let dropped = reserved.taken.len() + reserved.waiting.len();
        if dropped > 0 {
            tracing::warn!(entries = dropped, "entries without waiter were dropped: their claims are taken");
        }
        match self.finish_all(reserved.ready) {
            Ok((numbers, entries)) => {
                let drafts = drafts.into_iter().enumerate();
                let drafts = drafts.filter(|(number, _)| numbers.contains(number)).map(|(_, draft)| draft).collect();
                group.add(entries, Waiter { entries: numbers.len(), reply: None, drafts, room: Some(room) });
            }
            Err(error) => tracing::error!(%error, "entries without waiter were dropped: they cannot be sealed"),
        }
    }

    async fn write_group(self: &Arc<Self>, log: &mut Log, group: Group, held: &mut Held) {
        if group.entries.is_empty() {
            // Who asked whether all before is written hears it now.
            let all = if held.is_empty() { Ok(()) } else { Err(waits()) };
            let waiting = group.waiters.into_iter().filter_map(|waiter| waiter.reply);
            waiting.for_each(|reply| drop(reply.send(all.clone().map(|()| Vec::new()))));
            return;
        }
        match self.write(log, &group.entries).await {
            Ok(places) => self.settle(group, &places),
            Err(error) => self.fail(group, &error, held),
        }
    }

    /// Writes and syncs; gives each entry's place.
    async fn write(self: &Arc<Self>, log: &mut Log, entries: &[Prepared]) -> Result<Vec<Place>> {
        self.wait_for_cover().await?;
        let start = self.desk().size;
        if log.failed {
            self.renew_segment(log).await?;
        }
        let bytes = entries.iter().map(|one| segment::frame_len(one.leaf.len(), one.sealed.len())).sum::<u64>();
        let full = log.end >= self.settings.segment_bytes || (log.end + bytes > log.room && self.has_spare());
        if log.file.is_none() || full {
            self.begin_segment(log, start).await?;
        }
        let Some(file) = log.file.clone() else { return Err(crate::format::defect("open a segment")) };
        let mut buffer = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        let mut places = Vec::with_capacity(entries.len());
        for (seq, one) in (start..).zip(entries) {
            places.push(Place { segment: log.first, offset: log.end + buffer.len() as u64 });
            segment::push_frame(&mut buffer, seq, &one.leaf, &one.sealed);
        }
        let path = segment::path(&self.folder, log.first);
        if let Err(error) = file.write_at(&buffer, log.end) {
            // Nothing was synced, so cutting makes the file as it was. If even that fails, it is left alone.
            log.failed = file.set_len(log.end).is_err();
            (log.room, log.cut) = (log.end, true);
            return Err(disk_error("write entries", &path, &error));
        }
        #[cfg(any(test, feature = "mutations"))]
        if self.settings.mutation.is_some_and(|mutation| mutation != crate::book::Mutation::SlotFirst) {
            log.advance(buffer.len() as u64);
            if self.mutated(crate::book::Mutation::AnswerBeforeSync) {
                let task = async move { drop(file.sync().await) };
                self.spawn("ledger late sync", task);
            }
            return Ok(places);
        }
        if self.settings.sync {
            if let Err(error) = file.sync().await {
                log.failed = true;
                return Err(disk_error("make entries durable", &path, &error));
            }
        } else {
            self.unsynced().files.insert(log.first, file);
        }
        log.advance(buffer.len() as u64);
        log.cut &= !self.settings.sync;
        self.wrote(buffer.len() as u64, log.room - log.end);
        Ok(places)
    }

    /// Waits while too many leaves have no checkpoint.
    async fn wait_for_cover(&self) -> Result<()> {
        let most = self.settings.checkpoint_after.saturating_mul(MOST_UNCOVERED);
        loop {
            let (size, covered) = (self.desk().size, self.covered.get());
            if size.saturating_sub(covered) < most {
                return Ok(());
            }
            self.publish_now.notify_one();
            tokio::select! {
                biased;
                () = self.covered.other_than(covered) => {}
                () = self.context.clock.sleep(RETRY.saturating_mul(10)) => {
                    let late = Error::new(ErrorKind::Unavailable, "ledger_behind", "the ledger's checkpoints are behind");
                    return Err(late.hint("look at the disk: tiles and checkpoints could not be written for two seconds"));
                }
            }
        }
    }

    /// The group is durable: it can be found, its claims hold, its waiters are answered.
    fn settle(self: &Arc<Self>, group: Group, places: &[Place]) {
        let start = self.desk().size;
        let mut uncovered = Vec::with_capacity(group.entries.len());
        let mut items = Vec::with_capacity(group.entries.len());
        for ((seq, one), place) in (start..).zip(group.entries).zip(places) {
            let Prepared { leaf, mut item, .. } = one;
            (item.entry.seq, item.place) = (seq, *place);
            if !item.erased.is_empty() {
                self.keyring.mark_erased(&item.erased);
            }
            uncovered.push((leaf, item.hash));
            items.push(Arc::new(item));
        }
        let end = start + items.len() as u64;
        // Before anybody hears of the new size, so that a checkpoint asked for now covers it.
        let waiting = {
            let mut all = self.uncovered();
            all.extend(uncovered);
            all.len()
        };
        {
            let mut desk = self.desk();
            desk.stopped = None;
            items.into_iter().for_each(|item| desk.settle(item));
        }
        let mut seq = start;
        for waiter in group.waiters {
            let upto = seq + waiter.entries as u64;
            if let Some(reply) = waiter.reply {
                // A caller that hung up keeps its entry.
                drop(reply.send(Ok((seq..upto).collect())));
            }
            drop(waiter.room);
            seq = upto;
        }
        debug_assert_eq!(seq, end, "every entry has its waiter");
        self.groups.raise();
        self.wake_projector.notify_one();
        self.wake_publisher.notify_one();
        if end.saturating_sub(self.covered.get()) >= self.settings.checkpoint_after {
            self.publish_now.notify_one();
        } else if waiting >= crate::tree::WIDTH {
            self.tiles_now.notify_one();
        }
    }

    fn fail(&self, group: Group, error: &Error, held: &mut Held) {
        tracing::error!(%error, detail = error.private_detail(), "the ledger could not be written");
        let claims: Vec<Token> =
            group.entries.iter().filter_map(|one| one.item.claim.map(|claim| claim.token)).collect();
        self.desk().stopped = Some(error.to_string());
        self.release(&claims);
        for waiter in group.waiters {
            match (waiter.reply, waiter.room) {
                (Some(reply), _) => drop(reply.send(Err(error.clone()))),
                (None, Some(room)) => held.push((waiter.drafts, room)),
                (None, None) => {}
            }
        }
    }
}
