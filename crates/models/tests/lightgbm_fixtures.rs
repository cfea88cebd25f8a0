//! A few real LightGBM files with LightGBM's own results, for a machine without Python. Written by
//! `oracle/lightgbm_oracle.py FOLDER --fixtures`; those named `v3_` by LightGBM 3.3.5, which wrote version 3 of the format.

mod common;

use std::{fs, path::Path};

use tendon_kernel::{
    ErrorKind,
    sockets::model::{FeatureKind, Matrix, OutputKind},
};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
fn read(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap()
}

#[test]
fn fixtures_score_as_recorded() {
    let names = [
        "binary",
        "custom",
        "multiclass",
        "regression_cat_zero_missing",
        "rf_binary",
        "single_leaf",
        "tweedie",
        "v3_binary",
        "v3_multiclass_numeric",
        "v3_regression_cat_zero_missing",
        "v3_rf_regression",
    ];
    for name in names {
        let worst = common::compare(&folder(), &format!("{name}.txt"), "lightgbm", common::Precision::Double);
        assert_eq!(worst.rows, 60);
        assert!(!worst.is_too_far(common::Precision::Double), "{name}: {worst:?}");
    }
}

#[test]
fn the_signature_tells_what_the_file_tells() {
    let (_, model) = tendon_models::load(None, read("multiclass").as_bytes()).unwrap();
    let signature = model.signature();
    assert_eq!((signature.output, signature.outputs), (OutputKind::Classes, 5));
    assert_eq!(signature.objective, "multiclass");
    assert_eq!(signature.features.len(), 8);
    assert_eq!(signature.features[1].range, Some((-3.0, 3.0)));
    assert_eq!(signature.features[4].kind, FeatureKind::CategoryCode);
    assert_eq!(signature.features[0].kind, FeatureKind::Number);
}

#[test]
fn texts_of_categories_come_from_the_last_line() {
    let text = read("binary");
    let kinds = |lists: &str| {
        let text = text.replace("pandas_categorical:null", &format!("pandas_categorical:{lists}"));
        let (_, model) = tendon_models::load(None, text.as_bytes())?;
        Ok::<_, tendon_kernel::Error>(model.signature().features.iter().map(|f| f.kind.clone()).collect::<Vec<_>>())
    };
    let category = |values: &[&str]| FeatureKind::Category { values: values.iter().map(|&v| v.into()).collect() };
    let told = kinds(r#"[["\u00e9", "a \"b\" c"], [1, 3.5, true]]"#).unwrap();
    assert_eq!(told[4..6], [category(&["é", "a \"b\" c"]), category(&["1", "3.5", "true"])]);
    assert_eq!(told[6], FeatureKind::Number);
    // Nobody can tell whose three lists are: the columns stay codes.
    let unknown = kinds(r#"[["a"], ["b"], ["c"]]"#).unwrap();
    assert_eq!(unknown[4..6], [FeatureKind::CategoryCode, FeatureKind::CategoryCode]);
    for broken in ["[[", "7", "[7]", "[[null]]"] {
        let error = kinds(broken).unwrap_err();
        assert!(error.to_string().contains("`pandas_categorical:`"), "{broken}: {error}");
    }
}

#[test]
fn a_matrix_of_another_width_is_refused() {
    let (_, model) = tendon_models::load(None, read("binary").as_bytes()).unwrap();
    for matrix in [Matrix { values: vec![0.0; 7], columns: 7 }, Matrix { values: vec![0.0; 9], columns: 8 }] {
        assert_eq!(model.predict(&matrix).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(model.explain(&matrix).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(model.predict(&Matrix { values: vec![], columns: 8 }).unwrap(), Vec::<f64>::new());
}

#[test]
fn line_ends_of_the_other_world_change_nothing() {
    let text = read("binary");
    let rows = Matrix { values: (0..80).map(|i| f64::from(i % 7) - 3.0).collect(), columns: 8 };
    let score = |text: &str| tendon_models::load(None, text.as_bytes()).unwrap().1.predict(&rows).unwrap();
    assert_eq!(score(&text), score(&text.replace('\n', "\r\n")));
}

#[test]
fn explanations_need_sound_training_counts() {
    let rows = Matrix { values: vec![0.5; 8], columns: 8 };
    let without: String =
        read("binary").lines().filter(|l| !l.starts_with("leaf_count=")).map(|l| format!("{l}\n")).collect();
    let false_counts = read("binary").replace("\ninternal_count=1500 ", "\ninternal_count=1501 ");
    for text in [without, false_counts] {
        let (_, model) = tendon_models::load(None, text.as_bytes()).unwrap();
        assert!(model.predict(&rows).is_ok());
        let error = model.explain(&rows).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}
