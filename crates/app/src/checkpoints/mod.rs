//! Checkpoints that are known elsewhere: the place they are published to, and the mark that a restored project carries. They tell an
//! older copy from the true record before a decision is written to it.

mod place;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    context::Context,
    metrics::{Counter, Gauge},
    sockets::{
        ledger::{EntryKind, Facts},
        secrets::Secrets,
    },
};
use tendon_ledger::Book;
use tendon_plan::Plan;
use tendon_platform::{OutgoingHttp, ProjectSecrets};

use crate::{failure::Failure, project::Project, wiring::Parts};
use place::{Means, Place};

/// In the state of a project that was restored, until the erasures that its record does not know of are recorded.
const RESTORED: &str = "restored";
/// How often is looked whether a place is named now, where none is.
const LOOK: Duration = Duration::from_secs(60);
/// First wait after a place could not be published to; it doubles up to the usual time between two checkpoints.
const AGAIN: Duration = Duration::from_secs(1);

/// The mark of a restored project.
pub(crate) fn mark(state: &Path) -> PathBuf {
    state.join(RESTORED)
}

/// What an erasure's entry says in the open.
pub(crate) fn erasure(context: &Context, plan: &Arc<str>) -> Facts {
    let none: Arc<str> = Arc::from("");
    Facts {
        kind: EntryKind::Erasure,
        id: Id::new(context),
        at: context.clock.now(),
        integration: none.clone(),
        model: None,
        route: none.clone(),
        reason: Arc::from("erased"),
        caller: Arc::from("cli"),
        policy: none.clone(),
        plan: plan.clone(),
        retention: Arc::from("standard"),
        region: none,
    }
}

/// Finishes a restoring: who was erased after the record was copied stays erased, and the record says so.
///
/// # Errors
/// The ledger's.
pub(crate) async fn finish(state: &Path, book: &Book, context: &Context, plan: &Arc<str>) -> Result<()> {
    let mark = mark(state);
    if !mark.exists() {
        return Ok(());
    }
    let subjects = book.adopt_erasures(&erasure(context, plan)).await?;
    if subjects > 0 {
        tracing::info!(subjects, "erasures that came after the restored copy are recorded again");
    }
    fs::remove_file(&mark).map_err(|error| {
        Error::new(
            ErrorKind::Unavailable,
            "restored_mark",
            format!("the mark of a restoring could not be removed: {error}"),
        )
        .with("file", mark.display())
        .hint("look after the disk that it lies on")
    })
}

/// Reads a checkpoint from an address that anybody may read: it holds no secret.
///
/// # Errors
/// When it cannot be read, or none stands there.
pub(crate) async fn at(project: &Project, url: &str) -> Result<String, Failure> {
    let context = tendon_platform::context(&project.state())?;
    let http = OutgoingHttp::new(context.clock.clone());
    let secrets = Arc::new(ProjectSecrets::new(&project.folder));
    let means = Means { context, http: Arc::new(http), secrets, folder: project.folder.clone() };
    Ok(place::fetch(&means, url).await?)
}

/// How publishing stands.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct State {
    /// Entries under what was published last, or found there.
    pub(crate) entries: u64,
    /// When that was.
    pub(crate) at: Option<Timestamp>,
    /// Why the last attempt did not succeed.
    pub(crate) failure: Option<String>,
}

/// The publishing of one process.
pub(crate) struct Checkpoints {
    means: Means,
    state: Mutex<State>,
    entries: Gauge,
    failures: Counter,
}

impl Checkpoints {
    pub(crate) fn of(
        project: &Project,
        context: &Context,
        http: &Arc<OutgoingHttp>,
        secrets: &Arc<dyn Secrets>,
    ) -> Self {
        let (context, folder) = (context.clone(), project.folder.clone());
        let means = Means { context, http: http.clone(), secrets: secrets.clone(), folder };
        let metrics = &means.context.metrics;
        let entries =
            metrics.gauge("tendon_ledger_published_entries", "Entries under the last published checkpoint.", &[]);
        let help = "Attempts to publish a checkpoint, or to read the one published, that failed.";
        let failures = metrics.counter("tendon_ledger_publish_failures_total", help, &[]);
        Self { means, state: Mutex::default(), entries, failures }
    }

