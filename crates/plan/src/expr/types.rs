//! Types of expressions.

use std::fmt;

use tendon_kernel::Type;

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ty {
    /// The literal `null`.
    Null,
    /// true or false.
    Bool,
    /// 64-bit integer.
    Int,
    /// 64-bit float.
    Double,
    /// Text.
    String,
    /// Point in time.
    Timestamp,
    /// Length of time.
    Duration,
    /// List; `None`: empty list of anything.
    List(Option<Box<Ty>>),
    /// Unknown after an error: fits everything, so that one mistake is reported once.
    Unknown,
}

impl Ty {
    /// The type of a field.
    pub fn of(kind: Type) -> Self {
        match kind {
            Type::Bool => Self::Bool,
            Type::Int => Self::Int,
            Type::Float => Self::Double,
            Type::Text => Self::String,
            Type::Time => Self::Timestamp,
        }
    }

    /// The type a record's field could hold it in; `None` for null, durations and lists.
    pub fn kind(&self) -> Option<Type> {
        Some(match self {
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Double => Type::Float,
            Self::String => Type::Text,
            Self::Timestamp => Type::Time,
            Self::Null | Self::Duration | Self::List(_) | Self::Unknown => return None,
        })
    }

    /// Whether it is an int or a double.
    pub fn numeric(&self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Unknown)
    }

    /// The common type of two, if there is one.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Unknown, other) | (other, Self::Unknown) => Some(other.clone()),
            (Self::List(None), Self::List(item)) | (Self::List(item), Self::List(None)) => {
                Some(Self::List(item.clone()))
            }
            (Self::List(Some(a)), Self::List(Some(b))) => a.join(b).map(|item| Self::List(Some(Box::new(item)))),
            (a, b) => (a == b).then(|| a.clone()),
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null_type"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(Some(item)) => write!(f, "list({item})"),
            Self::List(None) => f.write_str("list()"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
