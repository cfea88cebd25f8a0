//! Data on stdout, everything else on stderr.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write as _},
};

use serde_json::Value as Json;
use tendon_doors::figure;
use tendon_kernel::Timestamp;

use crate::{
    cli::Format,
    failure::Failure,
    screen::Screen,
    table::{self, Cell, Column, Tone, harmless},
};

/// Members that hold the fields of a row: in them no value is a value, too.
const ROWS: [&str; 8] = ["changed", "decided", "input", "new", "now", "old", "row", "set"];

/// Prints data. A reader that went away (`tendon … | head`) ends the printing, not the command.
pub(crate) fn data(text: &str) {
    let mut out = io::stdout().lock();
    let newline: &[u8] = if text.ends_with('\n') || text.is_empty() { b"" } else { b"\n" };
    let text = if out.is_terminal() { tame(text, true) } else { text.into() };
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(newline)).and_then(|()| out.flush());
}

/// Says something to people.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", tame(text, false));
}

/// Says something in one line, whatever it quotes.
pub(crate) fn say_line(text: &str) {
    say(&harmless(text));
}

/// A text of several lines in which nothing steers the terminal, but our own colours where there may be some: the last one to look,
/// whoever made the text.
fn tame(text: &str, colours: bool) -> Cow<'_, str> {
    let steers = |letter: char| !matches!(letter, '\n' | '\t') && table::steers(letter);
    if !text.contains(steers) {
        return text.into();
    }
    let mut tamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let own = if colours { Tone::code_at(rest) } else { None };
        let length = own.map_or(letter.len_utf8(), str::len);
        let (first, more) = rest.split_at(length);
        tamed.push_str(if own.is_none() && steers(letter) { " " } else { first });
        rest = more;
    }
    tamed.into()
}

/// A document as JSON in lines.
pub(crate) fn json(document: &Json) -> String {
    exact(&serde_json::to_string_pretty(document).unwrap_or_default())
}

/// JSON in which nothing steers a terminal: the same document, with what may stand as it is in JSON and still steers written as an
/// escape.
pub(crate) fn exact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        // Outside of texts JSON has no control characters but those of its layout; in texts it writes these as escapes itself.
        if table::steers(letter) && !letter.is_ascii_whitespace() {
            text.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            text.push(letter);
        }
    }
    text
}

/// Prints a document: as JSON, or as the text made from it.
pub(crate) fn document(format: Format, document: &Json, text: impl FnOnce(&Json) -> String) {
    match format {
        Format::Json => data(&json(document)),
        Format::Text => data(&text(document)),
    }
}

/// Says why a command failed.
pub(crate) fn failure(format: Format, failure: &Failure) {
    if format == Format::Json {
        say(&exact(&serde_json::json!({ "error": failure }).to_string()));
        return;
    }
    say(&format!("error: {}", indented(&failure.message)));
    if let Some(hint) = &failure.hint {
        say(&format!("  help: {hint}"));
    }
}

/// A message, of which no line but the first begins where lines of ours do: an error may quote what a system said.
fn indented(message: &str) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + if line.starts_with("  ") { "\n" } else { "\n  " } + line)
}

/// So many of something.
pub(crate) fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// A table of texts with a head, as wide as the window lets it be.
pub(crate) fn table(head: &[&'static str], rows: &[Vec<String>]) -> String {
    // What comes first says what a row is about, and is what other commands are given.
    let column = |(at, head): (usize, &&'static str)| match u8::try_from(at).unwrap_or(u8::MAX) {
        0 => Column::whole(head, 0),
        rank => Column::text(head, rank),
    };
    columns(&head.iter().enumerate().map(column).collect::<Vec<_>>(), rows)
}

/// What a column shows of a document.
type Tell = fn(&Json) -> String;

/// A list of documents as a table: each column with what it shows of one.
pub(crate) fn listed<const N: usize>(list: &Json, shown: [(Column, Tell); N]) -> String {
    let row = |one: &Json| shown.iter().map(|(_, tell)| tell(one)).collect();
    let rows: Vec<_> = list.as_array().into_iter().flatten().map(row).collect();
    columns(&shown.map(|(column, _)| column), &rows)
}

/// A table of columns that say themselves which of them is left out first.
fn columns(columns: &[Column], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().map(|text| text.as_str().into()).collect()).collect();
    table::table(columns, &rows, Screen::of_stdout())
}

/// A member of a document as text for a table; nothing for null.
pub(crate) fn cell(row: &Json, name: &str) -> String {
    row.get(name).map(text).unwrap_or_default()
}

/// A moment for a table: as people read it on a terminal, in UTC, and whole elsewhere.
pub(crate) fn moment(row: &Json, name: &str) -> String {
    let whole = cell(row, name);
    if Screen::of_stdout().width.is_some() { second(&whole) } else { whole }
}

/// What a model answered, for a table: with the console's digits on a terminal, and all of them elsewhere.
pub(crate) fn output(row: &Json, name: &str) -> String {
    let number = row[name].as_f64().filter(|_| Screen::of_stdout().width.is_some());
    number.map_or_else(|| cell(row, name), figure::output)
}

/// A moment to the second; a text that is none as it is.
fn second(whole: &str) -> String {
    let day = Timestamp::parse(whole).is_ok().then(|| whole.get(..19)).flatten();
    day.map_or_else(|| whole.to_owned(), |day| day.replace('T', " "))
}

/// A value in one line.
fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => harmless(text),
        other => harmless(&other.to_string()),
    }
}

/// A document as indented `name: value` lines, for people. What holds nothing is left out.
pub(crate) fn lines(document: &Json, indent: usize) -> String {
    let mut text = String::new();
    value(&mut text, document, indent, false);
    text
}

