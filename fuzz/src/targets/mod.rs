//! What is fuzzed: one file per parser or path, and one line in `ALL`. A target promises more than not to panic: each says in its
//! head what.

mod cel;
mod graphql;
mod http;
mod ledger;
mod models;
mod path;
mod plan;
mod proof;
mod rows;
mod tokens;
mod words;

use std::hash::{DefaultHasher, Hash, Hasher as _};

/// How an input went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What tells this way through from others.
    pub(crate) kind: u64,
    /// Whether the input was taken, not refused.
    pub(crate) taken: bool,
}

/// A target that is ready.
pub(crate) trait Run {
    /// Goes through one input, the same way each time.
    ///
    /// # Errors
    /// A sentence when a promise is broken.
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String>;

    /// Inputs to begin with that are made, beside those that are kept.
    fn seeds(&mut self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// A target.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// What is fuzzed, in a sentence.
    pub(crate) about: &'static str,
    /// Words of its language.
    pub(crate) words: &'static [&'static str],
    /// Memory that an input may use: so much anyway, and so much for each of its bytes.
    pub(crate) memory: (usize, usize),
    /// Inputs of the short run that is part of the tests.
    pub(crate) short: u64,
    /// Makes it ready.
    pub(crate) open: fn() -> Box<dyn Run>,
}

// sorted
pub(crate) const ALL: &[Target] = &[
    cel::TARGET,
    graphql::TARGET,
    http::TARGET,
    ledger::TARGET,
    models::TARGET,
    path::TARGET,
    plan::TARGET,
    proof::TARGET,
    rows::CSV,
    rows::JSONL,
    tokens::TARGET,
    words::TARGET,
];

/// A value that stands in corpora where personal data would; no error may hold it.
pub(crate) const PERSON: &str = "Mustermann4711";
/// A value that stands in corpora where a secret would.
pub(crate) const SECRET: &str = "s3cret+4711";

/// Whether a person's value stands in a name of the input's JSON: who makes up a field is told its name, and so is whoever reads it.
pub(crate) fn is_a_name(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let behind = |at: usize| text[at + PERSON.len()..].split_once('"').map(|(_, rest)| rest.trim_start());
    text.match_indices(PERSON).any(|(at, _)| behind(at).is_some_and(|rest| rest.starts_with(':')))
}

/// One number for a way through.
pub(crate) fn kind(parts: &[&dyn Word]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.iter().for_each(|part| part.add(&mut hasher));
    hasher.finish()
}

/// What can tell ways apart.
pub(crate) trait Word {
    /// Adds it.
    fn add(&self, hasher: &mut DefaultHasher);
}

impl<T: Hash> Word for T {
    fn add(&self, hasher: &mut DefaultHasher) {
        self.hash(hasher);
    }
}

/// A size in steps of powers of two, so that not every length is a way of its own.
pub(crate) fn about(size: usize) -> u32 {
    usize::BITS - size.leading_zeros()
}

/// An error as everybody sees it: it has a code and a sentence, and holds nobody's data.
///
/// # Errors
/// A sentence when it does not.
pub(crate) fn proper(error: &tendon_kernel::Error) -> Result<(), String> {
    let code = error.code();
    if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(format!("the code `{code}` is none"));
    }
    let told = format!(
        "{error} {error:?} {} {}",
        error.hint_text().unwrap_or_default(),
        error.private_detail().unwrap_or_default()
    );
    match [PERSON, SECRET].into_iter().find(|planted| told.contains(planted)) {
        Some(planted) => Err(format!("the error `{code}` tells {planted}: {told}")),
        None if error.message().trim().is_empty() => Err(format!("the error `{code}` says nothing")),
        None => Ok(()),
    }
}
