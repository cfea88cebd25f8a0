//! Reads what the scripts under `oracle/` wrote, and compares.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path, sync::Arc};

use tendon_kernel::sockets::model::{Matrix, Model};

/// In which precision a trainer adds and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    Single,
    Double,
}

/// Largest distances found in one model.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Worst {
    /// Of the outputs, in units in the last place.
    pub(crate) output_ulps: u64,
    /// Of the margins, in units in the last place.
    pub(crate) margin_ulps: u64,
    /// Of the contributions and bases.
    pub(crate) contribution: f64,
    /// The same, relative to the largest of its row.
    pub(crate) relative: f64,
    /// Rows scored.
    pub(crate) rows: usize,
}

impl Worst {
    /// Outputs may be one unit off. The trainers' explanations divide and multiply their way back along a path, so the last
    /// digits of long paths are their noise, not ours.
    pub(crate) fn is_too_far(&self, precision: Precision) -> bool {
        let contribution = match precision {
            Precision::Double => self.contribution > 1e-9,
            Precision::Single => self.relative > 1e-5,
        };
        let margin = u64::from(precision == Precision::Single);
        self.output_ulps > 1 || self.margin_ulps > margin || contribution
    }
}

/// Checks one model of the oracle: all outputs and margins, and all contributions.
pub(crate) fn compare(folder: &Path, file: &str, format: &str, precision: Precision) -> Worst {
    let name = file.rsplit_once('.').map_or(file, |(name, _)| name);
    let bytes = fs::read(folder.join(file)).unwrap();
    let (found, model) = tendon_models::load(Some(file), &bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(found.name, format);
    let mut worst = Worst::default();
    predictions(model.as_ref(), &doubles(&folder.join(format!("{name}.predict.f64"))), precision, &mut worst);
    contributions(&model, &doubles(&folder.join(format!("{name}.contrib.f64"))), &mut worst);
    worst
}

fn predictions(model: &dyn Model, values: &[f64], precision: Precision, worst: &mut Worst) {
    let (columns, outputs) = (model.signature().features.len(), model.signature().outputs);
    let mut rows = Matrix { values: vec![], columns };
    let (mut predicted, mut margins) = (vec![], vec![]);
    for row in values.chunks_exact(columns + 2 * outputs) {
        rows.values.extend(&row[..columns]);
        predicted.extend(&row[columns..columns + outputs]);
        margins.extend(&row[columns + outputs..]);
    }
    worst.rows = rows.rows();
    worst.output_ulps = furthest(&model.predict(&rows).unwrap(), &predicted, precision);
    let together = model.margin(&rows).unwrap();
    worst.margin_ulps = furthest(&together, &margins, precision);
    // A row alone takes another way through the walk.
    for index in (0..rows.rows()).step_by(97) {
        let row = Matrix { values: rows.row(index).to_vec(), columns };
        let alone = model.margin(&row).unwrap();
        let among = &together[index * outputs..(index + 1) * outputs];
        assert_eq!(furthest(&alone, among, Precision::Double), 0, "row {index} alone");
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
            let size = expected.iter().fold(0.0, |size: f64, value| size.max(value.abs()));
            let ours = explained.values.iter().chain([&explained.base]);
            let gap = ours.zip(expected).fold(0.0, |gap: f64, (ours, theirs)| gap.max((ours - theirs).abs()));
            worst.relative = worst.relative.max(gap / size.max(f64::MIN_POSITIVE));
        }
    }
}

fn doubles(path: &Path) -> Vec<f64> {
    fs::read(path).unwrap().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}

fn furthest(ours: &[f64], theirs: &[f64], precision: Precision) -> u64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(ours, theirs)| ulps(*ours, *theirs, precision)).max().unwrap_or(0)
}

/// Number of values of the precision between two.
fn ulps(a: f64, b: f64, precision: Precision) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    let place = |x: f64| match precision {
        Precision::Double if x < 0.0 => -(x.abs().to_bits().cast_signed()),
        Precision::Double => x.abs().to_bits().cast_signed(),
        Precision::Single => {
            assert_eq!(f64::from(x as f32), x, "{x} is no single");
            let bits = i64::from((x as f32).abs().to_bits());
            if x < 0.0 { -bits } else { bits }
        }
    };
    place(a).abs_diff(place(b))
}
