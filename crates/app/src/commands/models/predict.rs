//! `tendon models predict`: scores a file of rows with the code that serves decisions, so that a data scientist can compare
//! with the notebook.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use serde_json::{Value as Json, json};
use tendon_kernel::sockets::model::{Contributions, Matrix, Signature};

use super::{Model, rows::Rows};
use crate::{
    cli::Format,
    failure::{Failure, Outcome},
    output,
    project::Project,
    table::harmless,
};

/// Rows scored at once.
const CHUNK: usize = 1024;
/// Largest difference that counts as the same; far above rounding, far below anything that matters.
const TOLERANCE: f64 = 1e-9;

/// Which model, which rows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A model's file, or its name in the project (`name` or `name@version`).
    model: String,
    /// The rows: .csv (`,` or `;`), .tsv, or one JSON object per line.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Add the contribution of each feature (they sum up to the margin).
    #[arg(long)]
    explain: bool,
    /// Print the margin, without the output transform.
    #[arg(long)]
    raw: bool,
    /// Compare with this column and name the worst row; exit 1 when they differ by more than 1e-9. A model with several
    /// outputs is compared with COLUMN_0, COLUMN_1, …
    #[arg(long, value_name = "COLUMN")]
    expect: Option<String>,
}

/// The largest difference so far.
#[derive(Default)]
struct Worst {
    row: usize,
    output: usize,
    difference: f64,
    expected: f64,
    found: f64,
}

/// Runs it.
///
/// # Errors
/// When the model or a row cannot be read.
pub(super) async fn run(find: impl Fn() -> Result<Project, Failure>, args: &Args, format: Format) -> Outcome {
    let (version, model, _) = super::load(find, &args.model).await?;
    let outputs = version.signature.outputs;
    let expect: Vec<String> = match &args.expect {
        None => Vec::new(),
        Some(column) if outputs == 1 => vec![column.clone()],
        Some(column) => (0..outputs).map(|output| format!("{column}_{output}")).collect(),
    };
    let mut rows = Rows::open(&args.input, &version.signature, expect)?;
    let mut printer = Printer::start(format, args, &version.signature);
    let mut worst = Worst::default();
    let mut scored = 0;
    loop {
        let mut matrix = Matrix::with_capacity(CHUNK, version.signature.features.len());
        let mut expected = Vec::new();
        while matrix.rows() < CHUNK {
            let Some(row) = rows.next()? else { break };
            matrix.values.extend(row.features);
            expected.extend(row.expected);
        }
        let count = matrix.rows();
        if count == 0 {
            break;
        }
        let found = score(&model, &matrix, args.raw)?;
        for (at, (expected, found)) in expected.iter().zip(&found).enumerate() {
            worst.consider(scored + at / outputs + 1, at % outputs, *expected, *found);
        }
        let explained = if args.explain { model.explain(&matrix)? } else { Vec::new() };
        for (at, found) in found.chunks(outputs).enumerate() {
            printer.row(scored + at + 1, found, explained.get(at).map(Vec::as_slice));
        }
        scored += count;
    }
    let compared = args.expect.as_ref().map(|_| worst.report(scored));
    printer.end(compared.as_ref());
    let same = args.expect.is_none() || worst.difference <= TOLERANCE;
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn score(model: &Model, matrix: &Matrix, raw: bool) -> Result<Vec<f64>, Failure> {
    Ok(if raw { model.margin(matrix)? } else { model.predict(matrix)? })
}

impl Worst {
    fn consider(&mut self, row: usize, output: usize, expected: f64, found: f64) {
        let difference = if expected.is_nan() && found.is_nan() { 0.0 } else { (expected - found).abs() };
        if difference > self.difference || difference.is_nan() || self.row == 0 {
            let difference = if difference.is_nan() { f64::INFINITY } else { difference };
            *self = Self { row, output, difference, expected, found };
        }
    }

    fn report(&self, rows: usize) -> Json {
        json!({
            "rows": rows, "worst_row": self.row, "worst_output": self.output, "difference": self.difference,
            "expected": self.expected, "found": self.found, "same": self.difference <= TOLERANCE,
        })
    }
}

/// Writes rows as they come: CSV for people and spreadsheets, or one JSON document.
struct Printer {
    format: Format,
    out: std::io::BufWriter<std::io::Stdout>,
    features: Vec<String>,
    first: bool,
}

impl Printer {
    fn start(format: Format, args: &Args, signature: &Signature) -> Self {
        let features = signature.features.iter().map(|feature| feature.name.clone()).collect::<Vec<_>>();
        let mut printer = Self { format, out: std::io::BufWriter::new(std::io::stdout()), features, first: true };
        let word = if args.raw { "margin" } else { "output" };
        let mut head = vec!["row".to_owned()];
        for output in 0..signature.outputs {
            let suffix = if signature.outputs == 1 { String::new() } else { format!("_{output}") };
            head.push(format!("{word}{suffix}"));
        }
        if args.explain {
            for output in 0..signature.outputs {
                let suffix = if signature.outputs == 1 { String::new() } else { format!("_{output}") };
                head.push(format!("base{suffix}"));
                head.extend(printer.features.iter().map(|feature| format!("{feature}{suffix}")));
            }
        }
        match format {
            // All that a model's file says here; what follows are numbers.
            Format::Text => {
                printer.line(&harmless(&head.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",")))
            }
            Format::Json => printer.text("{\"rows\":["),
        }
        printer
    }

    fn row(&mut self, row: usize, found: &[f64], explained: Option<&[Contributions]>) {
        match self.format {
            Format::Text => {
                let mut cells = vec![row.to_string()];
                cells.extend(found.iter().map(f64::to_string));
                for one in explained.into_iter().flatten() {
                    cells.push(one.base.to_string());
                    cells.extend(one.values.iter().map(f64::to_string));
                }
                self.line(&cells.join(","));
            }
            Format::Json => {
                let mut document = json!({ "row": row, "outputs": found });
                if let Some(explained) = explained {
                    document["explanations"] = explained.iter().map(|one| self.contributions(one)).collect();
                }
                let comma = if self.first { "\n" } else { ",\n" };
                self.text(&format!("{comma}{document}"));
            }
        }
        self.first = false;
    }

    fn contributions(&self, one: &Contributions) -> Json {
        let values = self.features.iter().zip(&one.values).map(|(name, value)| (name.clone(), json!(value)));
        json!({ "base": one.base, "margin": one.margin, "contributions": values.collect::<serde_json::Map<_, _>>() })
    }

    fn end(mut self, compared: Option<&Json>) {
        if self.format == Format::Json {
            let compared = compared.map(|compared| format!(",\"compared\":{compared}")).unwrap_or_default();
            self.text(&format!("]{compared}}}\n"));
        }
        let _ = self.out.flush();
        if let Some(compared) = compared.filter(|_| self.format == Format::Text) {
            let verdict = if compared["same"] == true { "the same" } else { "DIFFERENT" };
            output::say(&format!(
                "{verdict}: {} rows, largest difference {} in row {} (expected {}, found {})",
                compared["rows"],
                compared["difference"],
                compared["worst_row"],
                compared["expected"],
                compared["found"]
            ));
        }
    }

    fn line(&mut self, text: &str) {
        self.text(text);
        self.text("\n");
    }

    /// A reader that went away ends the printing, not the command.
    fn text(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
    }
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}
