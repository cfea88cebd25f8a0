//! What pages share that list a chapter of the ledger.

use maud::Markup;

use super::{figure::count, pager};
use crate::console::record::Noted;

/// The way to what is older, where there may be something.
pub(in crate::console) fn older(path: &str, listed: &[Noted], most: usize) -> Markup {
    let last = listed.last().filter(|_| listed.len() == most);
    let shown = format!("{} are shown.", count(most as u64));
    last.map(|last| pager(&shown, &format!("{path}?before={}", last.seq), "Older ones")).unwrap_or_default()
}

/// Who did something, in words where the entry knows no name.
pub(in crate::console) fn by(caller: &str) -> &str {
    match caller {
        "cli" => "the command line",
        "process" => "the process",
        "door:batch" => "the backfill",
        other => other,
    }
}
