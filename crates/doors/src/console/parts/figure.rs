//! Figures as people read them on a page.

use maud::{Markup, html};
use tendon_kernel::Timestamp;

pub(in crate::console) use crate::figure::{
    NONE, ago, burn, bytes, count, in_hour, lasting, left, minute, number, output, percent, portion, seconds, share,
    used,
};

/// A moment, to the second, in UTC.
pub(in crate::console) fn moment(at: Timestamp) -> Markup {
    let whole = at.to_string();
    let shown = whole.get(..19).map_or_else(|| whole.clone(), |text| text.replace('T', " "));
    html! { time.nowrap datetime=(whole) title={ (whole) " (UTC)" } { (shown) } }
}
