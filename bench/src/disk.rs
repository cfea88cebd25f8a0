//! What the disk itself can do: one `fdatasync` of appended bytes, in the same run and folder as everything that is held
//! against it.

use std::{
    fs::OpenOptions,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::{Res, histogram::Histogram};

/// How many appends are measured for each size.
const APPENDS: usize = 700;

/// Durations of `fdatasync` after an append of 4, 16 and 64 KiB.
pub(crate) fn syncs(folder: &Path) -> Res<(Histogram, f64)> {
    let path = folder.join("sync-probe");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut histogram = Histogram::new();
    let mut spent = Duration::ZERO;
    for kib in [4, 16, 64] {
        let bytes = vec![0x5a; kib * 1024];
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path).map_err(failed)?;
        for _ in 0..APPENDS {
            file.write_all(&bytes).map_err(failed)?;
            let start = Instant::now();
            file.sync_data().map_err(failed)?;
            let took = start.elapsed();
            spent += took;
            histogram.record(took);
        }
    }
    std::fs::remove_file(&path).map_err(failed)?;
    let rate = histogram.total() as f64 / spent.as_secs_f64();
    Ok((histogram, rate))
}
