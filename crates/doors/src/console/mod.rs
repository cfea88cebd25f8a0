//! The console: what people see of the process in a browser, at `/console`. Pages are made here, whole, and work without script;
//! what they show comes from the operations that all doors share, what they change is carried out by the orders that the
//! commands use. A page is one file in `pages` and one line in `routes`.

mod answer;
mod attempts;
mod cookies;
mod form;
mod layout;
mod office;
mod page;
mod pages;
mod parts;
mod pending;
mod record;
mod routes;
mod session;

use std::sync::Arc;

use attempts::Attempts;
use pending::Pending;
use session::Sessions;
use tokio::sync::Semaphore;

use crate::overview::Tally;

pub use office::{Office, Order, Return, Slot, Span};
pub use record::{Chapter, Checkpoint, Files, LedgerView, Noted, Published, Verdict, Verification};
pub(crate) use routes::router;

/// Codes that providers are asked about at once: whoever makes codes up keeps no more of this process busy.
const ASKED: usize = 8;

/// What the console keeps in memory: who is signed in, or about to be. A restart signs everybody out.
pub struct Console {
    sessions: Sessions,
    attempts: Attempts,
    pending: Pending,
    asked: Semaphore,
    pub(crate) tally: Tally,
    pub(crate) office: Arc<dyn Office>,
}

impl Console {
    /// A console with nobody signed in.
    pub fn new(office: Arc<dyn Office>) -> Self {
        let (sessions, attempts, pending) = (Sessions::default(), Attempts::default(), Pending::default());
        Self { sessions, attempts, pending, asked: Semaphore::new(ASKED), tally: Tally::default(), office }
    }
}
