//! `tendon/linear@1`: linear models, generalised linear models and scorecards, in a small JSON format of our own that any
//! trainer's coefficients fit into (`docs/linear-models.md` describes it key by key).
//!
//! A margin is the intercept plus what each feature adds: a coefficient times the value, or the points of a category or a
//! bin. It is the exact sum, rounded once (`sum.rs`), so it does not depend on the order in which a library adds. An explanation is exact: what a feature adds over its declared reference.

mod file;
mod sum;

use std::sync::Arc;

use tendon_kernel::{
    Error, ErrorKind, Result,
    sockets::model::{Contributions, Matrix, Model, ModelFormat, Signature},
};

use self::sum::Sum;
use crate::{
    output::Transform,
    trees::{TOLERANCE, Unexplained, check_columns, gap, unexplained},
};

/// The format.
pub(crate) static FORMAT: ModelFormat = ModelFormat {
    name: "linear",
    summary: "linear model or scorecard, tendon/linear@1 JSON",
    extensions: &[".json"],
    sniff: file::sniff,
    load: |bytes| Ok(Arc::new(file::read(bytes)?)),
};

/// What a value adds. The innermost lists hold one number per output.
enum Term {
    /// Coefficients times the value, explained against a mean.
    Slope { coefficient: Vec<f64>, mean: f64 },
    /// The points of the first bin whose limit lies above the value, or of the last one; explained against neutral points.
    Steps { below: Vec<f64>, points: Vec<Vec<f64>>, neutral: Vec<f64> },
    /// The points of the category with this code.
    Codes { points: Vec<Vec<f64>>, neutral: Vec<f64> },
}

/// What stands for a missing value. A category that the model does not know is a missing one.
enum Missing {
    /// Nothing: the row has no answer.
    Refused,
    /// Another value.
    As(f64),
    /// What it adds, per output.
    Adds(Vec<f64>),
}

struct Column {
    term: Term,
    missing: Missing,
}

/// What one cell adds to one output.
#[derive(Clone, Copy)]
enum Adds {
    Product(f64, f64),
    Points(f64),
}

/// A model read from the format.
struct Linear {
    signature: Signature,
    intercept: Vec<f64>,
    columns: Vec<Column>,
    transform: Transform,
    /// Factor and offset from points to the logarithm of the odds, for scorecards that answer with a probability.
    odds: Option<(f64, f64)>,
}

impl Column {
    /// What a value adds to an output; `None` where it is missing and must not be.
    fn adds(&self, value: f64, output: usize) -> Option<Adds> {
        self.present(value, output).or_else(|| match &self.missing {
            Missing::Refused => None,
            Missing::As(value) => self.present(*value, output),
            Missing::Adds(adds) => Some(Adds::Points(adds[output])),
        })
    }

    fn present(&self, value: f64, output: usize) -> Option<Adds> {
        if value.is_nan() {
            return None;
        }
        match &self.term {
            Term::Slope { coefficient, .. } => Some(Adds::Product(coefficient[output], value)),
            Term::Steps { below, points, .. } => {
                let bin = below.partition_point(|limit| *limit <= value);
                Some(Adds::Points(points[bin][output]))
            }
            Term::Codes { points, .. } => {
                let code = value as usize;
                let known = points.get(code).filter(|_| code as f64 == value);
                known.map(|points| Adds::Points(points[output]))
            }
        }
    }

    /// What it adds to the base of an explanation.
    fn reference(&self, output: usize) -> Adds {
        match &self.term {
            Term::Slope { coefficient, mean } => Adds::Product(coefficient[output], *mean),
            Term::Steps { neutral, .. } | Term::Codes { neutral, .. } => Adds::Points(neutral[output]),
        }
    }

    /// What it adds over its reference.
    fn contribution(&self, adds: Adds, output: usize) -> f64 {
        match (adds, self.reference(output)) {
            (Adds::Product(coefficient, value), Adds::Product(_, mean)) => coefficient * (value - mean),
            (adds, reference) => adds.rounded() - reference.rounded(),
        }
    }
}

impl Adds {
    fn rounded(self) -> f64 {
        match self {
            Self::Product(a, b) => a * b,
            Self::Points(points) => points,
        }
    }
}

impl Linear {
    /// The sum of a row's output; else the column whose value is missing.
    fn sum(&self, row: &[f64], output: usize) -> std::result::Result<f64, usize> {
        let mut sum = Sum::from(self.intercept[output]);
        for (index, (column, value)) in self.columns.iter().zip(row).enumerate() {
            sum.adds(column.adds(*value, output).ok_or(index)?);
        }
        Ok(sum.rounded())
    }

    fn contributions(&self, row: &[f64], output: usize) -> std::result::Result<Contributions, usize> {
        let mut base = Sum::from(self.intercept[output]);
        let mut values = Vec::with_capacity(row.len());
        for (index, (column, value)) in self.columns.iter().zip(row).enumerate() {
            base.adds(column.reference(output));
            values.push(column.contribution(column.adds(*value, output).ok_or(index)?, output));
        }
        Ok(Contributions { base: base.rounded(), values, margin: self.sum(row, output)? })
    }

    fn missing(&self, column: usize) -> Error {
        let name = &self.signature.features[column].name;
        let message =
            format!("scoring failed: the model has no rule for a missing or unknown value of feature `{name}`");
        Error::new(ErrorKind::Invalid, "model_value_missing", message)
            .hint("give the feature a `missing` rule in the model's file, or a default in the integration's input")
    }
}

impl Model for Linear {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        let mut outputs = self.margin(rows)?;
        if let Some((factor, offset)) = self.odds {
            outputs.iter_mut().for_each(|points| *points = factor.mul_add(*points, offset));
        }
        outputs.chunks_exact_mut(self.signature.outputs).for_each(|row| self.transform.apply(row));
        Ok(outputs)
    }

    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        check_columns(rows, self.columns.len())?;
        let mut margins = Vec::with_capacity(rows.rows() * self.signature.outputs);
        for row in rows.values.chunks_exact(rows.columns) {
            for output in 0..self.signature.outputs {
                margins.push(self.sum(row, output).map_err(|column| self.missing(column))?);
            }
        }
        Ok(margins)
    }

    fn explain(&self, rows: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        check_columns(rows, self.columns.len())?;
        let explained = |(row, values): (usize, &[f64])| {
            let one = |output| {
                let found = self.contributions(values, output).map_err(|column| self.missing(column))?;
                let gap = gap(&found);
                if gap.is_nan() || gap > TOLERANCE {
                    return Err(unexplained(Unexplained::NotAdditive { row, output, gap }));
                }
                Ok(found)
            };
            (0..self.signature.outputs).map(one).collect()
        };
        rows.values.chunks_exact(rows.columns).enumerate().map(explained).collect()
    }
}
