//! The open ledger: what all its tasks share, its settings, and how it is closed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::{Context, File},
    sockets::{
        ledger::{Draft, Projection},
        secrets::Keys,
        store::Store,
    },
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    checkpoint::Signer, desk::Desk, index::Index, keyring::Keyring, level::Level, publish::Publisher, spare::Spare,
    tasks::Tasks, tokens::Tokenizer, tree::Hash, writer::Prepared,
};

/// How long closing waits for the projections.
const CATCH_UP: Duration = Duration::from_secs(30);

/// What a ledger is opened with.
pub struct Parts {
    /// Time, randomness, files and tasks.
    pub context: Context,
    /// Where the projections are written.
    pub store: Arc<dyn Store>,
    /// Keys `ledger-signing`, `ledger-slots` and `tokens`.
    pub keys: Arc<dyn Keys>,
    /// Projections of others, fed in the same batches as the ledger's own.
    pub projections: Vec<Arc<dyn Projection>>,
    /// Name of the log in checkpoints, such as `tendon.local/acme-sales/main`: no space, no plus.
    pub origin: String,
    /// The ledger's folder below the context's disk, such as `ledger/main`.
    pub folder: String,
    /// See [`Settings`].
    pub settings: Settings,
}

/// How a ledger works. The defaults suit production.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Wait for the disk before answering. `false` is `record: buffered`: a power cut may lose up to `checkpoint_every`.
    pub sync: bool,
    /// Longest time from an entry to the checkpoint that covers it.
    pub checkpoint_every: Duration,
    /// Entries after which a checkpoint is made at once.
    pub checkpoint_after: u64,
    /// Slots filled at once.
    pub slots_ahead: u64,
    /// A segment that has reached this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// Bytes of entries after which room for more is made ahead of need, see `spare`.
    pub spare_after: u64,
    /// Least bytes of that room; a segment's at most.
    pub spare_bytes: u64,
    /// Pause before projecting, in which entries gather.
    pub project_every: Duration,
    /// Bytes of entries that wait to be written; beyond, commits wait.
    pub queue_bytes: u32,
    /// Entries not yet projected; beyond, commits wait.
    pub tail_entries: usize,
    /// A defect put in on purpose, to prove that tests find it.
    #[cfg(any(test, feature = "mutations"))]
    pub mutation: Option<Mutation>,
}

/// Defects that the crash tests must find.
#[cfg(any(test, feature = "mutations"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Entries are never synced.
    NoSync,
    /// The answer leaves before the sync.
    AnswerBeforeSync,
    /// A slot is overwritten before its erasure entry is durable.
    SlotFirst,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sync: true,
            checkpoint_every: Duration::from_secs(1),
            checkpoint_after: 8192,
            slots_ahead: 4096,
            segment_bytes: 64 << 20,
            spare_after: 256 << 10,
            spare_bytes: 2 << 20,
            project_every: Duration::from_millis(20),
            queue_bytes: 64 << 20,
            tail_entries: 65_536,
            #[cfg(any(test, feature = "mutations"))]
            mutation: None,
        }
    }
}

/// What waits for the writer.
pub(crate) enum Job {
    /// Sealed entries, and who waits for them.
    Entries { entries: Vec<Prepared>, reply: oneshot::Sender<Result<Vec<u64>>>, _room: OwnedSemaphorePermit },
    /// Drafts of `append`, sealed by the writer.
    Drafts { drafts: Vec<Draft>, room: OwnedSemaphorePermit },
    /// Nothing comes after this.
    Close(oneshot::Sender<()>),
}

/// Leaves that are not in the tree yet, waiting for the publisher.
pub(crate) type Uncovered = VecDeque<(Vec<u8>, Hash)>;

/// What was written and not synced (`sync: false`).
#[derive(Default)]
pub(crate) struct Unsynced {
    /// Segments, by their first entry.
    pub(crate) files: BTreeMap<u64, Arc<dyn File>>,
    /// A sync failed: what of them is durable nobody can say any more.
    pub(crate) failed: bool,
}

/// What the tasks share.
pub(crate) struct Inner {
    pub(crate) context: Context,
    pub(crate) origin: String,
    pub(crate) folder: String,
    pub(crate) settings: Settings,
    pub(crate) index: Index,
    pub(crate) projections: Vec<Arc<dyn Projection>>,
    pub(crate) tokens: Arc<Tokenizer>,
    pub(crate) signer: Signer,
    pub(crate) keyring: Keyring,
    pub(crate) filling: AtomicBool,
    desk: Mutex<Desk>,
    pub(crate) queue: mpsc::UnboundedSender<Job>,
    /// Room of `commit`, in units of a KiB.
    pub(crate) room: Arc<Semaphore>,
    /// Room of `append`.
    pub(crate) append_room: Arc<Semaphore>,
    /// Counts groups, good or failed: who waits for a claim in flight looks again.
    pub(crate) groups: Level,
    /// Entries projected.
    pub(crate) projected: Level,
    /// Entries under the last checkpoint.
    pub(crate) covered: Level,
    pub(crate) wake_projector: Notify,
    pub(crate) project_now: Notify,
    pub(crate) wake_publisher: Notify,
    pub(crate) publish_now: Notify,
    /// Leaves enough for a full tile wait.
    pub(crate) tiles_now: Notify,
    uncovered: Mutex<Uncovered>,
    pub(crate) publisher: tokio::sync::Mutex<Publisher>,
    unsynced: Mutex<Unsynced>,
    /// The next segment, made ahead; held while one is made.
    pub(crate) spare: tokio::sync::Mutex<Option<Spare>>,
    pub(crate) wake_spare: Notify,
    /// Bytes of entries written since opening.
    pub(crate) written: AtomicU64,
    /// Bytes of room left in the segment that is written.
    pub(crate) left: AtomicU64,
    pub(crate) closing: AtomicBool,
    pub(crate) tasks: Tasks,
}

