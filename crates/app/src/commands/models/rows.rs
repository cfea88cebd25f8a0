//! Rows of a file (CSV, or JSON with one object per line) as numbers of a model's matrix.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Lines},
    path::Path,
};

use serde_json::{Map, Value as Json};
use tendon_kernel::sockets::model::{Feature, FeatureKind, Signature};
use tendon_models::{Cell, encode};

use crate::failure::{self, Failure};

/// Reads rows one by one.
pub(super) struct Rows<'a> {
    source: Source,
    signature: &'a Signature,
    /// Columns with the values to compare with.
    expect: Vec<String>,
    /// Number of the row read last, from 1.
    pub(super) number: usize,
}

enum Source {
    Csv { reader: csv::Reader<File>, record: csv::StringRecord, columns: Vec<usize>, expect: Vec<usize> },
    Lines(Lines<BufReader<File>>),
}

/// A row: its features, and the expected outputs where a column was named.
pub(super) struct Row {
    pub(super) features: Vec<f64>,
    pub(super) expected: Vec<f64>,
}

impl<'a> Rows<'a> {
    /// Opens the file; `.csv` and `.tsv` by name, all else is read as JSON lines.
    ///
    /// # Errors
    /// When it cannot be read, or a column of the model is missing.
    pub(super) fn open(path: &Path, signature: &'a Signature, expect: Vec<String>) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| failure::io("opening the rows", path, &error))?;
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let source = match ending.as_str() {
            "csv" | "tsv" | "txt" => csv_source(file, path, ending == "tsv", signature, &expect)?,
            _ => Source::Lines(BufReader::new(file).lines()),
        };
        Ok(Self { source, signature, expect, number: 0 })
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// Names row and column of what cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Failure> {
        self.number += 1;
        let number = self.number;
        let signature = self.signature;
        match &mut self.source {
            Source::Csv { reader, record, columns, expect } => {
                let more = reader.read_record(record).map_err(|error| wrong(number, &error.to_string()))?;
                if !more {
                    return Ok(None);
                }
                let text = |column: &usize| record.get(*column).unwrap_or_default();
                let features = signature.features.iter().zip(columns.iter());
                let features = features
                    .map(|(feature, column)| number_of(feature, text_cell(text(column)), number))
                    .collect::<Result<_, _>>()?;
                let expected = expect.iter().zip(&self.expect);
                let expected = expected
                    .map(|(column, name)| text(column).trim().parse().map_err(|_| no_number(number, name)))
                    .collect::<Result<_, _>>()?;
                Ok(Some(Row { features, expected }))
            }
            Source::Lines(lines) => {
                let line = loop {
                    match lines.next() {
                        None => return Ok(None),
                        Some(Err(error)) => return Err(wrong(number, &error.to_string())),
                        Some(Ok(line)) if line.trim().is_empty() => {}
                        Some(Ok(line)) => break line,
                    }
                };
                json_row(signature, &self.expect, &line, number).map(Some)
            }
        }
    }
}

fn csv_source(
    file: File,
    path: &Path,
    tabs: bool,
    signature: &Signature,
    expect: &[String],
) -> Result<Source, Failure> {
    let delimiter = if tabs { b'\t' } else { delimiter(path)? };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(file);
    let head = reader.headers().map_err(|error| wrong(0, &error.to_string()))?.clone();
    let position = |name: &String| head.iter().position(|column| column.trim() == name.as_str());
    let names = || signature.features.iter().map(|feature| &feature.name).chain(expect);
    let missing: Vec<&str> = names().filter(|name| position(name).is_none()).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(Failure::new(
            "column_missing",
            format!("{} has no column {}", path.display(), missing.join(", ")),
            format!("its columns are: {}", head.iter().collect::<Vec<_>>().join(", ")),
        ));
    }
    let columns = signature.features.iter().filter_map(|feature| position(&feature.name)).collect();
    let expect = expect.iter().filter_map(position).collect();
    Ok(Source::Csv { reader, record: csv::StringRecord::new(), columns, expect })
}

/// `,` unless the head has more `;`.
fn delimiter(path: &Path) -> Result<u8, Failure> {
    let mut head = String::new();
    let file = File::open(path).map_err(|error| failure::io("opening the rows", path, &error))?;
    BufReader::new(file).read_line(&mut head).map_err(|error| failure::io("reading the rows", path, &error))?;
    Ok(if head.matches(';').count() > head.matches(',').count() { b';' } else { b',' })
}

fn text_cell(text: &str) -> Cell<'_> {
    if text.is_empty() { Cell::Missing } else { Cell::Text(text) }
}

fn json_row(signature: &Signature, expect: &[String], line: &str, number: usize) -> Result<Row, Failure> {
    let object: Map<String, Json> = serde_json::from_str(line).map_err(|error| wrong(number, &error.to_string()))?;
    let cell = |name: &str| -> Result<Cell<'_>, Failure> {
        match object.get(name) {
            None => Err(wrong(number, &format!("there is no member `{name}`"))),
            Some(Json::Null) => Ok(Cell::Missing),
            Some(Json::Bool(value)) => Ok(Cell::Number(f64::from(u8::from(*value)))),
            Some(Json::Number(value)) => Ok(Cell::Number(value.as_f64().unwrap_or(f64::NAN))),
            Some(Json::String(text)) => Ok(Cell::Text(text)),
            Some(_) => Err(wrong(number, &format!("the member `{name}` is a list or an object"))),
        }
    };
    let features = signature.features.iter();
    let features =
        features.map(|feature| number_of(feature, cell(&feature.name)?, number)).collect::<Result<_, Failure>>()?;
    let expected = expect.iter().map(|name| match cell(name)? {
        Cell::Number(value) => Ok(value),
        _ => Err(no_number(number, name)),
    });
    Ok(Row { features, expected: expected.collect::<Result<_, Failure>>()? })
}

/// Encodes a cell; a text where a number is wanted is an error, not a missing value.
fn number_of(feature: &Feature, cell: Cell<'_>, number: usize) -> Result<f64, Failure> {
    if let (FeatureKind::Number | FeatureKind::CategoryCode, Cell::Text(text)) = (&feature.kind, cell)
        && text.trim().parse::<f64>().is_err()
    {
        return Err(no_number(number, &feature.name));
    }
    Ok(encode(feature, cell))
}

fn no_number(row: usize, column: &str) -> Failure {
    wrong(row, &format!("column {column} holds no number"))
}

fn wrong(row: usize, what: &str) -> Failure {
    Failure::new("row_wrong", format!("row {row} cannot be read: {what}"), "rows count from 1, without the head")
}