/// Writes a value's lines; `row`: the fields of a row.
fn value(to: &mut String, of: &Json, indent: usize, row: bool) {
    match of {
        Json::Object(members) => members.iter().for_each(|(name, of)| member(to, name, of, indent, row)),
        other => to.push_str(&format!("{}{}\n", " ".repeat(indent), text(other))),
    }
}

fn member(to: &mut String, name: &str, of: &Json, indent: usize, row: bool) {
    let pad = " ".repeat(indent);
    let mut inner = String::new();
    let within = row || ROWS.contains(&name);
    match of {
        Json::Null if row => return to.push_str(&format!("{pad}{}: nothing\n", harmless(name))),
        Json::String(text) if row && text.is_empty() => inner.push_str("\"\""),
        Json::Object(_) => value(&mut inner, of, indent + 2, within),
        Json::Array(items) => match pairs(items) {
            Some(fields) => fields.for_each(|(name, of)| member(&mut inner, name, of, indent + 2, within)),
            None if items.iter().any(Json::is_object) => items.iter().for_each(|item| {
                let mut lines = String::new();
                value(&mut lines, item, indent + 4, within);
                inner.push_str(&format!("{pad}  - {}\n", lines.trim()));
            }),
            None if items.is_empty() => {}
            None => inner = text(of),
        },
        _ => inner = text(of),
    }
    let name = harmless(name);
    match inner.as_str() {
        "" => {}
        nested if nested.ends_with('\n') => to.push_str(&format!("{pad}{name}:\n{nested}")),
        text => to.push_str(&format!("{pad}{name}: {text}\n")),
    }
}

/// Names with values, where their order tells something.
fn pairs(items: &[Json]) -> Option<impl Iterator<Item = (&str, &Json)>> {
    let pair = |item: &Json| matches!(item.as_array().map(Vec::as_slice), Some([Json::String(_), _]));
    let all = !items.is_empty() && items.iter().all(pair);
    all.then(|| items.iter().filter_map(|item| Some((item.get(0)?.as_str()?, item.get(1)?))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up() {
        let text = table(&["ID", "NAME"], &[vec!["1".into(), "ä".into()], vec!["200".into(), "b".into()]]);
        assert_eq!(text, "ID   NAME\n1    ä\n200  b\n");
    }

    #[test]
    fn documents_become_lines_without_what_holds_nothing() {
        let document = json!({
            "a": 1, "b": { "c": "x" }, "d": [{ "e": 2, "f": null }], "g": [], "h": {}, "i": "", "j": { "k": null }, "l": [1, 2], "m": false,
        });
        assert_eq!(lines(&document, 0), "a: 1\nb:\n  c: x\nd:\n  - e: 2\nl: [1,2]\nm: false\n");
    }

    #[test]
    fn fields_of_rows_stand_below_each_other_and_no_value_is_a_value() {
        let document =
            json!({ "old": [["score", null], ["band", ""]], "new": { "score": 0.5, "note": null }, "cause": null });
        assert_eq!(lines(&document, 0), "new:\n  note: nothing\n  score: 0.5\nold:\n  score: nothing\n  band: \"\"\n");
    }

    /// Texts that steer a terminal, each in its own way.
    const STEER: [&str; 5] =
        ["\x1b[31mred\x1b[0m", "\x1b]0;pwn\x07", "line\nbreak", "\u{9b}2J\x7f", "\u{202e}back\u{2066}"];

    #[test]
    fn no_name_and_no_value_of_lines_steers_the_terminal() {
        for steer in STEER {
            for document in [
                json!({ "a": steer }),
                json!({ steer: 1 }),
                json!({ steer: { steer: [steer] } }),
                json!({ "a": [{ steer: steer }] }),
                json!({ "old": [[steer, steer]] }),
                json!([steer]),
                json!(steer),
            ] {
                let text = lines(&document, 0);
                assert!(!text.replace('\n', "").contains(table::steers), "{text:?}");
                assert!(!text.contains("line\nbreak") && !text.is_empty(), "{text:?}");
            }
        }
    }

    #[test]
    fn json_stays_the_document_that_it_is() {
        let document = json!({ "all": STEER, "plain": ["ä", "⚠️", "\\u009b"] });
        let text = json(&document);
        assert!(!text.replace('\n', "").contains(table::steers), "{text:?}");
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), document);
    }

    #[test]
    fn what_is_said_keeps_its_lines_and_our_colours_only() {
        let text = format!("{}\n\ta\x1b[2Jb\x1b]0;c\x07\r\u{85}d", Tone::Bad.paint("bad", colours()));
        assert_eq!(tame(&text, true), "\x1b[1;31mbad\x1b[0m\n\ta [2Jb ]0;c   d");
        assert_eq!(tame(&text, false), " [1;31mbad [0m\n\ta [2Jb ]0;c   d");
        assert!(matches!(tame("one\n\ttwo", true), Cow::Borrowed(_)));
    }

    fn colours() -> Screen {
        Screen { colours: true, ..Screen::default() }
    }

    #[test]
    fn moments_are_told_to_the_second() {
        assert_eq!(second("2026-11-26T20:25:32.123456Z"), "2026-11-26 20:25:32");
        assert_eq!(["", "soon", "2026-11-26"].map(second), ["", "soon", "2026-11-26"]);
    }

    #[test]
    fn an_error_forges_no_line() {
        assert_eq!(indented("it said: a\nerror: b\n  - c\n"), "it said: a\n  error: b\n  - c");
    }

    #[test]
    fn one_is_one() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "error")), ["0 errors", "1 error", "2 errors"]);
    }
}
