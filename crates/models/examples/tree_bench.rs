//! Times the evaluator on a model file and a file of rows (row-major little-endian `f64`), one JSON line per measure.
//! `bench/python/tree_peers.py` times LightGBM and ONNX Runtime on the same files.
//!
//! `cargo run --release -p tendon-models --example tree_bench -- MODEL ROWS`

#![expect(clippy::print_stdout, reason = "printing the result is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

use std::{env, error::Error, fs, hint::black_box, time::Instant};

use tendon_kernel::sockets::model::Matrix;

/// Runs of which the fastest counts: the others were disturbed by the machine.
const RUNS: usize = 15;
/// Rows of the batch.
const BATCH: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(model), Some(rows)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tree_bench MODEL ROWS".into());
    };
    let file = fs::read(&model)?;
    report("load", 1, || tendon_models::load(None, black_box(&file)).map(drop))?;
    let (_, model) = tendon_models::load(Some(&model), &file)?;
    let columns = model.signature().features.len();
    let values: Vec<f64> = fs::read(&rows)?.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    let count = values.len() / columns;
    if count < BATCH {
        return Err(format!("{count} rows of {columns} columns, {BATCH} are needed").into());
    }
    let part =
        |from: usize, rows: usize| Matrix { values: values[from * columns..(from + rows) * columns].to_vec(), columns };
    let singles: Vec<Matrix> = (0..BATCH).map(|row| part(row, 1)).collect();
    let batch = part(0, BATCH);
    report("predict_1", BATCH, || {
        singles.iter().try_for_each(|row| model.predict(black_box(row)).map(|out| drop(black_box(out))))
    })?;
    report("predict_1024", BATCH, || model.predict(black_box(&batch)).map(|out| drop(black_box(out))))?;
    report("explain_1", 64, || {
        singles[..64].iter().try_for_each(|row| model.explain(black_box(row)).map(|out| drop(black_box(out))))
    })?;
    Ok(())
}

fn report<E>(name: &str, rows: usize, mut run: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(r#"{{"name":"{name}","ns_per_row":{:.0}}}"#, best * 1e9 / rows as f64);
    Ok(())
}
