//! The file of a linear model: read strictly, each error with its place.

use std::{collections::BTreeSet, fmt::Display};

use serde::Deserialize;
use tendon_kernel::{
    Error, ErrorKind, Result,
    sockets::model::{Feature, FeatureKind, OutputKind, Signature},
};

use super::{Column, Linear, Missing, Term};
use crate::output::Transform;

/// What the key `format` says.
const NAME: &str = "tendon/linear@1";
/// How far into a file the key `format` is looked for.
const HEAD: usize = 1 << 20;
/// Outputs per row at most.
const MOST_OUTPUTS: usize = 1000;

pub(super) fn sniff(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"\"tendon/linear@";
    let head = &bytes[..bytes.len().min(HEAD)];
    let is_format = |at: usize| {
        let key = head[..at].trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        key.is_some_and(|key| key.ends_with(b"\"format\""))
    };
    head.trim_ascii_start().starts_with(b"{")
        && head.windows(MARK.len()).enumerate().any(|(at, word)| word == MARK && is_format(at))
}

pub(super) fn read(bytes: &[u8]) -> Result<Linear> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let file: File = serde_path_to_error::deserialize(&mut json).map_err(|error| bad(error.path(), error.inner()))?;
    json.end().map_err(|error| bad("the end", error))?;
    file.model()
}

fn bad(place: impl Display, reason: impl Display) -> Error {
    let message = format!("reading a linear model failed at {place}: {reason}");
    Error::new(ErrorKind::Invalid, "model_file_invalid", message)
        .hint("docs/linear-models.md describes the format key by key")
}

/// The file, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    /// A note for people.
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    objective: Option<String>,
    #[serde(default)]
    transform: RawTransform,
    #[serde(default)]
    points: Option<Points>,
    intercept: PerOutput,
    features: Vec<RawFeature>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawTransform {
    #[default]
    Identity,
    Logit,
    Softmax,
    Exp,
    Points,
}

/// How points become a probability: at `score` points the odds are `odds` to 1, and `pdo` more points double them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Points {
    score: f64,
    odds: f64,
    pdo: f64,
    /// Whether the output is the probability of what the odds are for, or of its opposite.
    #[serde(default)]
    probability: Side,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    #[default]
    For,
    Against,
}