impl Inner {
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn uncovered(&self) -> MutexGuard<'_, Uncovered> {
        self.uncovered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    #[cfg(any(test, feature = "mutations"))]
    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        self.settings.mutation == Some(mutation)
    }

    /// Fills the keyring in the background, once at a time.
    pub(crate) fn fill_ahead(self: &Arc<Self>) {
        if !self.keyring.low() || self.filling.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(self);
        let task = async move {
            if let Err(error) = inner.keyring.fill().await {
                tracing::warn!(%error, "the keyring could not be filled ahead of need");
            }
            inner.filling.store(false, Ordering::Release);
        };
        self.spawn("ledger keyring", task);
    }
}

/// What [`Inner`] is made of, beside the parts.
pub(crate) struct Opened {
    pub(crate) context: Context,
    pub(crate) origin: String,
    pub(crate) folder: String,
    pub(crate) settings: Settings,
    pub(crate) index: Index,
    pub(crate) projections: Vec<Arc<dyn Projection>>,
    pub(crate) tokens: Arc<Tokenizer>,
    pub(crate) signer: Signer,
    pub(crate) keyring: Keyring,
    pub(crate) size: u64,
    pub(crate) publisher: Publisher,
    pub(crate) uncovered: Uncovered,
}

impl Opened {
    /// The shared state, and the writer's end of the queue.
    pub(crate) fn share(self) -> (Arc<Inner>, mpsc::UnboundedReceiver<Job>) {
        let (queue, jobs) = mpsc::unbounded_channel();
        let room = usize::try_from(self.settings.queue_bytes >> 10).unwrap_or(1).max(1);
        let covered = self.publisher.head().size;
        let inner = Arc::new(Inner {
            context: self.context,
            origin: self.origin,
            folder: self.folder,
            settings: self.settings,
            index: self.index,
            projections: self.projections,
            tokens: self.tokens,
            signer: self.signer,
            keyring: self.keyring,
            filling: AtomicBool::new(false),
            desk: Mutex::new(Desk::new(self.size)),
            queue,
            room: Arc::new(Semaphore::new(room)),
            append_room: Arc::new(Semaphore::new(room)),
            groups: Level::new(0),
            projected: Level::new(self.size),
            covered: Level::new(covered),
            wake_projector: Notify::new(),
            project_now: Notify::new(),
            wake_publisher: Notify::new(),
            publish_now: Notify::new(),
            tiles_now: Notify::new(),
            uncovered: Mutex::new(self.uncovered),
            publisher: tokio::sync::Mutex::new(self.publisher),
            unsynced: Mutex::default(),
            spare: tokio::sync::Mutex::new(None),
            wake_spare: Notify::new(),
            written: AtomicU64::new(0),
            left: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            tasks: Tasks::default(),
        });
        (inner, jobs)
    }
}

/// An open ledger. Clones share it. Dropping it without [`Book::close`] is a crash, from which opening recovers.
pub struct Book {
    pub(crate) inner: Arc<Inner>,
}

/// Nothing is taken any more.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "ledger_closed", "the ledger is being closed")
}

impl Book {
    /// The key that verifies this ledger's checkpoints: `origin+hash+base64`.
    pub fn public_key(&self) -> &str {
        self.inner.signer.public_key()
    }

    /// Signs a checkpoint over all durable entries now and gives its text.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub async fn checkpoint(&self) -> Result<String> {
        self.inner.publish().await
    }

    /// Takes nothing new, writes what it took, lets the projections catch up, signs a last checkpoint. When it returns well, no
    /// task of the ledger runs any more: what it was opened with goes with the last handle.
    ///
    /// # Errors
    /// `Unavailable` when the disk or the store refuses: nothing durable is lost, opening goes on from there.
    pub async fn close(&self) -> Result<()> {
        let inner = &self.inner;
        let (done, drained) = oneshot::channel();
        inner.queue.send(Job::Close(done)).map_err(|_| closed())?;
        let writer = drained.await;
        inner.closing.store(true, Ordering::Release);
        inner.project_now.notify_one();
        inner.wake_projector.notify_one();
        inner.publish_now.notify_one();
        inner.wake_publisher.notify_one();
        inner.wake_spare.notify_one();
        inner.drop_spare().await;
        writer.map_err(|_| closed())?;
        inner.publish().await?;
        let size = inner.desk().size;
        let at_rest = async {
            if let Some(last) = size.checked_sub(1) {
                inner.wait_projected(last).await;
            }
            inner.tasks.ended().await;
        };
        tokio::select! {
            biased;
            () = at_rest => Ok(()),
            () = inner.context.clock.sleep(CATCH_UP) => {
                let behind = "the projections did not catch up before the ledger was closed";
                Err(Error::new(ErrorKind::Unavailable, "ledger_behind", behind)
                    .hint("nothing is lost: they catch up when the ledger is opened again"))
            }
        }
    }
}

impl Drop for Book {
    /// The tasks end when the last handle goes: they finish what is queued.
    fn drop(&mut self) {
        if !self.inner.is_closing() {
            let (done, _) = oneshot::channel();
            drop(self.inner.queue.send(Job::Close(done)));
            self.inner.closing.store(true, Ordering::Release);
            self.inner.wake_projector.notify_one();
            self.inner.wake_publisher.notify_one();
            self.inner.wake_spare.notify_one();
        }
    }
}
