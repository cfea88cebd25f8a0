//! The files of linear models and scorecards: what may stand in them, and what is refused where.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use serde_json::{Value, json};
use tendon_kernel::{
    ErrorKind,
    sockets::model::{FeatureKind, Matrix, Model, OutputKind},
};

/// The scorecard of the documentation.
const SCORECARD: &str = include_str!("../../../docs/linear-models.md");

/// The `n`th example of the documentation.
fn example(n: usize) -> Value {
    let text = SCORECARD.split("```json").nth(n).and_then(|rest| rest.split("```").next());
    serde_json::from_str(text.unwrap()).unwrap()
}

fn load(file: &Value) -> std::sync::Arc<dyn Model> {
    let (format, model) = tendon_models::load(None, file.to_string().as_bytes()).unwrap();
    assert_eq!(format.name, "linear");
    model
}

fn refused(file: &Value) -> tendon_kernel::Error {
    tendon_models::load(None, file.to_string().as_bytes()).err().unwrap_or_else(|| panic!("it was taken: {file}"))
}

fn row(values: &[f64]) -> Matrix {
    Matrix { values: values.to_vec(), columns: values.len() }
}

#[test]
fn the_documented_regression_answers_as_the_page_says() {
    let model = load(&example(1));
    let signature = model.signature();
    assert_eq!((signature.output, signature.objective.as_str()), (OutputKind::Probability, "binary"));
    assert_eq!(signature.features[0].range, Some((18.0, 95.0)));
    let values = ["admin.", "retired", "technician"].map(str::to_owned).to_vec();
    assert_eq!(signature.features[1].kind, FeatureKind::Category { values });
    // Age 60, retired: -2.1 + 0.02 * 60 + 0.4.
    assert_eq!(model.margin(&row(&[60.0, 1.0])).unwrap(), [-0.5]);
    assert_eq!(model.predict(&row(&[60.0, 1.0])).unwrap(), [1.0 / (1.0 + 0.5_f64.exp())]);
    let explained = model.explain(&row(&[60.0, 1.0])).unwrap()[0][0].clone();
    assert!((explained.base - -1.3).abs() < 1e-12, "the base is the margin at the mean: {explained:?}");
    assert!((explained.values[0] - 0.4).abs() < 1e-12 && explained.values[1] == 0.4, "{explained:?}");
    // Missing: the mean stands for the age, an unknown job adds nothing.
    assert!((model.margin(&row(&[f64::NAN, 7.0])).unwrap()[0] - -1.3).abs() < 1e-12);
}

#[test]
fn the_documented_scorecard_answers_as_the_page_says() {
    let model = load(&example(2));
    assert_eq!(
        (model.signature().output, model.signature().objective.as_str()),
        (OutputKind::Probability, "scorecard")
    );
    // 40 years: 25 points; own: 30; no arrears known: 12.
    assert_eq!(model.margin(&row(&[40.0, 0.0, f64::NAN])).unwrap(), [580.0 + 25.0 + 30.0 + 12.0]);
    // Limits belong to the bin above.
    let limits = row(&[24.0, 0.0, 0.0, 25.0, 0.0, 0.0, 39.0, 0.0, 0.0]);
    let limits = Matrix { columns: 3, ..limits };
    assert_eq!(model.margin(&limits).unwrap(), [580.0 + 0.0 + 30.0 + 20.0, 580.0 + 14.0 + 30.0 + 20.0, 655.0]);
    // 600 points are odds of 50 to 1 for a good end; the output is the probability of a bad one.
    let at = Matrix { columns: 3, ..row(&[24.0, 2.0, 0.0]) };
    assert_eq!(model.margin(&at).unwrap(), [600.0]);
    assert!((model.predict(&at).unwrap()[0] - 1.0 / 51.0).abs() < 1e-15);
    let explained = model.explain(&row(&[40.0, 1.0, 3.0])).unwrap()[0][0].clone();
    assert_eq!((explained.base, explained.values), (580.0 + 15.0, vec![10.0, 30.0, -40.0]));
}

