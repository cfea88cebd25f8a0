//! XGBoost's JSON and UBJSON formats, as `Booster.save_model` writes them (2.1 to 3.2 are tested): gbtree and dart.
//!
//! The result equals XGBoost's own: values are rounded to single precision first, `x < threshold` goes left, a category in
//! the set goes right, NaN goes where the split says, leaves are added in single precision in the order of the trees, on
//! top of the base score. All trees count, as in `Booster.predict`; the scikit-learn wrapper stops at `best_iteration`.
//! `multi:softmax` answers with the probabilities of all classes, like `multi:softprob`. Explanations are path-dependent
//! TreeSHAP over the sums of hessians, as `pred_contribs`.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use tendon_kernel::{
    Error, ErrorKind, Result,
    sockets::model::{Contributions, Feature, FeatureKind, Matrix, Model, ModelFormat, OutputKind, Signature},
};

use crate::{
    bare_nan::without_bare_words,
    output::{Link, single},
    trees::{
        Ensemble, check_columns,
        grow::{Seed, grow, interleaved},
        spec::{Missing, Test, Tree},
        unexplained,
    },
    ubj::Ubj,
};

/// The format.
pub(crate) static FORMAT: ModelFormat = ModelFormat {
    name: "xgboost",
    summary: "XGBoost model, JSON or UBJSON",
    extensions: &[".json", ".ubj"],
    sniff,
    load,
};

/// Codes of categories stay below this (XGBoost's own limit); what is outside stands for "in no set".
const MOST_CATEGORIES: u32 = 1 << 24;
/// Words of all sets of categories together: a file must not ask for more memory than it is worth.
const MOST_WORDS: usize = 1 << 22;

fn sniff(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"{") else { return false };
    let head = &rest[..rest.len().min(64)];
    match rest.first() {
        Some(b'L' | b'l' | b'I' | b'i' | b'U') => head.windows(7).take(10).any(|word| word == b"learner"),
        _ => head.trim_ascii_start().starts_with(b"\"learner\""),
    }
}

fn load(bytes: &[u8]) -> Result<Arc<dyn Model>> {
    // Texts begin with a quote or white space after the brace, the binary form with the type of a length.
    let file: File = if bytes.get(1).is_some_and(u8::is_ascii_alphabetic) {
        let mut ubj = Ubj::new(bytes);
        let file = serde_path_to_error::deserialize(&mut ubj).map_err(|error| bad(error.path(), error.inner()))?;
        ubj.end().map(|()| file).map_err(|error| bad("the end", error))?
    } else {
        let bytes = without_bare_words(bytes);
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let file = serde_path_to_error::deserialize(&mut json).map_err(|error| bad(error.path(), error.inner()))?;
        json.end().map(|()| file).map_err(|error| bad("the end", error))?
    };
    Ok(Arc::new(XgBoost::new(file.learner)?))
}

fn bad(place: impl std::fmt::Display, reason: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "model_file_invalid",
        format!("reading an XGBoost model failed at {place}: {reason}"),
    )
    .hint("save the model again with Booster.save_model and copy the whole file")
}

fn unsupported(place: &str, reason: impl std::fmt::Display) -> Error {
    let message = format!("reading an XGBoost model failed at {place}: {reason}");
    Error::new(ErrorKind::Unsupported, "model_unsupported", message)
}

/// What of the file is used; its names are XGBoost's (`doc/model.schema` of its sources).
#[derive(Deserialize)]
struct File {
    learner: Learner,
}

