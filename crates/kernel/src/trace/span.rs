//! A finished span, as a [`TraceSink`](super::TraceSink) gets it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::TraceContext;

/// What a span is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work of the process itself.
    Internal,
    /// Answers a caller.
    Server,
    /// Asks somebody else.
    Client,
    /// Takes up what was handed over before.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A text: a name of the plan, a code of ours, an id of a decision. Never an input, a subject, a key or a token.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<&Arc<str>> for Attribute {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(Cow::Owned(text.to_string()))
    }
}

impl From<u16> for Attribute {
    fn from(number: u16) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<usize> for Attribute {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Another span that a span has to do with, without being its child.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// That span.
    pub context: Arc<TraceContext>,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// A finished span of a trace that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// What was done; of few different names.
    pub name: Cow<'static, str>,
    /// What it is to others.
    pub kind: Kind,
    /// Its place.
    pub context: Arc<TraceContext>,
    /// The span above.
    pub parent: Option<[u8; 8]>,
    /// Whether the span above is a caller's.
    pub remote: bool,
    /// Begin, on the monotonic clock.
    pub start: Duration,
    /// End, on the monotonic clock.
    pub end: Duration,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Other spans it has to do with.
    pub links: Vec<Link>,
    /// Why it failed: a code of ours.
    pub failed: Option<Cow<'static, str>>,
}
