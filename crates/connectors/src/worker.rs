//! A thread of its own for a blocking driver: jobs come through a bounded queue and answer by a oneshot, so that no
//! task of the runtime ever waits for a disk or a lock. One worker owns one session; jobs run in the order they came.

use tendon_kernel::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

/// How many jobs may wait. More makes callers wait, which is the back-pressure the flows expect.
const QUEUE: usize = 64;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Handle to the thread; the thread ends when the handle is dropped and the queue is empty.
pub(crate) struct Worker<S> {
    system: String,
    queue: mpsc::Sender<Job<S>>,
}

impl<S: Send + 'static> Worker<S> {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Overloaded` when the operating system gives no thread.
    pub(crate) fn start(system: &str, mut session: S) -> Result<Self> {
        let (queue, mut jobs) = mpsc::channel::<Job<S>>(QUEUE);
        std::thread::Builder::new()
            .name(format!("system {system}"))
            .spawn(move || {
                while let Some(job) = jobs.blocking_recv() {
                    job(&mut session);
                }
            })
            .map_err(|error| {
                Error::new(ErrorKind::Overloaded, "no_thread", "no thread for the connection").private(error)
            })?;
        Ok(Self { system: system.to_owned(), queue })
    }

    /// Runs a job on the thread. A job whose caller has gone before it began is not run at all.
    ///
    /// # Errors
    /// The job's own; `Unavailable` when the thread has died.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job<S> = Box::new(move |session| {
            if !answer.is_closed() {
                // The caller may go while the job runs; then nobody wants the answer.
                let _ = answer.send(job(session));
            }
        });
        let gone = || {
            Error::new(ErrorKind::Unavailable, "connection_gone", "the connection to the system has ended")
                .with("system", &self.system)
        };
        self.queue.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}
