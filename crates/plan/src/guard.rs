//! How a system is guarded when it is slow, refuses or is gone: turns, retries, circuit breaker.

use std::time::Duration;

/// The guard of a system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuardPlan {
    /// Requests that may wait for their turn.
    pub queue: usize,
    /// What may be repeated, as a share of first attempts.
    pub retries: f64,
    /// A request that takes longer is a bad one; `None`: half of the system's timeout.
    pub slow: Option<Duration>,
    /// How many of the last requests the breaker looks at.
    pub window: usize,
    /// Fewer requests than this open nothing.
    pub calls: usize,
    /// Share of bad requests that opens.
    pub share: f64,
    /// Probes after a wait.
    pub probes: usize,
    /// First wait.
    pub wait: Duration,
    /// Longest wait.
    pub longest: Duration,
}

impl Default for GuardPlan {
    fn default() -> Self {
        Self {
            queue: 64,
            retries: 0.1,
            slow: None,
            window: 20,
            calls: 5,
            share: 0.5,
            probes: 2,
            wait: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}
