//! Explanations of an ensemble: contributions per feature, each row checked to add up.

use tendon_kernel::{Error, ErrorKind, sockets::model::Contributions};

use super::{
    Ensemble,
    node::{Rows, category_bit},
};

/// How far `base + Σ values` may be from the margin, relative to the sum of the magnitudes involved: the rounding of a
/// few thousand additions stays orders of magnitude below.
pub(crate) const TOLERANCE: f64 = 1e-9;

/// Why rows were not explained.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unexplained {
    /// The ensemble lacks what explanations need.
    Unsupported(String),
    /// The contributions of a row do not add up to its margin.
    NotAdditive { row: usize, output: usize, gap: f64 },
}

impl Ensemble {
    /// Per row one [`Contributions`] per output. `rows` as for [`Ensemble::margins`]; the margins are those before rounding
    /// to single precision, so that contributions add up to them.
    pub(crate) fn explain(&self, rows: &[f64]) -> Result<Vec<Vec<Contributions>>, Unexplained> {
        if let Some(reason) = self.explainer.reason() {
            return Err(Unexplained::Unsupported(reason.to_owned()));
        }
        let margins = self.exact_margins(rows);
        let base: Vec<f64> = self.start.iter().zip(self.explainer.base()).map(|(start, trees)| start + trees).collect();
        let mut scratch = self.explainer.scratch(self.columns);
        let mut explained = Vec::with_capacity(rows.len() / self.columns);
        for (index, (row, margins)) in
            rows.chunks_exact(self.columns).zip(margins.chunks_exact(self.outputs)).enumerate()
        {
            let categories: Vec<u64> = row.iter().copied().map(category_bit).collect();
            let row = Rows { values: row, categories: &categories };
            let mut outputs = Vec::with_capacity(self.outputs);
            for (output, (margin, base)) in margins.iter().zip(&base).enumerate() {
                let values = self.explainer.explain(&self.nodes, &self.words, row, output, &mut scratch);
                let contributions = Contributions { base: *base, values, margin: *margin };
                let gap = gap(&contributions);
                if gap.is_nan() || gap > TOLERANCE {
                    return Err(Unexplained::NotAdditive { row: index, output, gap });
                }
                outputs.push(contributions);
            }
            explained.push(outputs);
        }
        Ok(explained)
    }
}

/// The error of whoever asked.
pub(crate) fn unexplained(why: Unexplained) -> Error {
    match why {
        Unexplained::Unsupported(reason) => {
            let message = format!("explaining failed: the model cannot be explained, {reason}");
            Error::new(ErrorKind::Unsupported, "model_unexplainable", message)
        }
        Unexplained::NotAdditive { row, output, gap } => {
            let message = "explaining failed: the contributions do not add up to the margin";
            Error::new(ErrorKind::Internal, "contributions_not_additive", message)
                .with("row", row)
                .with("output", output)
                .with("relative gap", gap)
        }
    }
}

/// Relative distance between the sum of the contributions and the margin.
pub(crate) fn gap(contributions: &Contributions) -> f64 {
    let sum: f64 = contributions.base + contributions.values.iter().sum::<f64>();
    let size: f64 = contributions.values.iter().fold(contributions.base.abs(), |size, value| size + value.abs());
    (sum - contributions.margin).abs() / size.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_miss_the_margin_are_seen() {
        let contributions = |margin| Contributions { base: 0.5, values: vec![1.0, -2.0], margin };
        assert_eq!(gap(&contributions(-0.5)), 0.0);
        assert!(gap(&contributions(-0.5 + 1e-7)) > TOLERANCE);
        assert!(gap(&contributions(f64::NAN)).is_nan());
    }

    #[test]
    fn leaves_too_large_to_add_are_no_explanation() {
        let tree = |value| super::super::spec::Tree { splits: vec![], leaves: vec![value], counts: None };
        let ensemble = Ensemble::new(&[tree(1.7e308), tree(1.7e308)], 1, 1).unwrap();
        let error = ensemble.explain(&[0.0]).unwrap_err();
        assert!(matches!(error, Unexplained::NotAdditive { row: 0, output: 0, .. }), "{error:?}");
    }
}
