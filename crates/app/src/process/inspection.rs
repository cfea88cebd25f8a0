//! What the console shows of the ledger beside its entries: its files, its last checkpoint, and a verification that somebody
//! wished for, which runs aside and tells how far it is.

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tendon_doors::console::{Checkpoint, Files, LedgerView, Published, Verdict, Verification};
use tendon_kernel::{Error, ErrorKind, Result, Timestamp, context::Context};
use tendon_ledger::verify::{Finding, Options, Report, verify};
use tendon_plan::PublishTo;
use tokio::sync::oneshot;

use crate::{
    project::Project,
    wiring::{self, Parts},
};

/// Bytes of entries that are verified at a wish: about a quarter of an hour at half a core.
const MOST: u64 = 64 << 30;

/// The last verification, shared with the work aside.
#[derive(Clone, Default)]
pub(super) struct Inspection(Arc<Mutex<Option<Verification>>>);

impl Inspection {
    /// How the ledger does. What has to be looked up on disk is looked up aside.
    pub(super) async fn view(&self, parts: &Parts) -> LedgerView {
        let (tell, told) = oneshot::channel();
        let (project, key) = (parts.project.clone(), parts.book.public_key().to_owned());
        let look = move || drop(tell.send((files(&project), checkpoint(&project, key))));
        parts.context.spawn.aside("ledger size", Box::new(look));
        let (files, checkpoint) = told.await.unwrap_or_default();
        let publishing = parts.checkpoints.state();
        let runtime = parts.engine.runtime();
        let published = runtime.plan().publish.as_ref().map(|publish| Published {
            to: match &publish.to {
                PublishTo::File(name) => name.clone(),
                // The path of an address may hold a key.
                PublishTo::Url { url, .. } => tendon_kernel::sockets::http::origin_of(url).to_owned(),
            },
            every: publish.every,
            entries: publishing.entries,
            at: publishing.at,
            failure: publishing.failure,
        });
        let verification = self.last().clone();
        LedgerView { state: parts.ledger.state(), files, checkpoint, published, verification, most: MOST }
    }

    /// Begins to verify what lies under the last checkpoint.
    ///
    /// # Errors
    /// `Conflict` while that is under way; `Unsupported` when the ledger is too large; the keys'.
    pub(super) async fn verify(&self, parts: &Parts, by: &str) -> Result<()> {
        let bytes = self.view(parts).await.files.map_or(0, |files| files.bytes);
        if bytes > MOST {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "ledger_large",
                "the ledger is too large to be verified here",
            )
            .hint("`tendon ledger verify` verifies it on the machine, beside the running process"));
        }
        let keys = wiring::sealed_keys(&parts.project.state())?;
        let began = parts.context.clock.now();
        {
            let mut last = self.last();
            if last.as_ref().is_some_and(|one| one.ended.is_none()) {
                return Err(Error::new(ErrorKind::Conflict, "verification_under_way", "the ledger is being verified")
                    .hint("the page tells how far it is"));
            }
            *last = Some(Verification { by: by.to_owned(), began, read: (0, bytes), ended: None });
        }
        tracing::info!(by, "the ledger is verified at the wish of somebody in the console");
        let under = Under { this: self.clone(), context: parts.context.clone(), runs: true };
        let work = move || {
            let options = Options { keys: Some(&*keys), ..Options::default() };
            let mut pace = Pace { context: &under.context, last: under.context.clock.monotonic() };
            let mut reached = |read, all| {
                under.this.reached(read, all);
                pace.rest();
            };
            let done = verify(&*under.context.disk, wiring::LEDGER, &options, &mut reached);
            under.done(done);
        };
        parts.context.spawn.aside("ledger verification", Box::new(work));
        Ok(())
    }

    fn reached(&self, read: u64, all: u64) {
        if let Some(one) = &mut *self.last() {
            one.read = (read, all);
        }
    }

    fn ended(&self, context: &Context, done: Result<Report>) {
        if let Ok(report) = &done
            && !report.is_good()
        {
            tracing::error!(findings = report.findings.len(), "the ledger does not verify");
        }
        if let Some(one) = &mut *self.last() {
            one.ended = Some((context.clock.now(), verdict(done)));
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Verification>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves half of the core's time to decisions.
struct Pace<'c> {
    context: &'c Context,
    last: Duration,
}

impl Pace<'_> {
    /// Rests as long as the work before took. The thread is the work's own; nothing else waits for it.
    fn rest(&mut self) {
        let clock = &self.context.clock;
        thread::park_timeout(clock.monotonic().saturating_sub(self.last));
        self.last = clock.monotonic();
    }
}

