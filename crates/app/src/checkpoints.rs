//! Checkpoints that are known elsewhere: the file they are published to, and the mark that a restored project carries. They tell an
//! older copy from the true record before a decision is written to it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::FutureExt as _;
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::Context,
    sockets::ledger::{EntryKind, Facts},
};
use tendon_ledger::Book;
use tendon_plan::Plan;

use crate::{durable, project::Project, wiring::Parts};

/// In the state of a project that was restored, until the erasures that its record does not know of are recorded.
const RESTORED: &str = "restored";
/// How often is looked whether a file is named now, where none is.
const LOOK: std::time::Duration = std::time::Duration::from_secs(60);

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
    fs::remove_file(&mark).map_err(|error| unusable("removed", &mark, &error))
}

/// Whether the ledger holds what was published of it.
///
/// # Errors
/// `Conflict` when it does not; `Unavailable` when the file cannot be read: then nobody knows.
pub(crate) async fn check(project: &Project, plan: &Plan, book: &Book) -> Result<()> {
    match published(project, plan)? {
        Some((path, text)) => book.holds(&text).await.map_err(|error| told(&path, error)),
        None => Ok(()),
    }
}

/// The file and what stands in it.
fn published(project: &Project, plan: &Plan) -> Result<Option<(PathBuf, String)>> {
    let Some(publish) = &plan.publish else { return Ok(None) };
    let path = project.folder.join(&publish.to);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable("read", &path, &error)),
    }
}

fn told(path: &Path, error: Error) -> Error {
    error.with("checkpoint", path.display())
}

fn unusable(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "checkpoint_file", format!("the checkpoint's file could not be {what}: {error}"))
        .with("file", path.display())
        .hint("look after the disk that it lies on; without it nobody can tell an older copy of the ledger")
}

/// Publishes the last checkpoint, unless something else than this ledger's own past stands there.
///
/// # Errors
/// `Conflict` when a copy of this ledger publishes to the same file; `Unavailable` when the file cannot be written.
pub(crate) async fn publish(project: &Project, plan: &Plan, book: &Book) -> Result<()> {
    let Some(publish) = &plan.publish else { return Ok(()) };
    let text = book.checkpoint().await?;
    if let Some((path, before)) = published(project, plan)? {
        if before == text {
            return Ok(());
        }
        book.holds(&before).await.map_err(|error| told(&path, error))?;
    }
    let path = project.folder.join(&publish.to);
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        durable::replace(&path, text.as_bytes(), 0o666)
    };
    write().map_err(|error| unusable("written", &path, &error))
}

/// Publishes as often as the project says, as long as it runs.
pub(crate) fn start(parts: &Arc<Parts>) {
    let (weak, clock) = (Arc::downgrade(parts), parts.context.clock.clone());
    let run = async move {
        loop {
            let every = {
                let Some(parts) = weak.upgrade() else { return };
                now(&parts).await;
                parts.engine.runtime().plan().publish.as_ref().map_or(LOOK, |publish| publish.every)
            };
            clock.sleep(every).await;
        }
    };
    parts.context.spawn.spawn("checkpoints", run.boxed());
}

/// Publishes once; what goes wrong is told, and the work goes on.
pub(crate) async fn now(parts: &Parts) {
    let runtime = parts.engine.runtime();
    if let Err(error) = publish(&parts.project, runtime.plan(), &parts.book).await {
        tracing::error!(code = error.code(), detail = error.private_detail(), "no checkpoint was published: {error}");
    }
}
