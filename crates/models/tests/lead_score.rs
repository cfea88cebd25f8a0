//! The model of the demo: its texts become codes as pandas made them, and the scores are LightGBM's.

use std::{fs, path::Path};

use tendon_kernel::sockets::model::{FeatureKind, Matrix, OutputKind};
use tendon_models::{Cell, encode, load};

#[test]
fn the_sample_scores_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/lead-score");
    let (_, model) = load(Some("lead-score.txt"), &fs::read(folder.join("lead-score.txt")).unwrap()).unwrap();
    let signature = model.signature();
    assert_eq!(
        (signature.output, signature.outputs, signature.objective.as_str()),
        (OutputKind::Probability, 1, "binary")
    );
    let texts = signature.features.iter().filter(|feature| matches!(feature.kind, FeatureKind::Category { .. }));
    let texts: Vec<&str> = texts.map(|feature| feature.name.as_str()).collect();
    assert_eq!(texts, ["job", "marital", "education", "default", "housing", "loan", "contact", "month", "poutcome"]);
    assert_eq!(signature.features[0].range, Some((19.0, 95.0)));

    let sample = fs::read_to_string(folder.join("sample.csv")).unwrap();
    let mut lines = sample.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let columns = signature.features.len();
    assert!(signature.features.iter().map(|feature| feature.name.as_str()).eq(names[..columns].iter().copied()));
    let (mut rows, mut expected) = (Matrix { values: vec![], columns }, vec![]);
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let encoded = signature.features.iter().zip(&cells).map(|(feature, cell)| encode(feature, Cell::Text(cell)));
        rows.values.extend(encoded);
        expected.push(cells[columns].parse::<f64>().unwrap());
    }
    assert!(rows.rows() >= 200 && !rows.values.iter().any(|value| value.is_nan()));
    for (score, expected) in model.predict(&rows).unwrap().iter().zip(expected) {
        assert!(score.to_bits().abs_diff(expected.to_bits()) <= 1, "{score:?} instead of {expected:?}");
    }
    assert_eq!(model.explain(&rows).unwrap().len(), rows.rows());
}
