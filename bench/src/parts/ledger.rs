//! The ledger alone: durable appends by 1, 32 and 256 writers beside the disk's own rate, the time of a proof, the rate of
//! `verify`. The room's own example measures; this runs it pinned and adds the aims.

use serde_json::Value;

use crate::{
    Res, Setting, disk,
    process::{SERVER_CORE, pinned},
    table::Row,
};

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let (_, rate) = disk::syncs(&setting.folder)?;
    rows.push(Row::new("ledger", "the disk: appends of 4 to 64 KiB with fdatasync, one at a time", rate, "/s"));
    let mut example = pinned(SERVER_CORE, &setting.target.join("release/examples/ledger_bench"));
    example.arg(setting.folder.join("ledger"));
    if setting.long {
        example.arg("--long");
    }
    for line in crate::lines_of(&mut example)? {
        let Some(row) = serde_json::from_str::<Value>(&line).ok().and_then(|value| Row::read("ledger", &value)) else {
            continue;
        };
        let row = if row.unit == "appends/s" { row.against("disk", rate) } else { row };
        let met = row.figure >= 20_000.0;
        rows.push(if row.name.contains("256 writers") { row.aim("≥ 20,000/s", met) } else { row });
    }
    Ok(())
}
