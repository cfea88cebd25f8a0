//! Signals of the operating system.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the process shall stop (Ctrl-C, SIGTERM). The handlers stand from the call on, not from the first wait: a
/// signal in between is not lost and does not end the process unordered.
pub(crate) fn stop_signal() -> impl Future<Output = ()> {
    let handlers = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = handlers else {
            // Without handlers the signals end the process, and recovery does the rest.
            return std::future::pending().await;
        };
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
