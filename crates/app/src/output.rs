//! Data on stdout, everything else on stderr.

use std::io::{self, Write as _};

use serde_json::Value as Json;

use crate::{
    cli::Format,
    failure::Failure,
    screen::Screen,
    table::{self, Cell, Column},
};

/// Prints data. A reader that went away (`tendon … | head`) ends the printing, not the command.
pub(crate) fn data(text: &str) {
    let mut out = io::stdout().lock();
    let newline: &[u8] = if text.ends_with('\n') || text.is_empty() { b"" } else { b"\n" };
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(newline)).and_then(|()| out.flush());
}

/// Says something to people.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a document: as JSON, or as the text made from it.
pub(crate) fn document(format: Format, document: &Json, text: impl FnOnce(&Json) -> String) {
    match format {
        Format::Json => data(&serde_json::to_string_pretty(document).unwrap_or_default()),
        Format::Text => data(&text(document)),
    }
}

/// Says why a command failed.
pub(crate) fn failure(format: Format, failure: &Failure) {
    if format == Format::Json {
        say(&serde_json::json!({ "error": failure }).to_string());
        return;
    }
    say(&format!("error: {}", failure.message));
    if let Some(hint) = &failure.hint {
        say(&format!("  help: {hint}"));
    }
}

/// A table of texts with a head, as wide as the window lets it be.
pub(crate) fn table(head: &[&'static str], rows: &[Vec<String>]) -> String {
    // What comes first says what a row is about, and is what other commands are given.
    let column = |(at, head): (usize, &&'static str)| match u8::try_from(at).unwrap_or(u8::MAX) {
        0 => Column::whole(head, 0),
        rank => Column::text(head, rank),
    };
    let columns: Vec<Column> = head.iter().enumerate().map(column).collect();
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().map(|text| text.as_str().into()).collect()).collect();
    table::table(&columns, &rows, Screen::of_stdout())
}

/// A member of a document as text for a table; nothing for null.
pub(crate) fn cell(row: &Json, name: &str) -> String {
    match row.get(name) {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A document as indented `name: value` lines, for people.
pub(crate) fn lines(document: &Json, indent: usize) -> String {
    let mut text = String::new();
    let pad = " ".repeat(indent);
    match document {
        Json::Object(members) => {
            for (name, value) in members {
                match value {
                    Json::Object(inner) if !inner.is_empty() => {
                        text.push_str(&format!("{pad}{name}:\n{}", lines(value, indent + 2)));
                    }
                    Json::Array(items) if items.iter().any(Json::is_object) => {
                        text.push_str(&format!("{pad}{name}:\n"));
                        for item in items {
                            let inner = lines(item, indent + 4);
                            text.push_str(&format!("{pad}  - {}", inner.trim_start()));
                        }
                    }
                    _ => text.push_str(&format!("{pad}{name}: {}\n", cell(document, name))),
                }
            }
        }
        other => text.push_str(&format!("{pad}{other}\n")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let text = table(&["ID", "NAME"], &[vec!["1".into(), "ä".into()], vec!["200".into(), "b".into()]]);
        assert_eq!(text, "ID   NAME\n1    ä\n200  b\n");
    }

    #[test]
    fn documents_become_lines() {
        let document = serde_json::json!({ "a": 1, "b": { "c": "x" }, "d": [{ "e": 2, "f": null }] });
        assert_eq!(lines(&document, 0), "a: 1\nb:\n  c: x\nd:\n  - e: 2\n    f: \n");
    }
}