/// One number, or one per output.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a number, or a list of one number per output")]
enum PerOutput {
    One(f64),
    Many(Vec<f64>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFeature {
    name: String,
    kind: RawKind,
    #[serde(default)]
    range: Option<(f64, f64)>,
    #[serde(default)]
    coefficient: Option<PerOutput>,
    #[serde(default)]
    mean: Option<f64>,
    #[serde(default)]
    values: Option<Vec<String>>,
    #[serde(default)]
    coefficients: Option<Vec<PerOutput>>,
    #[serde(default)]
    bins: Option<Vec<Bin>>,
    #[serde(default)]
    neutral: Option<PerOutput>,
    #[serde(default)]
    missing: Option<RawMissing>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Number,
    Category,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bin {
    #[serde(default)]
    below: Option<f64>,
    #[serde(default)]
    values: Option<Vec<String>>,
    points: PerOutput,
}

/// What stands for a missing value: another value, or what it adds.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawMissing {
    As(Value),
    Adds(PerOutput),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number or a category")]
enum Value {
    Number(f64),
    Text(String),
}

impl PerOutput {
    /// The list, when it has one number per output.
    fn list(self, outputs: usize, place: impl Display) -> Result<Vec<f64>> {
        let list = match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        };
        if list.len() == outputs {
            return Ok(list);
        }
        Err(bad(place, format_args!("{} numbers where the intercept has {outputs}", list.len())))
    }
}

impl File {
    fn model(self) -> Result<Linear> {
        if self.format != NAME {
            return Err(bad("format", format_args!("`{}` is not known, this program reads {NAME}", self.format)));
        }
        let outputs = match &self.intercept {
            PerOutput::One(_) => 1,
            PerOutput::Many(many) => many.len(),
        };
        if !(1..=MOST_OUTPUTS).contains(&outputs) {
            return Err(bad("intercept", format_args!("{outputs} outputs, 1 to {MOST_OUTPUTS} are possible")));
        }
        let intercept = self.intercept.list(outputs, "intercept")?;
        let (transform, output, word) = self.transform.meaning(outputs)?;
        let odds = match (self.transform, self.points) {
            (RawTransform::Points, Some(points)) => Some(points.odds()?),
            (RawTransform::Points, None) => return Err(bad("points", "the transform `points` needs it")),
            (_, Some(_)) => return Err(bad("points", "only the transform `points` makes use of it")),
            (_, None) => None,
        };
        let mut names = BTreeSet::new();
        let (mut features, mut columns) = (Vec::new(), Vec::new());
        for (index, raw) in self.features.into_iter().enumerate() {
            let place = format!("features[{index}] (`{}`)", raw.name);
            if raw.name.is_empty() || !names.insert(raw.name.clone()) {
                return Err(bad(place, "its name is empty, or another feature's as well"));
            }
            let (feature, column) = raw.read(&place, outputs)?;
            features.push(feature);
            columns.push(column);
        }
        if features.is_empty() {
            return Err(bad("features", "a model needs at least one"));
        }
        let objective = self.objective.unwrap_or_else(|| word.to_owned());
        Ok(Linear {
            signature: Signature { features, output, outputs, objective },
            intercept,
            columns,
            transform,
            odds,
        })
    }
}

impl RawTransform {
    /// What is computed, what comes out, and the word for it.
    fn meaning(self, outputs: usize) -> Result<(Transform, OutputKind, &'static str)> {
        Ok(match (self, outputs) {
            (Self::Identity, _) => (Transform::Identity, OutputKind::Number, "regression"),
            (Self::Exp, _) => (Transform::Exp, OutputKind::Number, "log_regression"),
            (Self::Logit, 1) => (Transform::Sigmoid(1.0), OutputKind::Probability, "binary"),
            (Self::Logit, _) => (Transform::Sigmoid(1.0), OutputKind::Classes, "labels"),
            (Self::Points, 1) => (Transform::Sigmoid(1.0), OutputKind::Probability, "scorecard"),
            (Self::Points, _) => return Err(bad("transform", "points become one probability, not several")),
            (Self::Softmax, 1) => return Err(bad("transform", "softmax needs several outputs; logit is for one")),
            (Self::Softmax, _) => (Transform::Softmax, OutputKind::Classes, "multiclass"),
        })
    }
}

impl Points {
    /// Factor and offset: `ln odds = factor · points + offset`, with the sign of the side that is asked for.
    fn odds(&self) -> Result<(f64, f64)> {
        let factor = std::f64::consts::LN_2 / self.pdo;
        let offset = libm::log(self.odds) - factor * self.score;
        if self.odds <= 0.0 || !factor.is_finite() || !offset.is_finite() {
            return Err(bad("points", "odds have to be above 0, and pdo not 0"));
        }
        Ok(match self.probability {
            Side::For => (factor, offset),
            Side::Against => (-factor, -offset),
        })
    }
}

impl RawFeature {
    fn read(self, place: &str, outputs: usize) -> Result<(Feature, Column)> {
        let Self { name, kind, range, coefficient, mean, values, coefficients, bins, neutral, missing } = self;
        let neutral = neutral.map(|neutral| neutral.list(outputs, format_args!("{place}.neutral"))).transpose()?;
        if range.is_some_and(|(low, high)| low > high || kind == RawKind::Category) {
            return Err(bad(format_args!("{place}.range"), "it is `[lowest, highest]` of a number"));
        }
        let zero = || vec![0.0; outputs];
        let (kind, term) = match (kind, coefficient, bins, values, coefficients, mean, neutral) {
            (RawKind::Number, Some(coefficient), None, None, None, mean, None) => {
                let coefficient = coefficient.list(outputs, format_args!("{place}.coefficient"))?;
                (FeatureKind::Number, Term::Slope { coefficient, mean: mean.unwrap_or(0.0) })
            }
            (RawKind::Number, None, Some(bins), None, None, None, neutral) => {
                let (below, points) = steps(bins, place, outputs)?;
                (FeatureKind::Number, Term::Steps { below, points, neutral: neutral.unwrap_or_else(zero) })
            }
            (RawKind::Category, None, None, Some(values), Some(lists), None, neutral) => {
                let points = codes(&values, lists, place, outputs)?;
                let neutral = neutral.unwrap_or_else(zero);
                (FeatureKind::Category { values }, Term::Codes { points, neutral })
            }
            (RawKind::Category, None, Some(bins), None, None, None, neutral) => {
                let (values, lists) = groups(bins, place)?;
                let points = codes(&values, lists, place, outputs)?;
                let neutral = neutral.unwrap_or_else(zero);
                (FeatureKind::Category { values }, Term::Codes { points, neutral })
            }
            (RawKind::Number, ..) => {
                let reason = "a number has `coefficient` (and `mean`), or `bins` (and `neutral`), nothing else";
                return Err(bad(place, reason));
            }
            (RawKind::Category, ..) => {
                let reason = "a category has `values` and `coefficients`, or `bins` (and `neutral`), nothing else";
                return Err(bad(place, reason));
            }
        };
        let missing = rule(missing, &kind, place, outputs)?;
        Ok((Feature { name, kind, range }, Column { term, missing }))
    }
}

/// Limits and points of the bins of a number: limits rise, the last bin has none.
fn steps(bins: Vec<Bin>, place: &str, outputs: usize) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let (mut below, mut points) = (Vec::new(), Vec::new());
    let last = bins.len().checked_sub(1).ok_or_else(|| bad(format_args!("{place}.bins"), "there are none"))?;
    for (index, bin) in bins.into_iter().enumerate() {
        let place = format!("{place}.bins[{index}]");
        match bin.below {
            Some(limit) if index < last && below.last().is_none_or(|before| *before < limit) => below.push(limit),
            None if index == last => {}
            _ => return Err(bad(place, "`below` has to rise from bin to bin, and the last bin has none")),
        }
        if bin.values.is_some() {
            return Err(bad(place, "`values` belong to a category, not to a number"));
        }
        points.push(bin.points.list(outputs, format_args!("{place}.points"))?);
    }
    Ok((below, points))
}

/// The categories of bins one by one, each with the points of its bin.
fn groups(bins: Vec<Bin>, place: &str) -> Result<(Vec<String>, Vec<PerOutput>)> {
    let (mut values, mut points) = (Vec::new(), Vec::new());
    for (index, bin) in bins.into_iter().enumerate() {
        let Bin { below: None, values: Some(group), points: given } = bin else {
            let reason = "a bin of a category has `values` and no `below`";
            return Err(bad(format_args!("{place}.bins[{index}]"), reason));
        };
        points.resize(points.len() + group.len(), given);
        values.extend(group);
    }
    Ok((values, points))
}

/// The points of each category.
fn codes(values: &[String], lists: Vec<PerOutput>, place: &str, outputs: usize) -> Result<Vec<Vec<f64>>> {
    if values.is_empty() || values.len() != lists.len() {
        let reason = format!("{} categories and {} coefficients: one each is needed", values.len(), lists.len());
        return Err(bad(place, reason));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = values.iter().find(|value| !seen.insert(value.as_str())) {
        return Err(bad(place, format_args!("the category `{twice}` stands there twice")));
    }
    let list = |(index, list): (usize, PerOutput)| list.list(outputs, format_args!("{place}.coefficients[{index}]"));
    lists.into_iter().enumerate().map(list).collect()
}

fn rule(missing: Option<RawMissing>, kind: &FeatureKind, place: &str, outputs: usize) -> Result<Missing> {
    let place = format!("{place}.missing");
    match (missing, kind) {
        (None, _) => Ok(Missing::Refused),
        (Some(RawMissing::Adds(adds)), _) => Ok(Missing::Adds(adds.list(outputs, place)?)),
        (Some(RawMissing::As(Value::Number(value))), FeatureKind::Number) => Ok(Missing::As(value)),
        (Some(RawMissing::As(Value::Text(text))), FeatureKind::Category { values }) => {
            let code = values.iter().position(|value| *value == text);
            let unknown = || bad(place, format_args!("`{text}` is none of the categories"));
            code.map(|code| Missing::As(code as f64)).ok_or_else(unknown)
        }
        (Some(RawMissing::As(_)), _) => Err(bad(place, "`as` is a number for a number, a category for a category")),
    }
}