#[derive(Deserialize)]
struct Learner {
    #[serde(default)]
    feature_names: Vec<String>,
    #[serde(default)]
    feature_types: Vec<String>,
    gradient_booster: Booster,
    learner_model_param: Param,
    objective: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Param {
    base_score: String,
    num_class: String,
    num_feature: String,
    #[serde(default)]
    num_target: Option<String>,
}

#[derive(Deserialize)]
struct Booster {
    name: String,
    #[serde(default)]
    model: Trees,
    #[serde(default)]
    gbtree: Option<Inner>,
    #[serde(default)]
    weight_drop: Vec<f32>,
}

#[derive(Deserialize)]
struct Inner {
    model: Trees,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Trees {
    trees: Vec<RawTree>,
    tree_info: Vec<usize>,
    cats: Cats,
}

/// Texts of categories (from 3.1 on), all columns in `enc`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Cats {
    enc: Vec<Codes>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Codes {
    /// Where each text starts and ends in `values`; missing where the categories are numbers.
    offsets: Vec<usize>,
    values: Vec<serde_json::Number>,
}

#[derive(Deserialize)]
struct RawTree {
    left_children: Vec<i32>,
    right_children: Vec<i32>,
    split_indices: Vec<u32>,
    /// Null where the node's condition is a set of categories.
    split_conditions: Vec<Option<f32>>,
    default_left: Vec<Flag>,
    sum_hessian: Vec<f32>,
    #[serde(default)]
    split_type: Vec<u8>,
    #[serde(default)]
    categories: Vec<u32>,
    #[serde(default)]
    categories_nodes: Vec<usize>,
    #[serde(default)]
    categories_segments: Vec<usize>,
    #[serde(default)]
    categories_sizes: Vec<usize>,
    tree_param: TreeParam,
}

#[derive(Deserialize)]
struct TreeParam {
    size_leaf_vector: String,
}

/// A truth value, or 0 and 1.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Flag {
    Truth(bool),
    Number(u8),
}

/// Objectives whose margin is their output.
const PLAIN: &str = "binary:logitraw rank:map rank:ndcg rank:pairwise reg:absoluteerror reg:expectileerror reg:linear \
                     reg:pseudohubererror reg:quantileerror reg:squarederror reg:squaredlogerror";

/// What an objective makes of the margin, and what that means.
fn link(objective: &str) -> Option<(Link, OutputKind)> {
    Some(match objective {
        "binary:logistic" | "reg:logistic" => (Link::Logistic, OutputKind::Probability),
        "binary:hinge" => (Link::Hinge, OutputKind::Number),
        "multi:softmax" | "multi:softprob" => (Link::Softmax, OutputKind::Classes),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:aft" | "survival:cox" => {
            (Link::Exp, OutputKind::Number)
        }
        plain if PLAIN.split_ascii_whitespace().any(|name| name == plain) => (Link::Identity, OutputKind::Number),
        _ => return None,
    })
}

/// A model read from one of the formats.
struct XgBoost {
    signature: Signature,
    ensemble: Ensemble,
    link: Link,
    /// Which columns hold categories.
    categorical: Vec<bool>,
}

impl XgBoost {
    fn new(learner: Learner) -> Result<Self> {
        let Param { base_score, num_class, num_feature, num_target } = &learner.learner_model_param;
        let columns = count("learner_model_param.num_feature", num_feature)?;
        let classes = count("learner_model_param.num_class", num_class)?.max(1);
        let targets = count("learner_model_param.num_target", num_target.as_deref().unwrap_or("1"))?.max(1);
        let outputs = classes.max(targets);
        let objective = learner.objective.name;
        let unknown = || unsupported("learner.objective.name", format_args!("`{objective}` is not known"));
        let (link, output) = link(&objective).ok_or_else(unknown)?;
        let Booster { name, model, gbtree, weight_drop } = learner.gradient_booster;
        let model = match (name.as_str(), gbtree) {
            ("gbtree", _) => model,
            ("dart", Some(inner)) => inner.model,
            ("gblinear", _) => return Err(unsupported("learner.gradient_booster", "gblinear is not offered")),
            _ => return Err(bad("learner.gradient_booster.name", format_args!("the booster `{name}` is not known"))),
        };
        if model.tree_info.len() != model.trees.len() || (name == "dart" && weight_drop.len() != model.trees.len()) {
            return Err(bad("learner.gradient_booster", "`tree_info` or `weight_drop` has not one value per tree"));
        }
        if model.trees.len() < outputs {
            // Without trees XGBoost answers something else than the base score.
            return Err(unsupported("learner.gradient_booster", "an output has no trees: the model was not trained"));
        }
        let start = start(base_score, outputs, link)?;
        let mut words = MOST_WORDS;
        let mut groups: Vec<Vec<Tree>> = vec![Vec::new(); outputs];
        for (index, (raw, group)) in model.trees.iter().zip(&model.tree_info).enumerate() {
            let weight = weight_drop.get(index).copied().unwrap_or(1.0);
            let tree = raw.tree(weight, &mut words).map_err(|reason| bad(format_args!("trees[{index}]"), reason))?;
            let Some(group) = groups.get_mut(*group) else {
                return Err(bad(format_args!("tree_info[{index}]"), format_args!("there are {outputs} outputs")));
            };
            group.push(tree);
        }
        let ensemble = Ensemble::new(&interleaved(groups), columns, outputs)
            .map_err(|wrong| bad("learner.gradient_booster", wrong.reason))?
            .single(&start);
        let features = features(columns, learner.feature_names, &learner.feature_types, &model.cats)?;
        let categorical = features.iter().map(|feature| feature.kind != FeatureKind::Number).collect();
        Ok(Self { signature: Signature { features, output, outputs, objective }, ensemble, link, categorical })
    }

