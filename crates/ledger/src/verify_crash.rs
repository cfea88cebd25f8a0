//! Verifying a ledger whose process was killed: what a kill leaves unfinished behind the last checkpoint is told apart from
//! what is wrong. The next start cuts it; nothing of it was ever acknowledged as covered by a checkpoint.

use tendon_kernel::{Result, context::Disk};

use crate::{
    tiles::{self, Tile},
    verify::{Finding, Options, Report, pass},
    verify_files::RAGGED,
};

/// Verifies a ledger. `progress` hears bytes done and bytes in all.
///
/// # Errors
/// When files cannot be read at all, or a key or checkpoint given is malformed. What is wrong with the ledger is in the report.
pub fn verify(
    disk: &dyn Disk,
    folder: &str,
    options: &Options<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report> {
    let mut report = pass(disk, folder, options, progress)?;
    let checkpoint = report.checkpoint;
    // A ledger that was closed has nothing behind its checkpoint, so that whatever is there is wrong.
    let cut_off = |finding: &Finding| finding.what == crate::segment::CUT_OFF && finding.entry >= Some(checkpoint);
    let killed = report.entries > checkpoint || report.findings.iter().any(cut_off);
    let (unfinished, wrong): (Vec<Finding>, Vec<Finding>) = std::mem::take(&mut report.findings)
        .into_iter()
        .partition(|finding| killed && is_unfinished(finding, folder, checkpoint));
    report.findings = wrong;
    if !options.tail || unfinished.is_empty() {
        report.findings.extend(unfinished);
        return Ok(report);
    }
    // The cut hid what stands behind it, so everything under the checkpoint is verified by itself.
    let covered = pass(disk, folder, &Options { tail: false, ..*options }, progress)?;
    for finding in covered.findings {
        if !report.findings.contains(&finding) {
            report.findings.push(finding);
        }
    }
    report.unfinished = unfinished;
    Ok(report)
}

/// Whether a kill in the middle of a write explains it: an entry that ends with the file, a tile that no checkpoint covers
/// yet, a slot that was being filled.
fn is_unfinished(finding: &Finding, folder: &str, checkpoint: u64) -> bool {
    let name = finding.file.strip_prefix(folder).and_then(|name| name.strip_prefix('/')).unwrap_or(&finding.file);
    match finding.entry {
        Some(entry) if finding.what == crate::segment::CUT_OFF => entry >= checkpoint,
        _ if name == "keyring" => finding.what == RAGGED,
        _ => Tile::parse(name)
            .is_some_and(|tile| !tile.is_covered(checkpoint) && !tiles::edge(checkpoint).contains(&tile)),
    }
}
