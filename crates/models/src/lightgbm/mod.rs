//! LightGBM's text format, versions 3 and 4, as `Booster.save_model` writes it.
//!
//! The result equals LightGBM's own: the same way through every tree (missing values and categories included), the same
//! order of additions. Only `exp` and `ln` of the output transform come from another implementation. As in LightGBM, the
//! margin of a random forest (and what is explained) is the sum of its trees, its output their mean.

mod features;
mod header;
mod objective;
mod text;
mod tree;

use std::sync::Arc;

use tendon_kernel::{
    Result,
    sockets::model::{Contributions, Matrix, Model, ModelFormat, Signature},
};

use self::text::{BadFile, Block, Lines, shown};
use crate::{
    output::Transform,
    trees::{Ensemble, check_columns, spec::Tree, unexplained},
};

/// The format.
pub(crate) static FORMAT: ModelFormat =
    ModelFormat { name: "lightgbm", summary: "LightGBM model text", extensions: &[".txt"], sniff, load };

fn sniff(bytes: &[u8]) -> bool {
    let head = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    head.strip_prefix(b"tree").is_some_and(|rest| rest.starts_with(b"\n") || rest.starts_with(b"\r\n"))
}

fn load(bytes: &[u8]) -> Result<Arc<dyn Model>> {
    Ok(Arc::new(LightGbm::read(bytes)?))
}

/// A model read from LightGBM's text.
struct LightGbm {
    signature: Signature,
    ensemble: Ensemble,
    transform: Transform,
    /// Number of iterations, when the outputs are means.
    divisor: Option<f64>,
}

impl LightGbm {
    fn read(bytes: &[u8]) -> Result<Self, BadFile> {
        let mut lines = Lines::new(bytes)?;
        let header = header::header(&mut lines)?;
        let objective = objective::objective(header.objective, header.outputs)?;
        let (trees, starts) = trees(&mut lines)?;
        let bad = |reason: String| Err(BadFile::new(header.trees_line, reason));
        if let Some(announced) = header.trees.filter(|announced| *announced != trees.len()) {
            return bad(format!("{announced} trees are announced, {} are there", trees.len()));
        }
        if !trees.len().is_multiple_of(header.outputs) {
            return bad(format!("{} trees do not divide into iterations of {}", trees.len(), header.outputs));
        }
        let iterations = trees.len() / header.outputs;
        if header.average && iterations == 0 {
            return bad("a mean over no trees".into());
        }
        let ensemble = Ensemble::new(&trees, header.names.len(), header.outputs).map_err(|bad| {
            let line = starts.get(bad.tree).copied().unwrap_or(1);
            BadFile::new(line, format!("tree {}: {}", bad.tree, bad.reason))
        })?;
        let signature = Signature {
            features: features::features(&header, &mut lines)?,
            output: objective.output,
            outputs: header.outputs,
            objective: objective.name,
        };
        let divisor = header.average.then_some(iterations as f64);
        Ok(Self { signature, ensemble, transform: objective.transform, divisor })
    }

    fn check(&self, rows: &Matrix) -> Result<()> {
        check_columns(rows, self.signature.features.len())
    }
}

/// All trees, and the line each starts at. The lines are left behind `end of trees`.
fn trees(lines: &mut Lines<'_>) -> Result<(Vec<Tree>, Vec<usize>), BadFile> {
    let (mut trees, mut starts) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        if line == "end of trees" {
            return Ok((trees, starts));
        }
        if line.strip_prefix("Tree=").and_then(|index| index.parse().ok()) != Some(trees.len()) {
            let reason = format!("`{}` stands where `Tree={}` should", shown(line), trees.len());
            return Err(BadFile::new(lines.number, reason));
        }
        starts.push(lines.number);
        trees.push(tree::tree(&Block::read(lines)?)?);
    }
    Err(BadFile::new(lines.number, "the file ends before `end of trees`: it is cut off"))
}

impl Model for LightGbm {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        let mut outputs = self.margin(rows)?;
        if let Some(divisor) = self.divisor {
            outputs.iter_mut().for_each(|output| *output /= divisor);
        }
        outputs.chunks_exact_mut(self.signature.outputs).for_each(|row| self.transform.apply(row));
        Ok(outputs)
    }

    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        self.check(rows)?;
        Ok(self.ensemble.margins(&rows.values))
    }

    fn explain(&self, rows: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        self.check(rows)?;
        self.ensemble.explain(&rows.values).map_err(unexplained)
    }
}
