//! Tree evaluation and its explanation beside LightGBM's and ONNX Runtime's Python, on the same model and rows, one thread each.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

use crate::{
    Res, Setting,
    process::{SERVER_CORE, pinned},
    table::Row,
};

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let files = [setting.model.as_os_str(), setting.rows.as_os_str()];
    let mut ours = pinned(SERVER_CORE, &setting.target.join("release/examples/tree_bench"));
    let mut peers = pinned(SERVER_CORE, &setting.python);
    peers.arg("bench/python/tree_peers.py");
    let ours = measures(ours.args(files))?;
    let peers = measures(peers.args(files))?;
    let micros = |measures: &BTreeMap<String, f64>, name: &str| {
        measures.get(name).map(|nanos| nanos / 1e3).ok_or_else(|| format!("nobody measured {name}"))
    };
    for (name, what, peer, most) in [
        ("predict_1", "1 row", "onnxruntime", 0.5),
        ("predict_1024", "1,024 rows, per row", "onnxruntime", 0.8),
        ("predict_1", "1 row", "lightgbm", f64::INFINITY),
        ("predict_1024", "1,024 rows, per row", "lightgbm", f64::INFINITY),
    ] {
        let (figure, other) = (micros(&ours, name)?, micros(&peers, &format!("{peer}_{name}"))?);
        let row = Row::new("trees", what, figure, "µs").against(format!("{peer} ({other:.1} µs)"), other);
        rows.push(if most.is_finite() { row.aim(format!("≤ {most}×"), figure <= most * other) } else { row });
    }
    let (figure, other) = (micros(&ours, "explain_1")?, micros(&peers, "lightgbm_contrib_1")?);
    let row =
        Row::new("trees", "TreeSHAP, 1 row", figure, "µs").against(format!("pred_contrib ({other:.0} µs)"), other);
    rows.push(row.aim("≤ 0.2× (5 times as fast)", figure <= 0.2 * other));
    Ok(())
}

/// Runs a program that prints one JSON object per measure: `{"name": …, "ns_per_row": …}`.
fn measures(command: &mut Command) -> Res<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    for line in crate::lines_of(command)? {
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        if let (Some(name), Some(nanos)) = (line["name"].as_str(), line["ns_per_row"].as_f64()) {
            found.insert(name.to_owned(), nanos);
        }
    }
    Ok(found)
}
