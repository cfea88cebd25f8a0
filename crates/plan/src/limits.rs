//! Limits of the process, and what they are where nobody says otherwise.

/// Limits of the process.
pub struct ServerLimits {
    /// Decisions under way at once; more are shed.
    pub in_flight: usize,
    /// Refusals for want of room that leave at once in a second; more are held back for a moment.
    pub refusals_per_second: u32,
    /// Largest request body in bytes; of a streamed batch: largest line.
    pub body_bytes: usize,
    /// Most records of one streamed batch.
    pub batch_records: usize,
    /// Deepest nesting of a request body.
    pub depth: usize,
    /// Asynchronous requests that may wait; more are refused.
    pub requests: usize,
    /// Workers that decide asynchronous requests.
    pub request_workers: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            in_flight: 1024,
            refusals_per_second: 5000,
            body_bytes: 1 << 20,
            batch_records: 1_000_000,
            depth: 32,
            requests: 10_000,
            request_workers: 2,
        }
    }
}
