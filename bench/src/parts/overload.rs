//! More than the program can answer: an open loop at 0.5, 1, 2 and 10 times of what it does at its best, with explanations on
//! every decision, so that the load generator can make ten times of it. What is answered in time, how quickly the rest is
//! refused, and what memory does.

use std::time::Duration;

use crate::{
    Res, Setting,
    load::{closed, impatient},
    project::{self, Variant},
    table::Row,
};

/// Connections of the peak, and of the loads: so many callers that none waits for another's connection.
const USUAL: usize = 64;
const MANY: usize = 1000;
/// How long a caller looks for a free connection.
const PATIENCE: Duration = Duration::from_millis(100);
const TIMES: [f64; 4] = [0.5, 1.0, 2.0, 10.0];
/// What the program keeps of decisions is full after so long at its peak: what memory does after it, the load did.
const FILLING: Duration = Duration::from_secs(20);

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let started = project::start(setting, Variant::Explained)?;
    closed(&started.target, USUAL, FILLING)?;
    let mut calm = None;
    for times in TIMES {
        // Each load beside a peak of its own: a machine that is shared with others is not as quick each minute.
        let peak = closed(&started.target, USUAL, setting.time)?.rate;
        let what = format!("peak before {times}×, {USUAL} connections, every answer explained");
        rows.push(Row::new("overload", what, peak, "/s"));
        let found = impatient(&started.target, MANY, peak * times, setting.time * 2, PATIENCE)?;
        let memory = started.server.memory()? as f64 / 1e6;
        let counted = (setting.time * 2).mul_f64(0.8).as_secs_f64();
        let good = (found.latency.total() - found.refused) as f64 / counted;
        let name = |what: &str| format!("{what} at {times}× ({:.0}/s, {MANY} connections)", peak * times);
        let row = Row::new("overload", name("answered"), good, "/s").against("peak", peak);
        let wanted = 0.9 * times.min(1.0);
        rows.push(row.aim(format!("≥ {wanted:.2}× peak"), good >= wanted * peak));
        if found.refused > 0 {
            let refusal = |share: f64| found.refusals.quantile(share).as_secs_f64() * 1e3;
            rows.push(Row::new("overload", name("refused"), found.refused as f64 / counted, "/s"));
            rows.push(Row::new("overload", name("refused after, p50"), refusal(0.5), "ms"));
            rows.push(
                Row::new("overload", name("refused after, p99"), refusal(0.99), "ms")
                    .aim("≤ 100 ms", refusal(0.99) <= 100.0),
            );
        }
        let due = found.latency.total() + found.unsent;
        let unsent = found.unsent as f64 / due as f64 * 100.0;
        let row = Row::new("overload", name("found none of its connections free and was not sent"), unsent, "%");
        rows.push(row.aim("≤ 1 %", unsent <= 1.0));
        let first = *calm.get_or_insert(memory);
        let row = Row::new("overload", name("memory after"), memory, "MB").against("after 0.5×", first);
        rows.push(row.aim("flat: ≤ 1.2×", memory <= 1.2 * first));
    }
    Ok(())
}
