//! Tables that a run writes into a page: text between `<!-- NAME: begin -->` and `<!-- NAME: end -->`, never written by hand.

use std::fs;

use crate::{Outcome, run::root};

/// The page of what was sent by nobody in good faith, and what came of it.
pub(crate) const HOSTILE: &str = "docs/hostile-input.md";

/// Puts a text between the marks of that name.
pub(crate) fn put(page: &str, name: &str, text: &str) -> Outcome {
    let path = root().join(page);
    let old = fs::read_to_string(&path).map_err(|error| format!("{page} could not be read: {error}"))?;
    let (before, _, after) = split(&old, name).ok_or_else(|| format!("{page} has no marks named {name}"))?;
    let new = format!("{before}\n{}\n{after}", text.trim_end());
    fs::write(&path, new).map_err(|error| format!("{page} could not be written: {error}"))
}

/// What stands between the marks of that name.
pub(crate) fn get(page: &str, name: &str) -> Result<String, String> {
    let old = fs::read_to_string(root().join(page)).map_err(|error| format!("{page} could not be read: {error}"))?;
    let (_, text, _) = split(&old, name).ok_or_else(|| format!("{page} has no marks named {name}"))?;
    Ok(text.trim().to_owned())
}

/// A page up to and with the first mark, what stands between, and from the second mark on.
fn split<'a>(page: &'a str, name: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let begin = format!("<!-- {name}: begin -->");
    let start = page.find(&begin)? + begin.len();
    let end = start + page[start..].find(&format!("<!-- {name}: end -->"))?;
    Some((&page[..start], &page[start..end], &page[end..]))
}

/// Groups of three digits.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number as [`number`] writes it.
pub(crate) fn read(text: &str) -> Option<u64> {
    text.trim().replace([',', '_'], "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_found_and_nothing_else() {
        let page = "# A\n<!-- a: begin -->\nold\n<!-- a: end -->\nrest";
        assert_eq!(split(page, "a"), Some(("# A\n<!-- a: begin -->", "\nold\n", "<!-- a: end -->\nrest")));
        assert_eq!(split(page, "b"), None);
    }

    #[test]
    fn numbers_are_read_back() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!((number(value), read(text)), (text.to_owned(), Some(value)));
        }
    }
}
