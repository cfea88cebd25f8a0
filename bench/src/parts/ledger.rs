//! The ledger alone: durable appends by 1, 32 and 256 writers beside the disk's own rate, the time of a proof, the rate of
//! `verify`. The room's own example measures; this runs it pinned and adds the aims.

use serde_json::Value;

use crate::{
    Res, Setting, disk,
    process::{SERVER_CORE, pinned},
    table::Row,
};

/// Entries of the large ledger: usually, and with `--long`.
const ENTRIES: [&str; 2] = ["100000", "1000000"];

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let (_, rate) = disk::syncs(&setting.folder)?;
    rows.push(Row::new("ledger", "the disk: appends of 4 to 64 KiB with fdatasync, one at a time", rate, "/s"));
    let folder = setting.folder.join("ledger");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut example = pinned(SERVER_CORE, &setting.target.join("release/examples/ledger_bench"));
    example.arg(&folder).arg(ENTRIES[usize::from(setting.long)]).arg(setting.time.as_secs().max(1).to_string());
    for line in crate::lines_of(&mut example)? {
        if let Ok(value) = serde_json::from_str::<Value>(&line) {
            rows.extend(rows_of(&value));
        }
    }
    Ok(())
}

/// The rows of one line that the example printed.
fn rows_of(value: &Value) -> Vec<Row> {
    let number = |key: &str| value[key].as_f64();
    let entries = number("entries").unwrap_or_default();
    let (name, key, unit) = match value["measure"].as_str() {
        Some("appends") => return appends(value),
        Some("open") => (format!("open a ledger of {entries} entries"), "ms", "ms"),
        Some("proof") => (format!("make and check a proof at {entries} entries"), "made_and_verified_ms", "ms"),
        Some("verify") => (format!("verify {entries} entries, payloads opened"), "entries_per_second", "/s"),
        _ => return Vec::new(),
    };
    number(key).map(|figure| Row::new("ledger", name, figure, unit)).into_iter().collect()
}

fn appends(value: &Value) -> Vec<Row> {
    let (Some(writers), Some(rate)) = (value["writers"].as_u64(), value["per_second"].as_f64()) else {
        return Vec::new();
    };
    let row = Row::new("ledger", format!("durable appends, {writers} writers"), rate, "/s");
    let row = match value["disk_syncs_per_second"].as_f64() {
        Some(disk) => row.against(format!("disk ({disk:.0} syncs/s of the same bytes)"), disk),
        None => row,
    };
    let row = if writers == 256 { row.aim("≥ 20,000/s", rate >= 20_000.0) } else { row };
    let wait = value["p99_ms"].as_f64();
    let wait = wait.map(|p99| Row::new("ledger", format!("wait for one append, {writers} writers, p99"), p99, "ms"));
    [Some(row), wait].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_lines_become_rows() {
        let line = serde_json::json!({"measure": "appends", "writers": 256, "per_second": 30000, "p99_ms": 9.5, "disk_syncs_per_second": 500});
        let rows = rows_of(&line);
        assert_eq!((rows.len(), rows[0].met), (2, Some(true)));
        assert_eq!(
            rows_of(&serde_json::json!({"measure": "proof", "entries": 5, "made_and_verified_ms": 0.1})).len(),
            1
        );
        assert!(rows_of(&serde_json::json!({"measure": "close", "ms": 1})).is_empty());
    }
}
