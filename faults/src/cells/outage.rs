//! The CRM is gone for a minute while everybody goes on asking, first so that it refuses, then so that it says nothing: how often it
//! is still asked. A program that repeats what failed asks a system most when that can bear least. Here each decision wants a row of
//! it, so what reaches it per decision is the amplification.

use std::time::{Duration, Instant};

use tendon_testkit::proxy::Fault;

use super::Cell;
use crate::{
    Res, Setting,
    crm::Kind,
    place::{Place, Setup, rest_until},
};

/// How often a system that is gone may be asked for each decision that wants something of it.
const MOST: f64 = 1.1;

pub(super) const OUTAGE: Cell = Cell {
    name: "crm-outage",
    about: "the PostgreSQL refuses for a minute, then is silent for a minute, while each decision wants a row of it and people change \
            others; timeout 500 ms, all other limits as they are by default",
    setup: || Setup {
        crm: Kind::Postgres,
        callers: 4,
        lookup: true,
        system: "    limits: { timeout: 500ms }\n".to_owned(),
        ..Setup::default()
    },
    fault: outage,
    refused: 0,
};

/// What was counted within some time.
struct Counted {
    /// Requests to the CRM, and those of them that repeated one that failed.
    requests: f64,
    repeated: f64,
    decisions: f64,
}

impl Counted {
    fn each(&self) -> f64 {
        self.requests / self.decisions
    }
}

fn so_far(place: &Place) -> [f64; 3] {
    ["tendon_system_calls_total{", "tendon_system_retries_total{", "tendon_decisions_total{"]
        .map(|name| place.metric(name))
}

fn during(place: &Place, lasts: Duration) -> Res<Counted> {
    let (begun, before) = (Instant::now(), so_far(place));
    rest_until(begun + lasts);
    let after = so_far(place);
    let [requests, repeated, decisions] = std::array::from_fn(|at| after[at] - before[at]);
    if decisions < 1.0 {
        return Err("nothing was decided meanwhile".to_owned());
    }
    Ok(Counted { requests, repeated, decisions })
}

fn outage(setting: &Setting, place: &Place) -> Res<()> {
    let lasts = Duration::from_secs(if setting.long { 60 } else { 3 });
    let line = place.crm.proxy.as_ref().ok_or("the CRM has no line")?;
    place.answers(20)?;
    let usual = during(place, lasts)?;
    place.note(format!(
        "in {} s before: {:.0} requests, {:.2} a decision",
        lasts.as_secs(),
        usual.requests,
        usual.each()
    ));
    for (fault, how) in [(Fault::Refuse, "while it refused"), (Fault::HalfOpen, "while it was silent")] {
        line.set(fault.clone());
        if fault == Fault::Refuse {
            line.cut();
        }
        let gone = during(place, lasts)?;
        // Seen from the other end of the line.
        let touched = line.touched();
        line.set(Fault::None);
        place.calm()?;
        place.happened(touched, &format!("tries met nothing {how}"))?;
        place.note(format!(
            "{:.0} requests for {:.0} decisions, {:.4} a decision, {:.0} of them repeated",
            gone.requests,
            gone.decisions,
            gone.each(),
            gone.repeated
        ));
        if gone.each() > MOST {
            return Err(format!("{how}, it was asked {:.2} times for each decision", gone.each()));
        }
    }
    Ok(())
}
