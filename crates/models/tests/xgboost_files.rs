//! Real XGBoost files with XGBoost's own results, for a machine without Python, and broken ones. Written by
//! `oracle/xgboost_oracle.py FOLDER --fixtures PREFIX`; `v21_` by XGBoost 2.1.4, `v32_` by 3.2.0.

mod common;

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use tendon_kernel::{
    ErrorKind,
    sockets::model::{FeatureKind, Matrix, OutputKind},
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/xgboost")
}

fn bytes(file: &str) -> Vec<u8> {
    fs::read(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn json_of(file: &str) -> Value {
    serde_json::from_slice(&bytes(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn refused(file: &Value) -> tendon_kernel::Error {
    match tendon_models::load(None, file.to_string().as_bytes()) {
        Err(error) => error,
        Ok(_) => panic!("it was taken for a model"),
    }
}

#[test]
fn fixtures_score_as_recorded() {
    for version in ["v21_", "v32_"] {
        for file in ["binary_logistic_cat.json", "multi_softprob_num.ubj", "dart.json", "partition.ubj"] {
            let file = format!("{version}{file}");
            let worst = common::compare(&folder(), &file, "xgboost", common::Precision::Single);
            assert_eq!(worst.rows, 60);
            assert!(!worst.is_too_far(common::Precision::Single), "{file}: {worst:?}");
        }
    }
}

#[test]
fn the_signature_tells_what_the_file_tells() {
    let load = |bytes: &[u8]| tendon_models::load(None, bytes).map(|(_, model)| model.signature().clone());
    let classes = load(&bytes("v32_multi_softprob_num.ubj")).unwrap();
    assert_eq!((classes.output, classes.outputs, classes.features.len()), (OutputKind::Classes, 5, 8));
    let mut file = json_of("v32_binary_logistic_cat.json");
    let plain = load(file.to_string().as_bytes()).unwrap();
    assert_eq!((plain.output, plain.features[0].name.as_str()), (OutputKind::Probability, "f0"));
    assert_eq!([&plain.features[0].kind, &plain.features[4].kind], [&FeatureKind::Number, &FeatureKind::CategoryCode]);
    file["learner"]["feature_names"] = json!(["a", "b", "c", "d", "e", "f", "g", "h"]);
    let nothing = json!({"offsets": [], "values": []});
    let mut codes = vec![nothing; 8];
    codes[4] = json!({"offsets": [0, 3, 5], "values": [114, 101, 100, -61, -87]});
    codes[5] = json!({"values": [10, 20, 30]});
    file["learner"]["gradient_booster"]["model"]["cats"]["enc"] = json!(codes);
    let told = load(file.to_string().as_bytes()).unwrap();
    let texts = |values: &[&str]| FeatureKind::Category { values: values.iter().map(|&text| text.into()).collect() };
    assert_eq!([&told.features[4].kind, &told.features[5].kind], [&texts(&["red", "é"]), &texts(&["10", "20", "30"])]);
    assert_eq!(told.features[7].name, "h");
}

#[test]
fn errors_name_the_place_and_the_fault() {
    let tree = "/learner/gradient_booster/model/trees/0";
    let cases = [
        ("/learner/objective/name", json!("magic"), ErrorKind::Unsupported, "`magic` is not known"),
        ("/learner/gradient_booster/name", json!("gblinear"), ErrorKind::Unsupported, "gblinear is not offered"),
        ("/learner/gradient_booster/name", json!("x"), ErrorKind::Invalid, "booster `x` is not known"),
        ("/learner/gradient_booster/model/tree_info", json!([0]), ErrorKind::Invalid, "one value per tree"),
        ("/learner/gradient_booster/model/tree_info", json!([0, 1, 0]), ErrorKind::Invalid, "tree_info[1]"),
        ("/learner/learner_model_param/base_score", json!("[1.5E0]"), ErrorKind::Invalid, "`[1.5E0]` does not suit"),
        ("/learner/learner_model_param/base_score", json!("many"), ErrorKind::Invalid, "`many` does not suit"),
        ("/learner/learner_model_param/num_class", json!("9"), ErrorKind::Unsupported, "was not trained"),
        ("/learner/learner_model_param/num_feature", json!("2"), ErrorKind::Invalid, "2 features"),
        ("/learner/learner_model_param/num_feature", json!("-1"), ErrorKind::Invalid, "`-1` is no count"),
        ("/learner/feature_types", json!(["q"]), ErrorKind::Invalid, "1 values for 8 features"),
        ("/learner/gradient_booster/model/trees/0/left_children/0", json!(0), ErrorKind::Invalid, "trees[0]: node 0"),
        ("/learner/gradient_booster/model/trees/0/left_children/0", json!(999), ErrorKind::Invalid, "node 999, which"),
        ("/learner/gradient_booster/model/trees/0/left_children/0", json!(-7), ErrorKind::Invalid, "does not exist"),
        ("/learner/gradient_booster/model/trees/0/left_children/0", json!("x"), ErrorKind::Invalid, "trees[0].left_"),
        ("/learner/gradient_booster/model/trees/0/sum_hessian", json!([]), ErrorKind::Invalid, "have not all"),
        ("/learner/gradient_booster/model/trees/0/categories_nodes", json!([]), ErrorKind::Invalid, "no set of"),
        ("/learner/gradient_booster/model/trees/0/categories_sizes/0", json!(1e6), ErrorKind::Invalid, "trees[0]"),
        (
            "/learner/gradient_booster/model/trees/0/categories/0",
            json!(4_000_000_000_u32),
            ErrorKind::Invalid,
            "too many",
        ),
        (
            "/learner/gradient_booster/model/trees/0/tree_param/size_leaf_vector",
            json!("3"),
            ErrorKind::Invalid,
            "multi_output_tree",
        ),
    ];
    for (pointer, value, kind, said) in cases {
        let mut file = json_of("v32_binary_logistic_cat.json");
        assert!(file.pointer(tree).is_some());
        *file.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer}")) = value;
        let error = refused(&file);
        assert!(error.kind() == kind && error.to_string().contains(said), "{pointer}: {error}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for file in ["v32_dart.json", "v32_partition.ubj"] {
        let bytes = bytes(file);
        for cut in (20..bytes.len() - 1).step_by(37) {
            let error = tendon_models::load(None, &bytes[..cut]).err();
            assert!(error.is_some_and(|error| error.code() == "model_file_invalid"), "{file} cut at {cut}");
        }
    }
}

/// Whatever still loads has to score and explain without a panic.
fn survives(bytes: &[u8]) {
    if let Ok((_, model)) = tendon_models::load(None, bytes) {
        let columns = model.signature().features.len();
        let odd = [f64::NAN, -1.0, 0.0, 3.7, 64.0, 1e300, f64::NEG_INFINITY];
        let rows = Matrix { values: (0..columns * 9).map(|i| odd[i % 7]).collect(), columns };
        assert_eq!(model.predict(&rows).map(|outputs| outputs.len()).ok(), Some(9 * model.signature().outputs));
        drop(model.explain(&rows));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_bytes_makes_it_panic(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let files = ["v32_binary_logistic_cat.json", "v32_multi_softprob_num.ubj", "v32_dart.json", "v32_partition.ubj"];
        let mut bytes = bytes(files[which]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survives(&bytes);
    }
}
