//! Signals of the operating system.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the process shall stop (Ctrl-C, SIGTERM).
pub(crate) async fn stop_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the process, and recovery does the rest.
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
