//! A recalled answer over HTTP beside a computed one: the same callers, the same thousand subjects, the same durable record.

use crate::{
    Res, Setting,
    load::closed,
    project::{self, Variant},
    table::Row,
};

const CONNECTIONS: usize = 64;

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let mut computed = None;
    for (variant, name) in [(Variant::Known, "computed (a miss)"), (Variant::Recalled, "recalled (a hit)")] {
        let started = project::start(setting, variant)?;
        let found = closed(&started.target, CONNECTIONS, setting.time)?;
        if found.refused > 0 {
            return Err(format!("{} answers had another status than 200", found.refused));
        }
        let row = |what: &str, number: f64, unit: &'static str| {
            Row::new("recall", format!("{name}, {what}, {CONNECTIONS} connections"), number, unit)
        };
        let row_of_rate = row("1,000 subjects", found.rate, "/s");
        rows.push(match computed.replace(found.rate) {
            Some(miss) => row_of_rate.against("computed", miss),
            None => row_of_rate,
        });
        let (p50, p99) = (found.latency.quantile(0.5), found.latency.quantile(0.99));
        rows.push(row("p50", p50.as_secs_f64() * 1e3, "ms"));
        rows.push(row("p99", p99.as_secs_f64() * 1e3, "ms"));
    }
    Ok(())
}