/// A verification under way. It ends with this, whatever happens: one that stayed under way would forbid all others.
struct Under {
    this: Inspection,
    context: Context,
    runs: bool,
}

impl Under {
    /// It came to its end. From here on the next one may run, of which this one says nothing.
    fn done(mut self, done: Result<Report>) {
        self.runs = false;
        self.this.ended(&self.context, done);
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        if !self.runs {
            return;
        }
        let broke = Error::new(ErrorKind::Internal, "verification_broke", "the verification broke off, by a defect")
            .hint("`tendon ledger verify` verifies the ledger beside the running process");
        self.this.ended(&self.context, Err(broke));
    }
}

fn verdict(done: Result<Report>) -> Verdict {
    let sentence = |finding: &Finding| {
        let entry = finding.entry.map_or_else(String::new, |entry| format!("entry {entry}: "));
        format!("{entry}{} ({})", finding.what, finding.file)
    };
    match done {
        Ok(report) if report.is_good() => Verdict::Good { entries: report.entries, erased: report.erased },
        Ok(report) => Verdict::Wrong(report.findings.iter().map(sentence).collect()),
        Err(error) => Verdict::Failed(error.to_string()),
    }
}

/// The segments, counted; `None` when their folder cannot be read.
fn files(project: &Project) -> Option<Files> {
    let segments = fs::read_dir(project.state().join(wiring::LEDGER).join("segments")).ok()?;
    // A segment that goes meanwhile counts for nothing.
    let sizes = segments.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len());
    Some(sizes.fold(Files::default(), |sum, bytes| Files { segments: sum.segments + 1, bytes: sum.bytes + bytes }))
}

/// The checkpoint that was signed last. It is replaced as a whole, so no half of one is read.
fn checkpoint(project: &Project, key: String) -> Option<Checkpoint> {
    let path = project.state().join(wiring::LEDGER).join("checkpoint");
    let text = fs::read_to_string(&path).ok()?;
    let written = fs::metadata(&path).and_then(|file| file.modified()).ok();
    let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let at = since.and_then(|since| i64::try_from(since.as_micros()).ok()).map(Timestamp);
    // Origin, size, root: the first three lines (C2SP tlog-checkpoint).
    let mut lines = text.lines();
    let (origin, size, root) = (lines.next()?, lines.next()?.parse().ok()?, lines.next()?);
    Some(Checkpoint { origin: origin.to_owned(), size, root: root.to_owned(), at, key, text: text.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tendon_testkit::Sim;

    #[test]
    fn a_verification_that_breaks_off_has_ended() {
        let (context, this) = (Sim::new(1).context(), Inspection::default());
        let begin =
            || Some(Verification { by: "ada".to_owned(), began: context.clock.now(), read: (0, 9), ended: None });
        *this.last() = begin();
        drop(Under { this: this.clone(), context: context.clone(), runs: true });
        let last = this.last().clone().unwrap();
        assert!(matches!(last.ended, Some((_, Verdict::Failed(told))) if told.contains("broke off")));
        // What has ended keeps its verdict.
        *this.last() = begin();
        let under = Under { this: this.clone(), context: context.clone(), runs: true };
        under.done(Ok(Report::default()));
        assert!(matches!(this.last().clone().unwrap().ended, Some((_, Verdict::Good { .. }))));
    }
}