#[test]
fn the_documented_classes_answer_as_the_page_says() {
    let model = load(&example(3));
    let signature = model.signature();
    assert_eq!((signature.output, signature.outputs), (OutputKind::Classes, 3));
    assert_eq!(model.margin(&row(&[2.0, 1.0])).unwrap(), [1.4, -0.1, -1.0]);
    assert!((model.predict(&row(&[2.0, 1.0])).unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-15);
}

#[test]
fn a_value_without_a_rule_is_refused_by_name() {
    let mut file = example(1);
    file["features"][1].as_object_mut().unwrap().remove("missing");
    let model = load(&file);
    for rows in [row(&[60.0, f64::NAN]), row(&[60.0, 3.0]), row(&[60.0, -1.0]), row(&[60.0, 0.5])] {
        let error = model.predict(&rows).unwrap_err();
        assert!(error.code() == "model_value_missing" && error.to_string().contains("`job`"), "{error}");
        assert_eq!(model.explain(&rows).unwrap_err().code(), "model_value_missing");
    }
    assert_eq!(model.predict(&row(&[1.0])).unwrap_err().code(), "model_columns");
}

#[test]
fn errors_name_the_place_and_the_fault() {
    let (linear, card) = (example(1), example(2));
    let cases = [
        (&linear, "/format", json!("tendon/linear@2"), "at format: `tendon/linear@2` is not known"),
        (&linear, "/intercept", json!("much"), "at intercept: a number, or a list"),
        (&linear, "/intercept", json!([]), "at intercept: 0 outputs"),
        (&linear, "/intercept", json!([1, 2]), "features[0] (`age`).coefficient: 1 numbers where the intercept has 2"),
        (&linear, "/transform", json!("probit"), "at transform: unknown variant `probit`"),
        (&linear, "/transform", json!("softmax"), "at transform: softmax needs several outputs"),
        (&linear, "/transform", json!("points"), "at points: the transform `points` needs it"),
        (&linear, "/features", json!([]), "at features: a model needs at least one"),
        (&linear, "/features/1/name", json!("age"), "features[1] (`age`): its name is empty, or another"),
        (&linear, "/features/0/kind", json!("date"), "at features[0].kind: unknown variant `date`"),
        (&linear, "/features/0/weight", json!(1), "at features[0].weight: unknown field `weight`"),
        (&linear, "/features/0/range", json!([9, 1]), "features[0] (`age`).range: it is"),
        (&linear, "/features/0/neutral", json!(1), "features[0] (`age`): a number has `coefficient`"),
        (&linear, "/features/1/mean", json!(1), "features[1] (`job`): a category has `values`"),
        (&linear, "/features/1/values", json!(["a", "a", "b"]), "the category `a` stands there twice"),
        (&linear, "/features/1/values", json!(["a"]), "1 categories and 3 coefficients"),
        (&linear, "/features/1/missing", json!({"as": "pilot"}), "(`job`).missing: `pilot` is none of the categories"),
        (&linear, "/features/1/missing", json!({"as": 3}), "(`job`).missing: `as` is a number for a number"),
        (&linear, "/features/1/missing", json!({"is": 3}), "at features[1].missing: unknown variant `is`"),
        (&card, "/points/pdo", json!(0), "at points: odds have to be above 0"),
        (&card, "/points/odds", json!(-1), "at points: odds have to be above 0"),
        (&card, "/transform", json!("logit"), "at points: only the transform `points`"),
        (&card, "/intercept", json!([1, 2]), "at transform: points become one probability"),
        (&card, "/features/0/bins/0/below", json!(99), "(`age`).bins[1]: `below` has to rise"),
        (&card, "/features/0/bins/0/values", json!(["x"]), "(`age`).bins[0]: `values` belong to a category"),
        (&card, "/features/0/bins", json!([]), "(`age`).bins: there are none"),
        (&card, "/features/1/bins/0/below", json!(9), "(`home`).bins[0]: a bin of a category has `values`"),
        (&card, "/features/1/bins/1/values", json!(["own"]), "the category `own` stands there twice"),
    ];
    for (file, pointer, value, said) in cases {
        let mut file = file.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match file.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            object => object[key] = value,
        }
        let error = refused(&file);
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(said), "{pointer}: {error}");
    }
}

#[test]
fn it_is_known_by_its_key_and_refused_when_cut() {
    let text = example(2).to_string();
    for cut in (60..text.len() - 1).step_by(7) {
        if let Err(error) = tendon_models::load(None, &text.as_bytes()[..cut]) {
            // Keys are sorted here: `features` stands before `format`.
            assert!(["model_file_invalid", "model_format_unknown"].contains(&error.code()), "cut at {cut}: {error}");
        } else {
            panic!("taken, cut at {cut}");
        }
    }
    let other = text.replace("\"format\"", "\"formats\"");
    assert_eq!(refused(&serde_json::from_str(&other).unwrap()).code(), "model_format_unknown");
    assert_eq!(refused(&json!({"format": "tendon/line"})).code(), "model_format_unknown");
    assert!(refused(&json!({"format": "tendon/linear@9"})).to_string().contains("missing field"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_bytes_makes_it_panic(
        which in 1..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = example(which).to_string().into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok((_, model)) = tendon_models::load(None, &bytes) {
            let columns = model.signature().features.len();
            let odd = [f64::NAN, -1.0, 0.0, 3.7, 64.0, 1e300, f64::NEG_INFINITY];
            let rows = Matrix { values: (0..columns * 9).map(|i| odd[i % 7]).collect(), columns };
            if let Ok(outputs) = model.predict(&rows) {
                prop_assert_eq!(outputs.len(), 9 * model.signature().outputs);
            }
            drop(model.explain(&rows));
        }
    }
}
