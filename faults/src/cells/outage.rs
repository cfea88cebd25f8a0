//! The CRM is gone for a minute while everybody goes on asking: how often it is still asked. A program that repeats what failed
//! asks a system most when that can bear least; here it may not ask more than it did before.

use std::time::{Duration, Instant};

use tendon_testkit::proxy::Fault;

use super::Cell;
use crate::{
    Res, Setting,
    crm::Kind,
    place::{Place, Setup, rest},
};

/// How much more often than before a system may be asked that is gone.
const MOST: f64 = 1.1;

pub(super) const OUTAGE: Cell = Cell {
    name: "crm-outage",
    about: "the PostgreSQL is gone for a minute while each decision wants a row of it and people change others; limits as they are by \
            default",
    setup: || Setup { crm: Kind::Postgres, callers: 4, lookup: true, ..Setup::default() },
    fault: outage,
    refused: 0,
};

/// Requests to the CRM and decisions, so far.
fn counted(place: &Place) -> [f64; 3] {
    ["tendon_system_calls_total{", "tendon_system_retries_total{", "tendon_decisions_total{"]
        .map(|name| place.metric(name))
}

/// What was counted within so long.
fn during(place: &Place, lasts: Duration) -> Res<[f64; 3]> {
    let (begun, before) = (Instant::now(), counted(place));
    while begun.elapsed() < lasts {
        rest(lasts.saturating_sub(begun.elapsed()));
    }
    let after = counted(place);
    let [calls, retries, decisions] = std::array::from_fn(|at| after[at] - before[at]);
    if decisions < 1.0 {
        return Err("nothing was decided meanwhile".to_owned());
    }
    Ok([calls, retries, decisions])
}

fn outage(setting: &Setting, place: &Place) -> Res<()> {
    let lasts = Duration::from_secs(if setting.long { 60 } else { 3 });
    let line = place.crm.proxy.as_ref().ok_or("the CRM has no line")?;
    place.answers(20)?;
    let [calls, _, decisions] = during(place, lasts)?;
    line.set(Fault::Refuse);
    line.cut();
    let gone = during(place, lasts)?;
    let refused = line.touched();
    line.set(Fault::None);
    place.calm()?;
    // Seen from the other end of the line: connections that were tried, none of which carried anything.
    place.happened(refused, "connections refused")?;
    let times = gone[0].max(refused as f64) / calls.max(1.0);
    place.note(format!(
        "in {} s before: {calls:.0} requests for {decisions:.0} decisions; in as many seconds while it was gone: {:.0} for {:.0}, {:.0} \
         of them repeated ({times:.2}×)",
        lasts.as_secs(),
        gone[0],
        gone[2],
        gone[1],
    ));
    if times > MOST { Err(format!("it was asked {times:.2} times as often as before")) } else { Ok(()) }
}
