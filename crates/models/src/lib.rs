//! The room of models: file formats that become something which scores rows, and the parts they share.
//!
//! A format is one file and one line in [`FORMATS`]. The evaluator of tree ensembles (`trees`) knows no format, so
//! that each further tree format is an importer and nothing else.

mod bare_nan;
mod cell;
mod exp;
mod exp_table;
mod lightgbm;
mod linear;
mod output;
mod trees;
mod ubj;
mod xgboost;

use std::sync::Arc;

use tendon_kernel::{
    Error, ErrorKind, Result,
    sockets::model::{Model, ModelFormat},
};

pub use cell::{Cell, encode};

/// Every format this build can read, sorted by name.
pub static FORMATS: &[&ModelFormat] = &[&lightgbm::FORMAT, &linear::FORMAT, &xgboost::FORMAT];

/// Reads a model from the bytes of its file. The format is found by looking at the bytes, never by the name; the name
/// only makes the error clearer.
///
/// # Errors
/// `Unsupported` when no format knows these bytes, or the format has a feature that is not offered; `Invalid` when the
/// file is malformed (the error names the line and what is wrong there).
pub fn load(file_name: Option<&str>, bytes: &[u8]) -> Result<(&'static ModelFormat, Arc<dyn Model>)> {
    let Some(format) = FORMATS.iter().find(|format| (format.sniff)(bytes)) else {
        return Err(unknown(file_name, bytes));
    };
    let model = (format.load)(bytes).map_err(|error| match file_name {
        Some(name) => error.with("file", name),
        None => error,
    })?;
    Ok((format, model))
}

fn unknown(file_name: Option<&str>, bytes: &[u8]) -> Error {
    let known: Vec<String> = FORMATS.iter().map(|format| format!("{} ({})", format.name, format.summary)).collect();
    let message = if bytes.is_empty() {
        "reading a model failed: the file is empty"
    } else {
        "reading a model failed: its content is of no known format"
    };
    let error =
        Error::new(ErrorKind::Unsupported, "model_format_unknown", message).with("known formats", known.join(", "));
    match file_name {
        Some(name) => error.with("file", name),
        None => error,
    }
    .hint("save the model in one of the known formats")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_sorted_and_unique() {
        assert!(FORMATS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn unknown_content_lists_the_known_formats() {
        for bytes in [&b""[..], b"\x08\x07onnx", b"tree of life"] {
            let error = load(Some("a.onnx"), bytes).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("lightgbm") && error.to_string().contains("a.onnx"), "{error}");
        }
    }
}
