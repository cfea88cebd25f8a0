//! From the file's notes on features to the signature. LightGBM sees codes only; its Python package writes the texts
//! behind them into a last line, `pandas_categorical:`, one list per categorical column, in the order of the columns.

use serde_json::Value;
use tendon_kernel::sockets::model::{Feature, FeatureKind};

use super::{
    header::{Header, Info},
    text::{BadFile, Lines, shown},
};

/// Key of the texts.
const TEXTS: &str = "pandas_categorical:";
/// Key, among the training parameters, of the columns that were declared categorical.
const COLUMNS: &str = "[categorical_feature:";

/// The features in the order of the columns; `rest` are the lines after the trees.
pub(super) fn features(header: &Header<'_>, rest: &mut Lines<'_>) -> Result<Vec<Feature>, BadFile> {
    let (mut texts, mut declared) = (Vec::new(), None);
    while let Some(line) = rest.next() {
        if let Some(list) = line.strip_prefix(TEXTS) {
            texts = lists(rest.number, list)?;
        } else if let Some(list) = line.strip_prefix(COLUMNS) {
            declared = columns(list.trim_end_matches(']'), header.names.len());
        }
    }
    let owners = owners(header, declared.as_deref(), texts.len());
    let mut features: Vec<Feature> =
        header.names.iter().zip(&header.infos).map(|(name, info)| plain(name, info)).collect();
    // Nobody can say which list belongs to which column otherwise: then codes are all that is known.
    for (column, values) in owners.unwrap_or_default().into_iter().zip(texts) {
        features[column].kind = FeatureKind::Category { values };
    }
    Ok(features)
}

/// A feature without texts.
fn plain(name: &str, info: &Info) -> Feature {
    let (kind, range) = match info {
        Info::Unused => (FeatureKind::Number, None),
        Info::Categories => (FeatureKind::CategoryCode, None),
        Info::Range(min, max) => {
            (FeatureKind::Number, (min.is_finite() && max.is_finite() && min <= max).then_some((*min, *max)))
        }
    };
    Feature { name: name.to_owned(), kind, range }
}

/// The columns the lists belong to, when they can be told: the declared ones, else those with codes, else those with
/// codes and the unused ones (a category with a single value is unused).
fn owners(header: &Header<'_>, declared: Option<&[usize]>, lists: usize) -> Option<Vec<usize>> {
    let of = |wanted: &dyn Fn(&Info) -> bool| -> Vec<usize> {
        header.infos.iter().enumerate().filter(|(_, info)| wanted(info)).map(|(column, _)| column).collect()
    };
    let numeric = |column: &usize| matches!(header.infos.get(*column), Some(Info::Range(..)));
    let candidates = [
        declared.map(<[usize]>::to_vec).unwrap_or_default(),
        of(&|info| *info == Info::Categories),
        of(&|info| !matches!(info, Info::Range(..))),
    ];
    candidates.into_iter().find(|columns| columns.len() == lists && !columns.iter().any(numeric))
}

/// Column numbers; `None` when columns were declared in another way (by name) or do not exist.
fn columns(list: &str, count: usize) -> Option<Vec<usize>> {
    let mut columns: Vec<usize> = list.split(',').map(|word| word.trim().parse().ok()).collect::<Option<_>>()?;
    columns.sort_unstable();
    columns.dedup();
    columns.iter().all(|column| *column < count).then_some(columns)
}

/// The texts of each list. pandas also knows categories that are numbers or truth values: their text is their JSON.
fn lists(line: usize, json: &str) -> Result<Vec<Vec<String>>, BadFile> {
    let bad = |reason: &str| BadFile::new(line, format!("`{TEXTS}` {reason}"));
    let parsed: Value = serde_json::from_str(json.trim()).map_err(|error| bad(&format!("is no JSON: {error}")))?;
    let outer = match parsed {
        Value::Null => return Ok(vec![]),
        Value::Array(outer) => outer,
        _ => return Err(bad("is no list")),
    };
    let mut lists = Vec::with_capacity(outer.len());
    for inner in outer {
        let Value::Array(inner) = inner else {
            return Err(bad("has an entry that is no list"));
        };
        let mut values = Vec::with_capacity(inner.len());
        for value in inner {
            values.push(match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                other => return Err(bad(&format!("has the category `{}`", shown(&other.to_string())))),
            });
        }
        lists.push(values);
    }
    Ok(lists)
}