    /// The rows as XGBoost sees them.
    fn seen(&self, rows: &Matrix) -> Result<Vec<f64>> {
        check_columns(rows, self.signature.features.len())?;
        let outside = f64::from(MOST_CATEGORIES);
        let seen = |(value, categorical): (&f64, &bool)| match single(*value) {
            code if *categorical && !(code.is_nan() || (0.0..outside).contains(&code)) => outside,
            value => value,
        };
        Ok(rows.values.iter().zip(self.categorical.iter().cycle()).map(seen).collect())
    }
}

fn count(place: &str, text: &str) -> Result<usize> {
    text.parse().ok().filter(|count| *count <= 1 << 20).ok_or_else(|| bad(place, format_args!("`{text}` is no count")))
}

/// The margin each output starts from. The base score is one number, or (from 3.1 on) one per output in brackets.
fn start(base_score: &str, outputs: usize, link: Link) -> Result<Vec<f32>> {
    let wrong = || bad("learner_model_param.base_score", format_args!("`{base_score}` does not suit the objective"));
    let list = base_score.trim().trim_start_matches('[').trim_end_matches(']').split(',');
    let bases = list.map(|text| text.trim().parse().ok().and_then(|base| link.margin(base)));
    let bases = bases.collect::<Option<Vec<f32>>>().ok_or_else(wrong)?;
    match bases.as_slice() {
        [base] => Ok(vec![*base; outputs]),
        many if many.len() == outputs => Ok(bases),
        _ => Err(wrong()),
    }
}

fn features(columns: usize, names: Vec<String>, types: &[String], cats: &Cats) -> Result<Vec<Feature>> {
    for (key, length) in [("feature_names", names.len()), ("feature_types", types.len())] {
        if length != 0 && length != columns {
            return Err(bad(key, format_args!("{length} values for {columns} features")));
        }
    }
    let names = if names.is_empty() { (0..columns).map(|index| format!("f{index}")).collect() } else { names };
    let kind = |index: usize| match (types.get(index).map(String::as_str), cats.enc.get(index)) {
        (Some("c" | "cat"), Some(codes)) if !codes.values.is_empty() => codes
            .texts()
            .map(|values| FeatureKind::Category { values })
            .ok_or_else(|| bad("cats.enc", "a text is broken")),
        (Some("c" | "cat"), _) => Ok(FeatureKind::CategoryCode),
        _ => Ok(FeatureKind::Number),
    };
    let feature = |(index, name)| Ok(Feature { name, kind: kind(index)?, range: None });
    names.into_iter().enumerate().map(feature).collect()
}

