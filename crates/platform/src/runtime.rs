//! The real world in a kernel [`Context`]: the system's clock, cryptographic randomness, a folder on disk, tokio's tasks.

use std::{
    cell::RefCell,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use ring::rand::{SecureRandom as _, SystemRandom};
use tendon_kernel::{
    context::{Clock, Context, Entropy, Spawn},
    error::{Error, ErrorKind, Result},
    time::Timestamp,
};
use tokio::runtime::Handle;

use crate::disk::RealDisk;

/// A context whose disk is the folder (a project's `.tendon`), made when missing. Call it inside a tokio runtime.
///
/// # Errors
/// `Unavailable` when the folder cannot be made; `Internal` outside of a runtime.
pub fn context(folder: &Path) -> Result<Context> {
    let handle = Handle::try_current().map_err(|error| {
        Error::new(ErrorKind::Internal, "no_runtime", "the context was asked for outside of the runtime").private(error)
    })?;
    Ok(Context {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        disk: Arc::new(RealDisk::new(folder)?),
        spawn: Arc::new(TokioSpawn { handle }),
        metrics: Arc::default(),
        traces: tendon_kernel::trace::Traces::off(),
    })
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the context hands out")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the context hands out")]
    fn now(&self) -> Timestamp {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(micros(since)),
            Err(before) => Timestamp(-micros(before.duration())),
        }
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that the context hands out")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Randomness of the operating system, fetched in pages: one system call per 4 KiB instead of one per id.
#[derive(Debug)]
pub struct SystemEntropy;

const PAGE: usize = 4096;

struct Page {
    bytes: [u8; PAGE],
    used: usize,
}

thread_local! {
    static PAGE_OF_THREAD: RefCell<Page> = const { RefCell::new(Page { bytes: [0; PAGE], used: PAGE }) };
}

impl Page {
    fn take(&mut self, buffer: &mut [u8]) {
        if PAGE - self.used < buffer.len() {
            system_random(&mut self.bytes);
            self.used = 0;
        }
        let end = self.used + buffer.len();
        let fresh = &mut self.bytes[self.used..end];
        buffer.copy_from_slice(fresh);
        // What was handed out must not be found in memory later.
        fresh.fill(0);
        self.used = end;
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        if buffer.len() > PAGE / 4 {
            return system_random(buffer);
        }
        PAGE_OF_THREAD.with_borrow_mut(|page| page.take(buffer));
    }
}

/// Fills the buffer or ends the process: without randomness, ids repeat and keys can be guessed; no caller could go on.
/// The kernel's generator fails only where the platform lacks one.
fn system_random(buffer: &mut [u8]) {
    if SystemRandom::new().fill(buffer).is_err() {
        tracing::error!("the operating system gives no random bytes; stopping");
        std::process::abort();
    }
}

/// Tasks of a tokio runtime, also for callers on threads of their own.
#[derive(Debug)]
pub struct TokioSpawn {
    handle: Handle,
}

/// Logs the name of a task that panics.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.0, "a task panicked");
        }
    }
}

impl Spawn for TokioSpawn {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        drop(self.handle.spawn(async move {
            let _named = Named(name);
            task.await;
        }));
    }

    fn aside(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        drop(self.handle.spawn_blocking(move || {
            let _named = Named(name);
            work();
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_randomness_never_repeat_nor_stay() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            let mut id = [0; 16];
            SystemEntropy.fill(&mut id);
            assert!(seen.insert(id));
        }
        let mut large = vec![0; 10_000];
        SystemEntropy.fill(&mut large);
        assert!(large.windows(8).all(|bytes| bytes != [0; 8]));
        PAGE_OF_THREAD.with_borrow(|page| assert!(page.bytes[..page.used].iter().all(|&byte| byte == 0)));
    }

    #[tokio::test]
    async fn the_clock_moves_and_tasks_run() {
        let folder = tempfile::tempdir().unwrap();
        let context = context(folder.path()).unwrap();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let clock = Arc::clone(&context.clock);
        let before = (clock.now(), clock.monotonic());
        context.spawn.spawn(
            "test",
            Box::pin(async move {
                clock.sleep(Duration::from_millis(2)).await;
                sender.send((clock.now(), clock.monotonic())).unwrap();
            }),
        );
        let after = receiver.await.unwrap();
        assert!(after.1 - before.1 >= Duration::from_millis(2));
        assert!(after.0 > before.0 && before.0 > Timestamp::parse("2025-01-01").unwrap());
    }

    #[test]
    fn outside_of_a_runtime_there_is_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(context(folder.path()).err().unwrap().code(), "no_runtime");
    }
}
