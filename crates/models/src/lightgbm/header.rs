//! The head of a model file: version, shape, objective, names and ranges of the features.

use super::text::{BadFile, Block, Lines, parse, shown};

/// Versions of the format whose meaning is known. Both are read alike: version 4 only added lines.
const VERSIONS: [&str; 2] = ["v3", "v4"];

/// Far above any use; keeps a broken number from asking for all memory.
const MAX_OUTPUTS: usize = 1 << 20;

/// What the training data said about a feature.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Info {
    /// Never used: constant in training.
    Unused,
    /// Smallest and largest value.
    Range(f64, f64),
    /// Codes seen.
    Categories,
}

/// The head, read and checked.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) outputs: usize,
    pub(super) names: Vec<&'a str>,
    pub(super) infos: Vec<Info>,
    pub(super) objective: Option<(usize, &'a str)>,
    /// The outputs are means over the iterations (random forests), not sums.
    pub(super) average: bool,
    /// Number of trees announced, when it is.
    pub(super) trees: Option<usize>,
    /// Where the trees are announced.
    pub(super) trees_line: usize,
}

/// Reads the head, up to the first empty line.
pub(super) fn header<'a>(lines: &mut Lines<'a>) -> Result<Header<'a>, BadFile> {
    if lines.next().is_none_or(|line| line.trim_start_matches('\u{feff}') != "tree") {
        return Err(BadFile::new(1, "the first line is not `tree`"));
    }
    let block = Block::read(lines)?;
    let (line, version) = block.need("version")?;
    if !VERSIONS.contains(&version) {
        let reason = format!("version `{}` of the format, known are {}", shown(version), VERSIONS.join(" and "));
        return Err(BadFile::unsupported(line, reason));
    }
    let outputs: usize = block.number("num_tree_per_iteration")?;
    if !(1..=MAX_OUTPUTS).contains(&outputs) {
        let reason = format!("{outputs} trees per iteration, 1 to {MAX_OUTPUTS} are possible");
        return Err(BadFile::new(block.line_of("num_tree_per_iteration"), reason));
    }
    let (line, text) = block.need("feature_names")?;
    let names: Vec<&str> = text.split(' ').filter(|name| !name.is_empty()).collect();
    let last: usize = block.number("max_feature_idx")?;
    if last.checked_add(1) != Some(names.len()) {
        let reason = format!("{} feature names, but the last feature has the index {last}", names.len());
        return Err(BadFile::new(line, reason));
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(BadFile::new(line, format!("two features have the name `{}`", shown(pair[0]))));
    }
    let infos = match block.get("feature_infos") {
        None => vec![Info::Unused; names.len()],
        Some((line, text)) => {
            let infos = text.split_ascii_whitespace().map(|word| info(line, word)).collect::<Result<Vec<_>, _>>()?;
            if infos.len() != names.len() {
                return Err(BadFile::new(line, format!("{} infos for {} features", infos.len(), names.len())));
            }
            infos
        }
    };
    Ok(Header {
        outputs,
        names,
        infos,
        objective: block.get("objective"),
        average: block.has("average_output"),
        trees: block.get("tree_sizes").map(|(_, sizes)| sizes.split_ascii_whitespace().count()),
        trees_line: block.line_of("tree_sizes"),
    })
}

/// `none`, `[min:max]`, or codes with colons.
fn info(line: usize, word: &str) -> Result<Info, BadFile> {
    if word == "none" {
        return Ok(Info::Unused);
    }
    let Some(inner) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) else {
        for code in word.split(':') {
            parse::<i64>(line, "feature_infos", code)?;
        }
        return Ok(Info::Categories);
    };
    let (min, max) =
        inner.split_once(':').ok_or_else(|| BadFile::new(line, format!("`{}` is no range", shown(word))))?;
    Ok(Info::Range(parse(line, "feature_infos", min)?, parse(line, "feature_infos", max)?))
}