impl Codes {
    /// The categories in the order of their codes.
    fn texts(&self) -> Option<Vec<String>> {
        if self.offsets.is_empty() {
            return Some(self.values.iter().map(ToString::to_string).collect());
        }
        let byte = |value: &serde_json::Number| value.as_i64().map(|value| value as u8);
        let bytes: Vec<u8> = self.values.iter().map(byte).collect::<Option<_>>()?;
        let text = |ends: &[usize]| String::from_utf8(bytes.get(ends[0]..ends[1])?.to_vec()).ok();
        self.offsets.windows(2).map(text).collect()
    }
}

impl RawTree {
    /// The tree from its root on; nodes that were pruned away are left out. `words`: room for sets of categories.
    fn tree(&self, weight: f32, words: &mut usize) -> std::result::Result<Tree, String> {
        let nodes = self.left_children.len();
        let lengths = [self.right_children.len(), self.split_indices.len(), self.split_conditions.len()];
        let lengths = lengths.into_iter().chain([self.default_left.len(), self.sum_hessian.len()]);
        if nodes == 0
            || lengths.chain((!self.split_type.is_empty()).then_some(self.split_type.len())).any(|n| n != nodes)
        {
            return Err(format!("its lists have not all {nodes} values, or none"));
        }
        if !matches!(self.tree_param.size_leaf_vector.as_str(), "0" | "1") {
            return Err("leaves with several values (multi_output_tree) are not offered".into());
        }
        let sets: BTreeMap<usize, usize> = self.categories_nodes.iter().copied().zip(0..).collect();
        grow(nodes, |node| {
            let [left, right] = [self.left_children[node], self.right_children[node]];
            if left == -1 {
                let value = f64::from(self.split_conditions[node].unwrap_or(f32::NAN) * weight);
                return Ok(Seed::Leaf { value, rows: f64::from(self.sum_hessian[node]) });
            }
            // A negative number is none of a node: too large to exist.
            let [left, right] = [left, right].map(|child| child as u32 as usize);
            let (test, swapped) = self.test(node, &sets, words)?;
            let (left, right) = if swapped { (right, left) } else { (left, right) };
            Ok(Seed::Split { feature: self.split_indices[node], test, left, right })
        })
    }

    /// The question at a node, and whether its sides are swapped: a set's categories go right there and left here.
    fn test(
        &self,
        node: usize,
        sets: &BTreeMap<usize, usize>,
        words: &mut usize,
    ) -> std::result::Result<(Test, bool), String> {
        let default_left = matches!(self.default_left[node], Flag::Truth(true) | Flag::Number(1));
        if self.split_type.get(node).is_none_or(|kind| *kind == 0) {
            let condition = self.split_conditions[node].unwrap_or(f32::NAN);
            if !condition.is_finite() {
                return Err(format!("node {node} compares with {condition}"));
            }
            // `x < condition` in single precision is `x <= ` the number before it.
            let threshold = f64::from(condition.next_down());
            return Ok((Test::Threshold { threshold, missing: Missing::Nan, default_left }, false));
        }
        let missing = || format!("node {node} has no set of categories");
        let set = *sets.get(&node).ok_or_else(missing)?;
        let part = self.categories_segments.get(set).zip(self.categories_sizes.get(set));
        let list = part.and_then(|(start, size)| self.categories.get(*start..start.checked_add(*size)?));
        let list = list.ok_or_else(missing)?;
        let largest = list.iter().copied().max().map_or(0, |code| code as usize / 32 + 1);
        if largest > MOST_CATEGORIES as usize / 32 || largest > *words {
            return Err(format!("the categories of node {node} are too many"));
        }
        *words -= largest;
        let mut bits = vec![0; largest];
        list.iter().for_each(|code| bits[*code as usize / 32] |= 1 << (code % 32));
        Ok((Test::Categories { bits, missing_left: !default_left }, true))
    }
}

impl Model for XgBoost {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        let mut outputs = self.margin(rows)?;
        outputs.chunks_exact_mut(self.signature.outputs).for_each(|row| self.link.apply(row));
        Ok(outputs)
    }

    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        Ok(self.ensemble.margins(&self.seen(rows)?))
    }

    fn explain(&self, rows: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        self.ensemble.explain(&self.seen(rows)?).map_err(unexplained)
    }
}
