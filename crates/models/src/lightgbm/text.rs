//! The text of a model file as numbered lines of `key=value`, and errors that name the line.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use tendon_kernel::{Error, ErrorKind};

/// What is wrong with a file, and where.
#[derive(Debug)]
pub(super) struct BadFile {
    line: usize,
    reason: String,
    unsupported: bool,
}

impl BadFile {
    pub(super) fn new(line: usize, reason: impl Display) -> Self {
        Self { line, reason: reason.to_string(), unsupported: false }
    }

    /// A sound file that needs something this build does not offer.
    pub(super) fn unsupported(line: usize, reason: impl Display) -> Self {
        Self { line, reason: reason.to_string(), unsupported: true }
    }
}

impl From<BadFile> for Error {
    fn from(bad: BadFile) -> Self {
        let message = format!("reading a LightGBM model failed at line {}: {}", bad.line, bad.reason);
        if bad.unsupported {
            Self::new(ErrorKind::Unsupported, "model_unsupported", message)
        } else {
            Self::new(ErrorKind::Invalid, "model_file_invalid", message)
                .hint("save the model again with Booster.save_model and copy the whole file")
        }
    }
}

/// Lines with their numbers (from 1), without the line ends of either world.
#[derive(Clone)]
pub(super) struct Lines<'a> {
    rest: Option<&'a str>,
    /// Number of the line that was read last.
    pub(super) number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, BadFile> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            BadFile::new(line, "the text is not valid UTF-8")
        })?;
        Ok(Self { rest: Some(text), number: 0 })
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let line = match rest.split_once('\n') {
            Some((line, rest)) => {
                self.rest = Some(rest);
                line
            }
            None => {
                self.rest = None;
                rest
            }
        };
        self.number += 1;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

/// The lines between two empty ones, by key. A line without `=` is a key without a value.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// Number of the first line.
    pub(super) line: usize,
    fields: BTreeMap<&'a str, (usize, &'a str)>,
}

impl<'a> Block<'a> {
    /// Reads up to the next empty line.
    pub(super) fn read(lines: &mut Lines<'a>) -> Result<Self, BadFile> {
        let mut block = Self { line: lines.number + 1, fields: BTreeMap::new() };
        for line in lines.by_ref() {
            if line.is_empty() {
                break;
            }
            let number = block.line + block.fields.len();
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            if block.fields.insert(key, (number, value)).is_some() {
                return Err(BadFile::new(number, format!("`{}` stands here for the second time", shown(key))));
            }
        }
        Ok(block)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    pub(super) fn get(&self, key: &str) -> Option<(usize, &'a str)> {
        self.fields.get(key).copied()
    }

    pub(super) fn need(&self, key: &str) -> Result<(usize, &'a str), BadFile> {
        self.get(key).ok_or_else(|| BadFile::new(self.line, format!("the part that starts here has no `{key}=`")))
    }

    /// A single number.
    pub(super) fn number<T: FromStr>(&self, key: &str) -> Result<T, BadFile> {
        let (line, value) = self.need(key)?;
        parse(line, key, value)
    }

    /// Exactly `count` numbers.
    pub(super) fn numbers<T: FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>, BadFile> {
        let (line, value) = self.need(key)?;
        let values =
            value.split_ascii_whitespace().map(|word| parse(line, key, word)).collect::<Result<Vec<T>, _>>()?;
        if values.len() == count {
            Ok(values)
        } else {
            Err(BadFile::new(line, format!("`{key}` has {} values, {count} are needed", values.len())))
        }
    }

    /// The line of a key, for errors found later.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.get(key).map_or(self.line, |(line, _)| line)
    }
}

/// Parses one word.
pub(super) fn parse<T: FromStr>(line: usize, key: &str, word: &str) -> Result<T, BadFile> {
    word.trim().parse().map_err(|_| BadFile::new(line, format!("`{key}` has the value `{}`", shown(word))))
}

/// A text from the file as it may stand in an error: short and without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
