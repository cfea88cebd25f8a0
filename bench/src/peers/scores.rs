//! Whether a service computes what the model says: LightGBM itself scores the same inputs.

use std::{fs, process::Command};

use serde_json::Value;

use super::{services::Service, world::World};
use crate::{
    Res,
    load::{Target, bodies},
    request::{FEATURES, Request, question},
};

/// Inputs that are compared.
const INPUTS: usize = 1000;
/// How far a score may be from LightGBM's: a few units in the last place of the margin, behind the logistic function.
const TOLERANCE: f64 = 1e-12;

/// The largest distance between the service's scores and LightGBM's; an error if it is no rounding.
pub(super) fn distance(world: &World<'_>, service: &Service, target: &Target) -> Res<f64> {
    let answers = bodies(target, INPUTS)?;
    let expected = expected(world)?;
    let mut largest = 0_f64;
    for (answer, expected) in answers.iter().zip(&expected) {
        let shown = || String::from_utf8_lossy(answer).chars().take(300).collect::<String>();
        let value: Value = serde_json::from_slice(answer).map_err(|error| format!("{error}: {}", shown()))?;
        let score = value.pointer(service.output).and_then(Value::as_f64);
        let score = score.ok_or_else(|| format!("an answer has no {}: {}", service.output, shown()))?;
        largest = largest.max((score - expected).abs());
        if largest > TOLERANCE {
            return Err(format!("it answers {score} where LightGBM says {expected}: {}", shown()));
        }
    }
    Ok(largest)
}

/// LightGBM's scores of the inputs that every service's request asks for first.
fn expected(world: &World<'_>) -> Res<Vec<f64>> {
    let mut request = Request::of("/", &[], &question(), 1, 1);
    let mut rows = Vec::with_capacity(INPUTS);
    for _ in 0..INPUTS {
        let body: Value = serde_json::from_slice(request.next_body()).map_err(|error| error.to_string())?;
        let number = |feature: usize| body.pointer(&format!("/input/f{feature:02}")).cloned().unwrap_or_default();
        rows.push((0..FEATURES).map(number).collect::<Value>());
    }
    let file = world.setting.folder.join("inputs.json");
    fs::write(&file, Value::from(rows).to_string()).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut command = Command::new(&world.setting.python);
    command.arg("bench/python/scores.py").arg(&world.setting.model).arg(&file);
    let scores: Vec<f64> = crate::lines_of(&mut command)?.iter().filter_map(|line| line.parse().ok()).collect();
    if scores.len() == INPUTS { Ok(scores) } else { Err(format!("LightGBM gave {} scores", scores.len())) }
}