    /// What it works in.
    pub(crate) fn context(&self) -> &Context {
        &self.means.context
    }

    /// How it stands.
    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the ledger holds what was published of it, before anything is added. A receiver that is away does not keep the
    /// business from working: it is asked again before each publishing.
    ///
    /// # Errors
    /// `Conflict` when it does not; `Unavailable` when a file cannot be read: then nobody knows.
    pub(crate) async fn check(&self, plan: &Plan, book: &Book) -> Result<()> {
        let Some(publish) = &plan.publish else { return Ok(()) };
        let place = Place::of(&self.means, publish);
        match place.read().await {
            Ok(Some(known)) => {
                book.holds(&known.text).await.map_err(|error| told(&place, error))?;
                self.succeeded(&known.text);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) if place.may_be_away() => {
                tracing::warn!(
                    code = error.code(),
                    detail = error.private_detail(),
                    "whether this is an older copy of the ledger is not known yet: {error}"
                );
                self.failed(&error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Publishes the last checkpoint, unless something else than this ledger's own past stands there.
    ///
    /// # Errors
    /// `Conflict` when a copy of this ledger publishes to the same place; `Unavailable` when it cannot be read or written.
    async fn publish(&self, plan: &Plan, book: &Book) -> Result<()> {
        let Some(publish) = &plan.publish else { return Ok(()) };
        let place = Place::of(&self.means, publish);
        let text = book.checkpoint().await?;
        let before = place.read().await?;
        if before.as_ref().is_none_or(|before| before.text != text) {
            if let Some(before) = &before {
                book.holds(&before.text).await.map_err(|error| told(&place, error))?;
            }
            place.write(&text, before.as_ref()).await?;
        }
        self.succeeded(&text);
        Ok(())
    }

    fn succeeded(&self, text: &str) {
        // A checkpoint's second line is the size of the tree (C2SP tlog-checkpoint).
        let entries = text.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a metric; exact up to 2^53")]
        self.entries.set(entries as f64);
        let at = Some(self.means.context.clock.now());
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State { entries, at, failure: None };
    }

    fn failed(&self, error: &Error) {
        self.failures.add(1);
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(error.to_string());
    }
}

fn told(place: &Place<'_>, error: Error) -> Error {
    error.with("checkpoint", place.name())
}

/// Publishes as often as the project says, as long as it runs; sooner again where it failed.
pub(crate) fn start(parts: &Arc<Parts>) {
    let (weak, clock) = (Arc::downgrade(parts), parts.context.clock.clone());
    let run = async move {
        let mut again = AGAIN;
        loop {
            let wait = {
                let Some(parts) = weak.upgrade() else { return };
                let done = now(&parts).await;
                let every = parts.engine.runtime().plan().publish.as_ref().map_or(LOOK, |publish| publish.every);
                again = if done { AGAIN } else { again.saturating_mul(2).min(every.max(AGAIN)) };
                if done { every } else { again.min(every) }
            };
            clock.sleep(wait).await;
        }
    };
    parts.context.spawn.spawn("checkpoints", run.boxed());
}

/// Publishes once; what goes wrong is told, and the work goes on. Whether it succeeded.
pub(crate) async fn now(parts: &Parts) -> bool {
    let runtime = parts.engine.runtime();
    let Err(error) = parts.checkpoints.publish(runtime.plan(), &parts.book).await else { return true };
    tracing::error!(code = error.code(), detail = error.private_detail(), "no checkpoint was published: {error}");
    parts.checkpoints.failed(&error);
    false
}
