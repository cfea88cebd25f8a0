//! Constant folding: what depends on nothing is computed once, when the plan is made.

use std::sync::Arc;

use tendon_kernel::{Record, Timestamp, schema::Schema};

use super::{Scope, code::Code};

/// Replaces a node whose parts are all constant by its value; one that fails stays, and fails each time it is reached.
pub(crate) fn fold(code: Code) -> Code {
    let constant = |code: &Code| matches!(code, Code::Const(_));
    let ready = match &code {
        Code::List(items) => items.iter().all(constant),
        Code::Call(_, arguments) => arguments.iter().all(constant),
        Code::Not(inner) | Code::Negate(inner) | Code::Matches(inner, _) => constant(inner),
        Code::And(pair) | Code::Or(pair) | Code::Binary(_, pair) => constant(&pair.0) && constant(&pair.1),
        Code::If(parts) => constant(&parts.0) && constant(&parts.1) && constant(&parts.2),
        _ => false,
    };
    if !ready {
        return code;
    }
    let input = Record { schema: Arc::new(Schema::default()), values: Vec::new() };
    let scope = Scope { input: &input, now: Timestamp(0), output: None, band: None, decision: None };
    let value = code.eval(&scope).map(super::value::V::detach);
    value.map_or(code, Code::Const)
}
