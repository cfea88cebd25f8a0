//! Reads what `oracle/lightgbm_oracle.py` wrote, and compares.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path, sync::Arc};

use tendon_kernel::sockets::model::{Matrix, Model};

/// Largest difference between a contribution and LightGBM's. Its own algorithm divides and multiplies its way back
/// along a path, so the last digits of long paths are its noise, not ours.
pub(crate) const CONTRIBUTION_TOLERANCE: f64 = 1e-9;

/// Largest distances found in one model.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Worst {
    /// Of the outputs, in units in the last place.
    pub(crate) output_ulps: u64,
    /// Of the margins, in units in the last place.
    pub(crate) margin_ulps: u64,
    /// Of the contributions and bases.
    pub(crate) contribution: f64,
    /// Rows scored.
    pub(crate) rows: usize,
}

/// Checks one model of the oracle: all outputs and margins, and all contributions.
pub(crate) fn compare(folder: &Path, name: &str) -> Worst {
    let file = format!("{name}.txt");
    let bytes = fs::read(folder.join(&file)).unwrap();
    let (format, model) = tendon_models::load(Some(&file), &bytes).unwrap();
    assert_eq!(format.name, "lightgbm");
    let mut worst = Worst::default();
    predictions(model.as_ref(), &doubles(&folder.join(format!("{name}.predict.f64"))), &mut worst);
    contributions(&model, &doubles(&folder.join(format!("{name}.contrib.f64"))), &mut worst);
    worst
}

fn predictions(model: &dyn Model, values: &[f64], worst: &mut Worst) {
    let (columns, outputs) = (model.signature().features.len(), model.signature().outputs);
    let mut rows = Matrix { values: vec![], columns };
    let (mut predicted, mut margins) = (vec![], vec![]);
    for row in values.chunks_exact(columns + 2 * outputs) {
        rows.values.extend(&row[..columns]);
        predicted.extend(&row[columns..columns + outputs]);
        margins.extend(&row[columns + outputs..]);
    }
    worst.rows = rows.rows();
    worst.output_ulps = furthest(&model.predict(&rows).unwrap(), &predicted);
    worst.margin_ulps = furthest(&model.margin(&rows).unwrap(), &margins);
    // A row alone takes another way through the walk.
    for index in (0..rows.rows()).step_by(97) {
        let row = Matrix { values: rows.row(index).to_vec(), columns };
        let alone = model.margin(&row).unwrap();
        assert_eq!(furthest(&alone, &margins[index * outputs..(index + 1) * outputs]), 0, "row {index} alone");
    }
}

fn contributions(model: &Arc<dyn Model>, values: &[f64], worst: &mut Worst) {
    let (columns, outputs) = (model.signature().features.len(), model.signature().outputs);
    let mut rows = Matrix { values: vec![], columns };
    let mut expected = vec![];
    for row in values.chunks_exact(columns + outputs * (columns + 1)) {
        rows.values.extend(&row[..columns]);
        expected.push(&row[columns..]);
    }
    let explained = model.explain(&rows).unwrap();
    assert_eq!(explained.len(), expected.len());
    for (explained, expected) in explained.iter().zip(expected) {
        assert_eq!(explained.len(), outputs);
        for (explained, expected) in explained.iter().zip(expected.chunks_exact(columns + 1)) {
            let ours = explained.values.iter().chain([&explained.base]);
            for (ours, theirs) in ours.zip(expected) {
                worst.contribution = worst.contribution.max((ours - theirs).abs());
                assert!(!ours.is_nan(), "a contribution is NaN");
            }
        }
    }
}

fn doubles(path: &Path) -> Vec<f64> {
    fs::read(path).unwrap().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}

fn furthest(ours: &[f64], theirs: &[f64]) -> u64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(ours, theirs)| ulps(*ours, *theirs)).max().unwrap_or(0)
}

/// Number of doubles between two.
fn ulps(a: f64, b: f64) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    let place = |x: f64| {
        let bits = x.to_bits().cast_signed();
        if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
    };
    place(a).abs_diff(place(b))
}
