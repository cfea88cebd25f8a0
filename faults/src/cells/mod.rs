//! The cells: what breaks, under which load, and what has to be seen while it does.

mod crm;
mod host;
mod kill;
mod outage;
mod people;
mod power;

use crate::{
    Res, Setting,
    place::{Place, Setup},
};

pub(crate) use crm::BEHIND;
pub(crate) use kill::API;
pub(crate) use power::CUT;

/// A cell with callers, batches, people, write-backs and kills: what the checker's own proof works on.
pub(crate) const RICH: &str = "kill-all";

/// One cell of the table.
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    /// What happens, in a sentence.
    pub(crate) about: &'static str,
    pub(crate) setup: fn() -> Setup,
    /// The fault, from its begin to its end; load goes on meanwhile.
    pub(crate) fault: fn(&Setting, &Place) -> Res<()>,
    /// Rows that the CRM refuses for good.
    pub(crate) refused: u64,
}

/// All cells, in the order of the table.
pub(crate) const CELLS: &[Cell] = &[
    kill::API,
    kill::WATCH,
    kill::BATCH,
    kill::ALL,
    power::CUT,
    crm::DOWN,
    crm::DOWN_MARIADB,
    crm::SLOW,
    crm::RESETTING,
    crm::SILENT,
    crm::GARBAGE,
    outage::OUTAGE,
    crm::UNSAID,
    crm::UNSAID_MARIADB,
    crm::LOCKED,
    crm::LOCKED_POSTGRES,
    crm::BEHIND,
    crm::REFUSING,
    host::DISK,
    host::CLOCK,
    people::MODEL,
    people::RELOAD,
    people::TWO,
    people::CROWD,
    people::LORIS,
    people::CACHE,
];
