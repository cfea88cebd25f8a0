//! Gives way to other tasks in the middle of long work. On one core a checkpoint over thousands of leaves would otherwise be a
//! pause of tens of milliseconds for everybody who waits for an answer.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

/// Work of one kind that is done between two breaths.
pub(crate) const STRETCH: usize = 64;

/// Lets every task run that is ready now.
pub(crate) async fn breathe() {
    let mut waited = false;
    poll_fn(|context: &mut Context<'_>| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
