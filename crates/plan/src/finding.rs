//! Findings: what `tendon check` says, each with its place, what is allowed and what was probably meant.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing runs until it is mended.
    Error,
    /// It runs, but probably not as meant.
    Warning,
    /// Good to know.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// A place in a file; line and column count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// File, as it was named in the sources.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// Stable code (snake_case).
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// What would be allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// What was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Finding {
    /// An error at a place.
    pub fn error(file: &str, mark: Mark, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: mark.line,
            column: mark.column,
            severity: Severity::Error,
            code,
            message: message.into(),
            allowed: None,
            suggestion: None,
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same as information.
    #[must_use]
    pub fn info(mut self) -> Self {
        self.severity = Severity::Info;
        self
    }

    /// Says what would be allowed.
    #[must_use]
    pub fn allow(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into()).filter(|text| !text.is_empty());
        self
    }

    /// Says what was probably meant, if that is known.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, severity, code, message, .. } = self;
        write!(f, "{file}:{line}:{column}: {severity}[{code}]: {message}")?;
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean {suggestion}?")?;
        }
        Ok(())
    }
}

/// Findings while they are collected, all of one file.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) file: String,
    pub(crate) list: Vec<Finding>,
}

impl Findings {
    pub(crate) fn of(file: &str) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    /// Adds an error and gives it back to be told more.
    pub(crate) fn add(
        &mut self,
        mark: Mark,
        code: &'static str,
        message: impl Into<String>,
        more: impl FnOnce(Finding) -> Finding,
    ) {
        let finding = Finding::error(&self.file, mark, code, message);
        self.list.push(more(finding));
    }
}

/// Leaves a finding as it is (for [`Findings::add`]).
pub(crate) fn plain(finding: Finding) -> Finding {
    finding
}
