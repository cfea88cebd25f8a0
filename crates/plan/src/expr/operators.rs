//! Operators over values. Integers are checked, as in cel-go: leaving 64 bits is an error, never a wrap.

use std::cmp::Ordering;

use tendon_kernel::Timestamp;

use super::value::{Fault, Outcome, V, as_double};

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Index,
}

/// Microseconds that a CEL duration may span: cel-go counts nanoseconds in 64 bits.
const LONGEST_MICROS: i64 = i64::MAX / 1000;

impl Operator {
    /// The operator that the parser names so.
    pub(crate) fn of(name: &str) -> Option<Self> {
        use cel::common::ast::operators as names;
        Some(match name {
            names::ADD => Self::Add,
            names::SUBSTRACT => Self::Subtract,
            names::MULTIPLY => Self::Multiply,
            names::DIVIDE => Self::Divide,
            names::MODULO => Self::Modulo,
            names::EQUALS => Self::Equal,
            names::NOT_EQUALS => Self::NotEqual,
            names::LESS => Self::Less,
            names::LESS_EQUALS => Self::LessEqual,
            names::GREATER => Self::Greater,
            names::GREATER_EQUALS => Self::GreaterEqual,
            names::IN => Self::In,
            names::INDEX => Self::Index,
            _ => return None,
        })
    }

    /// How it is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Index => "[]",
        }
    }

    /// Computes.
    pub(crate) fn apply<'a>(self, left: &V<'a>, right: &V<'a>) -> Outcome<'a> {
        match self {
            Self::Equal => Ok(V::Bool(left.equals(right))),
            Self::NotEqual => Ok(V::Bool(!left.equals(right))),
            Self::Less => compare(left, right).map(|order| V::Bool(order == Ordering::Less)),
            Self::LessEqual => compare(left, right).map(|order| V::Bool(order != Ordering::Greater)),
            Self::Greater => compare(left, right).map(|order| V::Bool(order == Ordering::Greater)),
            Self::GreaterEqual => compare(left, right).map(|order| V::Bool(order != Ordering::Less)),
            Self::In => {
                right.items().map(|items| V::Bool(items.iter().any(|item| item.equals(left)))).ok_or(Fault::Null)
            }
            Self::Index => index(left, right),
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Modulo => self.arithmetic(left, right),
        }
    }

    fn arithmetic<'a>(self, left: &V<'a>, right: &V<'a>) -> Outcome<'a> {
        match (left, right) {
            (V::Null, _) | (_, V::Null) => Err(Fault::Null),
            (V::Int(a), V::Int(b)) => self.int(*a, *b).map(V::Int),
            (V::Double(a), V::Double(b)) => self.double(*a, *b).map(V::Double),
            (V::Time(a), V::Time(b)) if self == Self::Subtract => span(a.0.checked_sub(b.0)),
            (V::Time(a), V::Duration(b)) => self.moment(*a, *b),
            (V::Duration(a), V::Time(b)) if self == Self::Add => self.moment(*b, *a),
            (V::Duration(a), V::Duration(b)) => match self {
                Self::Add => span(a.checked_add(*b)),
                Self::Subtract => span(a.checked_sub(*b)),
                _ => Err(Fault::Unusable),
            },
            _ => self.join(left, right),
        }
    }

    fn int(self, a: i64, b: i64) -> Result<i64, Fault> {
        let result = match self {
            Self::Add => a.checked_add(b),
            Self::Subtract => a.checked_sub(b),
            Self::Multiply => a.checked_mul(b),
            Self::Divide | Self::Modulo if b == 0 => return Err(Fault::DivisionByZero),
            Self::Divide => a.checked_div(b),
            Self::Modulo => a.checked_rem(b),
            _ => return Err(Fault::Unusable),
        };
        result.ok_or(Fault::Overflow)
    }

    fn double(self, a: f64, b: f64) -> Result<f64, Fault> {
        Ok(match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            _ => return Err(Fault::Unusable),
        })
    }

    fn moment<'a>(self, time: Timestamp, duration: i64) -> Outcome<'a> {
        let moment = match self {
            Self::Add => time.0.checked_add(duration),
            Self::Subtract => time.0.checked_sub(duration),
            _ => return Err(Fault::Unusable),
        };
        moment.and_then(super::text::in_range).map(V::Time).ok_or(Fault::Overflow)
    }

    fn join<'a>(self, left: &V<'a>, right: &V<'a>) -> Outcome<'a> {
        if self != Self::Add {
            return Err(Fault::Unusable);
        }
        if let (Some(a), Some(b)) = (left.text(), right.text()) {
            return Ok(V::Owned([a, b].concat().into()));
        }
        match (left.items(), right.items()) {
            (Some(a), Some(b)) => Ok(V::Items([a, b].concat())),
            _ => Err(Fault::Unusable),
        }
    }
}

fn span<'a>(micros: Option<i64>) -> Outcome<'a> {
    let micros = micros.filter(|micros| (-LONGEST_MICROS..=LONGEST_MICROS).contains(micros));
    micros.map(V::Duration).ok_or(Fault::Overflow)
}

fn index<'a>(list: &V<'a>, at: &V<'a>) -> Outcome<'a> {
    let (Some(items), V::Int(at)) = (list.items(), at) else {
        return Err(Fault::Unusable);
    };
    let item = usize::try_from(*at).ok().and_then(|at| items.get(at));
    item.cloned().ok_or(Fault::OutOfBounds)
}

/// `-value`.
pub(crate) fn negate<'a>(value: &V<'_>) -> Outcome<'a> {
    match value {
        V::Int(value) => value.checked_neg().map(V::Int).ok_or(Fault::Overflow),
        V::Double(value) => Ok(V::Double(-value)),
        V::Null => Err(Fault::Null),
        _ => Err(Fault::Unusable),
    }
}

fn compare(left: &V<'_>, right: &V<'_>) -> Result<Ordering, Fault> {
    match (left, right) {
        (V::Null, _) | (_, V::Null) => Err(Fault::Null),
        (V::Bool(a), V::Bool(b)) => Ok(a.cmp(b)),
        (V::Int(a), V::Int(b)) | (V::Duration(a), V::Duration(b)) => Ok(a.cmp(b)),
        (V::Double(a), V::Double(b)) => a.partial_cmp(b).ok_or(Fault::NotOrdered),
        (V::Int(a), V::Double(b)) => as_double(*a).partial_cmp(b).ok_or(Fault::NotOrdered),
        (V::Double(a), V::Int(b)) => a.partial_cmp(&as_double(*b)).ok_or(Fault::NotOrdered),
        (V::Time(a), V::Time(b)) => Ok(a.cmp(b)),
        _ => match (left.text(), right.text()) {
            (Some(a), Some(b)) => Ok(a.cmp(b)),
            _ => Err(Fault::Unusable),
        },
    }
}
