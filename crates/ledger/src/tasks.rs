//! The tasks of an open ledger. Each holds what the ledger was opened with, so whoever closes it waits for their end: while
//! one lives, the store stays open, and opening it again waits for the first one's last rows.

use std::{future::Future, sync::Arc};

use crate::{book::Inner, level::Level};

/// How many tasks run.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Level>);

/// One that runs; dropped when it ended, however that was.
struct Running(Arc<Level>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lower();
    }
}

impl Tasks {
    /// Resolves when none runs any more.
    pub(crate) async fn ended(&self) {
        loop {
            let running = self.0.get();
            if running == 0 {
                return;
            }
            self.0.other_than(running).await;
        }
    }
}

impl Inner {
    /// Runs a task that closing waits for.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.0.raise();
        let running = Running(Arc::clone(&self.tasks.0));
        let task = async move {
            // What the task holds goes before it counts as ended.
            task.await;
            drop(running);
        };
        self.context.spawn.spawn(name, Box::pin(task));
    }
}
