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
mod record;
mod routes;
mod session;

use std::sync::Arc;

use attempts::Attempts;
use session::Sessions;

pub use office::{Office, Order, Slot, Span};
pub use record::{Chapter, Checkpoint, Files, LedgerView, Noted, Published, Verdict, Verification};
pub(crate) use routes::router;

/// What the console keeps in memory: who is signed in. A restart signs everybody out.
pub struct Console {
    sessions: Sessions,
    attempts: Attempts,
    pub(crate) office: Arc<dyn Office>,
}

impl Console {
    /// A console with nobody signed in.
    pub fn new(office: Arc<dyn Office>) -> Self {
        Self { sessions: Sessions::default(), attempts: Attempts::default(), office }
    }
}
