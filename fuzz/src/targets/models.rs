//! Model files of every format. What loads has a signature that holds: as many outputs as it says, the same bits each time, and
//! explanations that add up or an error that says why not; what does not load says why.

use tendon_kernel::sockets::model::{Matrix, Model};
use tendon_testkit::Rng;

use super::{Run, Target, Verdict, about, kind, proper};

pub(super) const TARGET: Target = Target {
    name: "models",
    about: "model files: lightgbm, xgboost (JSON and UBJ), linear",
    words: &[
        "tree\n",
        "num_leaves=",
        "split_feature=",
        "left_child=",
        "leaf_value=",
        "decision_type=",
        "cat_threshold=",
        "Tree=0\n",
        "end of trees\n",
        "\"learner\"",
        "\"base_score\"",
        "\"tree_param\"",
        "\"left_children\"",
        "\"categories\"",
        "[$l#L",
        "{L",
        "\"transform\": \"softmax\"",
        "\"bins\": [",
        "\"coefficient\": ",
        "-2147483648",
        "1e308",
        "inf",
        "nan",
        "-1 ",
        "4294967295",
    ],
    memory: (16 << 20, 400),
    short: 4000,
    open: || Box::new(Models),
};

/// More columns than this are not asked: the memory is then the matrix', not the model's.
const COLUMNS: usize = 4096;

struct Models;

/// How an explanation went, in a word.
fn explained(model: &dyn Model, rows: &Matrix) -> Result<&'static str, String> {
    match model.explain(rows) {
        Ok(explained) => {
            let columns = model.signature().features.len();
            let whole =
                explained.len() == rows.rows() && explained.iter().flatten().all(|one| one.values.len() == columns);
            if whole { Ok("explained") } else { Err("an explanation has not one value per feature".to_owned()) }
        }
        Err(error) => {
            proper(&error)?;
            Ok(error.code())
        }
    }
}

impl Run for Models {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let (format, model) = match tendon_models::load(Some("model"), input) {
            Ok(loaded) => loaded,
            Err(error) => {
                proper(&error)?;
                let place = error.context().iter().map(|(name, _)| *name).collect::<Vec<_>>();
                return Ok(Verdict {
                    kind: kind(&[&error.code(), &place, &about(error.message().len())]),
                    taken: false,
                });
            }
        };
        let signature = model.signature();
        let columns = signature.features.len();
        if signature.outputs == 0 {
            return Err("a model without outputs was taken".to_owned());
        }
        if columns > COLUMNS || signature.outputs > COLUMNS {
            return Ok(Verdict { kind: kind(&[&format.name, &"wide"]), taken: true });
        }
        let mut rng = Rng::new(columns as u64);
        let ends = [
            f64::NAN,
            0.0,
            -0.0,
            1.0,
            -1.0,
            40.0,
            1e300,
            -1e300,
            f64::INFINITY,
            f64::NEG_INFINITY,
            2_147_483_648.0,
            0.5,
        ];
        let rows = Matrix { values: (0..3 * columns).map(|_| ends[rng.index(ends.len())]).collect(), columns };
        let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        let answers = [model.predict(&rows), model.predict(&rows), model.margin(&rows), model.margin(&rows)];
        let answers = answers.map(|answer| answer.map(bits).map_err(|error| error.code()));
        if answers[0] != answers[1] || answers[2] != answers[3] {
            return Err("the same rows have two answers".to_owned());
        }
        for answer in &answers {
            let wanted = rows.rows() * signature.outputs;
            if answer.as_ref().is_ok_and(|values| values.len() != wanted) {
                return Err(format!("{wanted} outputs were promised: {answer:?}"));
            }
        }
        let explained = explained(&*model, &rows)?;
        let state = answers[0].as_ref().err().copied().unwrap_or("answered");
        Ok(Verdict {
            kind: kind(&[
                &format.name,
                &about(columns),
                &signature.outputs.min(4),
                &state,
                &explained,
                &about(input.len()),
            ]),
            taken: true,
        })
    }
}
