//! Expressions: CEL, compiled once, type-checked against the schemas, evaluated over records.
//!
//! The `cel` crate parses. It does not check types, and its evaluator works over dynamic maps, so the checker over its
//! syntax tree and the evaluator are ours: names become field positions, constants are folded, and a null that could
//! reach an operator is an error before anything runs. cel-go is the oracle (`tests/go`).

mod check;
mod check_calls;
mod check_names;
mod code;
mod fold;
mod functions;
mod operators;
mod parse;
mod text;
mod types;
mod value;

use std::collections::BTreeSet;

use tendon_kernel::{Error, ErrorKind, Record, Result, Timestamp, Value, schema::Schema};

pub use parse::Parsed;
pub use types::Ty;

use code::Code;

/// The names an expression can see.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `input.<field>`, and behind them the fields of the lookups.
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

/// What an expression may name, known when it is compiled.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// `input.<field>`: the schema that the records will have.
    pub input: &'a Schema,
    /// Fields that are never null although not required, because a default fills them.
    pub filled: &'a BTreeSet<String>,
    /// Whether `output` exists where it runs.
    pub output: bool,
    /// Whether `band` exists where it runs.
    pub band: bool,
    /// Whether `decision` exists where it runs.
    pub decision: bool,
    /// More field names that could have been meant (for suggestions only).
    pub others: &'a [String],
    /// Fields that exist but may not be read (for messages only).
    pub hidden: &'a [String],
    /// Looked-up rows.
    pub lookups: &'a [Looked],
    /// Names of lookups that are made, but not before it runs (for messages only).
    pub later: &'a [String],
}

/// A looked-up row as an expression sees it: `<name>.<field>`.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Its name.
    pub name: String,
    /// Its fields; `required`: never null where the expression runs.
    pub fields: Schema,
    /// Position of its first field in the record, behind those of the input.
    pub first: usize,
    /// More field names that could have been meant (for suggestions only).
    pub others: Vec<String>,
    /// Fields that exist but may not be read (for messages only).
    pub hidden: Vec<String>,
}

impl Env<'_> {
    /// The variables that exist, for messages.
    pub(crate) fn variables(&self) -> Vec<&str> {
        let mut names = vec!["input", "now"];
        names.extend(self.lookups.iter().map(|lookup| lookup.name.as_str()));
        names.extend(self.output.then_some("output"));
        names.extend(self.band.then_some("band"));
        names.extend(self.decision.then_some("decision"));
        names
    }
}

/// One thing wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprFinding {
    /// Where in the source: offset in bytes.
    pub offset: usize,
    /// Stable code (snake_case).
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// What is allowed instead, when it can be told.
    pub allowed: Option<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

/// A compiled, checked expression.
#[derive(Clone, Debug)]
pub struct Program {
    source: String,
    code: Code,
}

/// A program with what the checker knows of its result.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The program.
    pub program: Program,
    /// Type of its result.
    pub ty: Ty,
    /// Whether the result can be null.
    pub nullable: bool,
    /// Names of the input fields it reads.
    pub fields: BTreeSet<String>,
}

impl Program {
    /// Parses, checks and compiles.
    ///
    /// # Errors
    /// Everything that is wrong with the expression: syntax, unknown names, wrong types, possible nulls.
    pub fn compile(source: &str, env: &Env<'_>) -> std::result::Result<Compiled, Vec<ExprFinding>> {
        let parsed = Parsed::new(source)?;
        Self::compile_parsed(&parsed, env)
    }

    /// As [`Program::compile`], from a tree parsed before.
    ///
    /// # Errors
    /// Everything that is wrong with the expression, except its syntax.
    pub fn compile_parsed(parsed: &Parsed, env: &Env<'_>) -> std::result::Result<Compiled, Vec<ExprFinding>> {
        let checked = check::check(parsed, env)?;
        let program = Self { source: parsed.source().to_owned(), code: checked.code };
        Ok(Compiled { program, ty: checked.ty, nullable: checked.nullable, fields: parsed.fields() })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The value, when it is the same for every scope.
    pub fn constant(&self) -> Option<Value> {
        match &self.code {
            Code::Const(value) => value.to_value().ok(),
            _ => None,
        }
    }

    /// Evaluates. Pure and deterministic: the same scope gives the same bits.
    ///
    /// # Errors
    /// `Invalid` when the values at hand have no result (division by zero, overflow).
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value> {
        if let Code::Field(field) = &self.code {
            return Ok(scope.input.values.get(field.position).cloned().unwrap_or_default());
        }
        let value = self.code.eval(scope).and_then(|value| value.to_value());
        value.map_err(|fault| self.error(fault))
    }

    /// Evaluates a condition: an error is an error, null is false.
    ///
    /// # Errors
    /// As [`Program::eval`].
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool> {
        match self.code.eval(scope) {
            Ok(value) => Ok(matches!(value, value::V::Bool(true))),
            Err(fault) => Err(self.error(fault)),
        }
    }

    fn error(&self, fault: value::Fault) -> Error {
        Error::new(ErrorKind::Invalid, fault.code(), fault.message())
            .with("expression", &self.source)
            .hint("guard the expression against these values, or refuse them by a quality rule")
    }
}
