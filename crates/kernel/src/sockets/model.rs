//! The socket for models: whatever answers a question about rows of numbers. Formats (LightGBM, …) plug in here.

use std::sync::Arc;

use crate::error::Result;

/// Rows of features, row-major; a missing value is NaN. The path turns records into this once, for all formats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// `rows × columns` values.
    pub values: Vec<f64>,
    /// Number of columns: the length of the signature's `features`.
    pub columns: usize,
}

impl Matrix {
    /// An empty matrix with room for `rows` rows.
    pub fn with_capacity(rows: usize, columns: usize) -> Self {
        Self { values: Vec::with_capacity(rows * columns), columns }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    /// One row.
    pub fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }
}

/// What a feature's numbers mean.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number as it is.
    Number,
    /// A category: the number is the index into `values`; a text not in the list is an unseen category (missing, NaN).
    Category {
        /// The texts the model was trained with, in the order of their codes.
        values: Vec<String>,
    },
    /// A category that the model knows only by non-negative integer codes.
    CategoryCode,
}

/// One input of a model.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Feature {
    /// Name as trained.
    pub name: String,
    /// Meaning of its numbers.
    #[serde(flatten)]
    pub kind: FeatureKind,
    /// Smallest and largest value seen in training, when the file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
}

/// What the numbers that come out mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// One probability in 0..=1.
    Probability,
    /// One probability per class, summing to one (or one per label, when labels are independent).
    Classes,
    /// One number (regression, ranking).
    Number,
}

/// The contract of a model: what goes in, in which order, and what comes out.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Signature {
    /// Inputs in the order of the matrix' columns.
    pub features: Vec<Feature>,
    /// Meaning of the outputs.
    pub output: OutputKind,
    /// Number of outputs per row (1, or the number of classes).
    pub outputs: usize,
    /// Human word for the objective, as the file names it (`binary`, `regression`, …).
    pub objective: String,
}

/// Additive contributions of one output of one row: `base + Σ values = margin` (before the output transform).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Contributions {
    /// Expected margin over the training data.
    pub base: f64,
    /// One value per feature, in the signature's order.
    pub values: Vec<f64>,
    /// The margin that the values sum up to.
    pub margin: f64,
}

/// A loaded, immutable version of a model. All methods are pure: same input, same bits.
pub trait Model: Send + Sync {
    /// What goes in and comes out.
    fn signature(&self) -> &Signature;

    /// Scores the rows: `rows × outputs` values, row-major, after the objective's output transform.
    ///
    /// # Errors
    /// `Invalid` when the matrix has another number of columns than the signature.
    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>>;

    /// Scores the rows without the output transform (the margin): `rows × outputs` values.
    ///
    /// # Errors
    /// As [`Model::predict`].
    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>>;

    /// Explains the rows: per row one [`Contributions`] per output, checked for additivity.
    ///
    /// # Errors
    /// `Unsupported` when the format cannot explain; `Internal` when the contributions do not sum up to the margin.
    fn explain(&self, rows: &Matrix) -> Result<Vec<Vec<Contributions>>>;
}

/// A file format of models: one file in the room `models` and one line in its list.
pub struct ModelFormat {
    /// Stable name (`lightgbm`).
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// File name endings by which a version is recognised when it is a folder (`.txt`).
    pub extensions: &'static [&'static str],
    /// Whether these bytes look like this format (reads only the head).
    pub sniff: fn(&[u8]) -> bool,
    /// Parses and checks the whole file.
    pub load: fn(&[u8]) -> Result<Arc<dyn Model>>,
}
