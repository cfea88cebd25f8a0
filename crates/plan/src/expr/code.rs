//! Compiled expressions: a small tree with positions instead of names, evaluated without allocation for most expressions.

use std::sync::Arc;

use tendon_kernel::Value;

use super::{
    Scope,
    functions::Function,
    operators::{self, Operator},
    value::{Fault, Outcome, V},
};

/// A field by its position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldAt {
    pub(crate) position: usize,
    /// An int is read as a double (a source may send `3` for a float field).
    pub(crate) double: bool,
}

/// One node.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    Const(V<'static>),
    Field(FieldAt),
    Has(usize),
    Now,
    Output,
    Band,
    Decision,
    List(Vec<Code>),
    Not(Box<Code>),
    Negate(Box<Code>),
    And(Box<(Code, Code)>),
    Or(Box<(Code, Code)>),
    If(Box<(Code, Code, Code)>),
    Binary(Operator, Box<(Code, Code)>),
    Call(Function, Vec<Code>),
    Matches(Box<Code>, Arc<regex::Regex>),
}

impl Code {
    /// Evaluates.
    pub(crate) fn eval<'a>(&'a self, scope: &Scope<'a>) -> Outcome<'a> {
        match self {
            Self::Const(value) => Ok(value.borrow()),
            Self::Field(field) => Ok(field.read(scope)),
            Self::Has(position) => Ok(V::Bool(scope.input.values.get(*position).is_some_and(|value| !value.is_null()))),
            Self::Now => Ok(V::Time(scope.now)),
            Self::Output => Ok(scope.output.map_or(V::Null, V::Double)),
            Self::Band => Ok(scope.band.map_or(V::Null, V::Text)),
            Self::Decision => Ok(scope.decision.map_or(V::Null, V::Text)),
            Self::List(items) => Ok(V::Items(items.iter().map(|item| item.eval(scope)).collect::<Result<_, _>>()?)),
            Self::Not(inner) => inner.truth(scope).map(|value| V::Bool(!value)),
            Self::Negate(inner) => operators::negate(&inner.eval(scope)?),
            Self::And(pair) => both(&pair.0, &pair.1, scope, false),
            Self::Or(pair) => both(&pair.0, &pair.1, scope, true),
            Self::If(parts) => if parts.0.truth(scope)? { &parts.1 } else { &parts.2 }.eval(scope),
            Self::Binary(operator, pair) => operator.apply(&pair.0.eval(scope)?, &pair.1.eval(scope)?),
            Self::Call(function, arguments) => match arguments.as_slice() {
                [one] => function.apply(&one.eval(scope)?, &V::Null),
                [one, two] => function.apply(&one.eval(scope)?, &two.eval(scope)?),
                _ => Err(Fault::Unusable),
            },
            Self::Matches(text, pattern) => {
                let text = text.eval(scope)?;
                text.text().map(|text| V::Bool(pattern.is_match(text))).ok_or(Fault::Null)
            }
        }
    }

    fn truth(&self, scope: &Scope<'_>) -> Result<bool, Fault> {
        match self.eval(scope)? {
            V::Bool(value) => Ok(value),
            V::Null => Err(Fault::Null),
            _ => Err(Fault::Unusable),
        }
    }
}

/// `&&` and `||`: one side that decides wins over an error of the other side, in either order, as CEL defines.
fn both<'a>(left: &Code, right: &Code, scope: &Scope<'a>, decisive: bool) -> Outcome<'a> {
    let left = left.truth(scope);
    if left == Ok(decisive) {
        return Ok(V::Bool(decisive));
    }
    let right = right.truth(scope)?;
    if right == decisive {
        return Ok(V::Bool(decisive));
    }
    left.map(V::Bool)
}

impl FieldAt {
    fn read<'a>(self, scope: &Scope<'a>) -> V<'a> {
        let value = scope.input.values.get(self.position).unwrap_or(&Value::Null);
        match value {
            Value::Int(value) if self.double => V::Double(super::value::as_double(*value)),
            value => V::of(value),
        }
    }
}
