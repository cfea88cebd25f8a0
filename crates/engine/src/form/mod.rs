//! The input schema made ready to read by: names sorted for lookup, patterns compiled, allowed texts sorted. Made once per
//! installed plan; reading a record against it allocates only what the record keeps.

mod check;
mod read;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use regex::Regex;
use tendon_kernel::{Error, ErrorKind, Record, Result, Value, decision::Failure, schema::Schema};

/// At most this many problems of one record are told; more would bury the first.
const MOST_PROBLEMS: usize = 10;

/// A schema ready to read by.
pub(crate) struct Form {
    pub(crate) schema: Arc<Schema>,
    /// Names and positions, sorted by name.
    by_name: Vec<(Arc<str>, usize)>,
    patterns: Vec<Option<Regex>>,
    /// Deepest nesting of a JSON input that is still read to its end (to tell all problems).
    depth: usize,
}

/// What is wrong with a record, at one place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// What reading an input gave: values in the schema's order, null where nothing usable stood.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) values: Vec<Value>,
    pub(crate) problems: Vec<Problem>,
    /// Whether a JSON input was one complete JSON text.
    pub(crate) well_formed: bool,
}

impl Form {
    /// Makes a schema ready.
    ///
    /// # Errors
    /// `Config` when a pattern is no regular expression.
    pub(crate) fn new(schema: &Arc<Schema>, depth: usize) -> Result<Self> {
        let mut by_name: Vec<_> =
            schema.fields.iter().enumerate().map(|(index, field)| (Arc::clone(&field.name), index)).collect();
        by_name.sort();
        let patterns = schema.fields.iter().map(|field| compile(&field.name, field.pattern.as_deref()));
        Ok(Self { schema: Arc::clone(schema), by_name, patterns: patterns.collect::<Result<_>>()?, depth })
    }

    /// A record of these values.
    pub(crate) fn record(&self, values: Vec<Value>) -> Record {
        Record { schema: Arc::clone(&self.schema), values }
    }

    /// Position of a field; `next` is where it stands when the caller keeps the schema's order.
    fn position(&self, name: &str, next: usize) -> Option<usize> {
        if self.schema.fields.get(next).is_some_and(|field| field.name.as_ref() == name) {
            return Some(next);
        }
        let found = self.by_name.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        self.by_name.get(found).map(|(_, index)| *index)
    }

    /// The known name that looks most like this one, if one looks like it at all.
    fn nearest(&self, name: &str) -> Option<&str> {
        let limit = (name.chars().count() / 3).clamp(1, 4);
        let near = self.schema.fields.iter().map(|field| (distance(name, &field.name), field.name.as_ref()));
        near.min().filter(|(steps, _)| *steps <= limit).map(|(_, name)| name)
    }
}

fn compile(name: &str, pattern: Option<&str>) -> Result<Option<Regex>> {
    let compiled = pattern.map(|pattern| Regex::new(&format!("^(?:{pattern})$"))).transpose();
    compiled.map_err(|cause| {
        Error::new(ErrorKind::Config, "bad_pattern", format!("the pattern of field {name} is no regular expression"))
            .hint("patterns use RE2 syntax")
            .private(cause)
    })
}

/// Edit distance (insert, delete, replace, swap of neighbours count one), of lower-cased texts; long names are cut.
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| text.chars().take(64).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (a, b) = (lower(a), lower(b));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// A JSON pointer to a field of the input.
pub(crate) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What a caller is told of a record's problems: the first one's code and place, and all of them in the sentence.
pub(crate) fn failure(problems: &[Problem]) -> Option<Failure> {
    let first = problems.first()?;
    let message = if problems.len() == 1 {
        first.message.clone()
    } else {
        let mut message = format!("{} problems", problems.len());
        for (index, problem) in problems.iter().take(MOST_PROBLEMS).enumerate() {
            message.push_str(if index == 0 { ": " } else { "; " });
            message.push_str(&problem.message);
        }
        if problems.len() > MOST_PROBLEMS {
            message.push_str("; and more");
        }
        message
    };
    let pointer = Some(first.pointer.clone());
    Some(Failure { code: first.code.into(), message, pointer, hint: first.hint.clone(), retryable: false })
}
