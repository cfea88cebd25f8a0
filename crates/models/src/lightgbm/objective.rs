//! Objectives by their names in the file, and what each makes of the margin (`ConvertOutput` in LightGBM's sources).

use tendon_kernel::sockets::model::OutputKind;

use super::text::{BadFile, parse, shown};
use crate::output::Transform;

/// What the objective line says.
#[derive(Debug, PartialEq)]
pub(super) struct Objective {
    pub(super) name: String,
    pub(super) transform: Transform,
    pub(super) output: OutputKind,
}

/// Reads the value of `objective=`; without the line the model was trained with a function of its own, whose output
/// transform nobody can know, so the margin is the output.
pub(super) fn objective(line: Option<(usize, &str)>, outputs: usize) -> Result<Objective, BadFile> {
    let Some((number, text)) = line else {
        return Ok(Objective { name: "custom".into(), transform: Transform::Identity, output: OutputKind::Number });
    };
    let mut words = text.split_ascii_whitespace();
    let name = words.next().unwrap_or("custom").to_owned();
    let (mut sigmoid, mut root) = (1.0, false);
    for word in words {
        match word.split_once(':') {
            Some(("sigmoid", value)) => sigmoid = parse(number, "sigmoid", value)?,
            Some(("num_class", value)) if parse::<usize>(number, "num_class", value)? != outputs => {
                return Err(BadFile::new(number, format!("{value} classes, but {outputs} trees per iteration")));
            }
            None if word == "sqrt" => root = true,
            _ => {}
        }
    }
    if !(sigmoid > 0.0 && f64::is_finite(sigmoid)) {
        return Err(BadFile::new(number, "`sigmoid` has to be a positive number"));
    }
    let root = if root { Transform::SignedSquare } else { Transform::Identity };
    let (transform, output, many) = match name.as_str() {
        "regression" | "regression_l1" | "fair" | "quantile" | "mape" => (root, OutputKind::Number, false),
        "huber" | "lambdarank" | "rank_xendcg" => (Transform::Identity, OutputKind::Number, false),
        "poisson" | "gamma" | "tweedie" => (Transform::Exp, OutputKind::Number, false),
        "binary" => (Transform::Sigmoid(sigmoid), OutputKind::Probability, false),
        "cross_entropy" => (Transform::Sigmoid(1.0), OutputKind::Probability, false),
        "cross_entropy_lambda" => (Transform::Log1pExp, OutputKind::Number, false),
        "multiclass" => (Transform::Softmax, OutputKind::Classes, true),
        "multiclassova" => (Transform::Sigmoid(sigmoid), OutputKind::Classes, true),
        "custom" | "none" => (Transform::Identity, OutputKind::Number, true),
        _ => {
            let reason = format!(
                "the objective `{}` is not known; known are binary, cross_entropy, cross_entropy_lambda, custom, fair, \
                 gamma, huber, lambdarank, mape, multiclass, multiclassova, poisson, quantile, rank_xendcg, \
                 regression, regression_l1, tweedie",
                shown(&name)
            );
            return Err(BadFile::unsupported(number, reason));
        }
    };
    if !many && outputs != 1 {
        return Err(BadFile::new(number, format!("the objective {name} has 1 output, not {outputs}")));
    }
    Ok(Objective { name, transform, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, outputs: usize) -> Result<Objective, BadFile> {
        objective(Some((7, text)), outputs)
    }

    #[test]
    fn parameters_are_read() {
        assert_eq!(of("binary sigmoid:0.5", 1).unwrap().transform, Transform::Sigmoid(0.5));
        assert_eq!(of("regression sqrt", 1).unwrap().transform, Transform::SignedSquare);
        assert_eq!(of("multiclass num_class:3", 3).unwrap().output, OutputKind::Classes);
        assert_eq!(objective(None, 2).unwrap().transform, Transform::Identity);
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, outputs) in [
            ("multiclass num_class:3", 2),
            ("binary sigmoid:0", 1),
            ("binary sigmoid:x", 1),
            ("poisson", 2),
            ("magic", 1),
        ] {
            assert!(of(text, outputs).is_err(), "{text}");
        }
    }
}
