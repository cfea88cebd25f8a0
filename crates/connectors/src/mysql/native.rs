//! The types of columns: which can be used, how their values are kept, compared and told apart.

use tendon_kernel::Type;

use crate::sql::{REFUSED, table::Column};

/// A type as the catalog writes it: `decimal(10,2) unsigned`, its numbers, and for texts their character set and collation.
pub(super) struct Native<'a> {
    pub(super) base: &'a str,
    numbers: Vec<&'a str>,
    pub(super) unsigned: bool,
    pub(super) text: Option<(&'a str, &'a str)>,
}

impl<'a> Native<'a> {
    pub(super) fn of(column: &'a Column) -> Self {
        let (native, text) = match column.native.split_once(" COLLATE ") {
            Some((rest, collation)) => {
                let (native, set) = rest.split_once(" CHARSET ").unwrap_or((rest, "utf8mb4"));
                (native, Some((set, collation)))
            }
            None => (column.native.as_str(), None),
        };
        let base = native.split(['(', ' ']).next().unwrap_or_default();
        let numbers = native.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inner, _)| inner);
        Self { base, numbers: numbers.split(',').collect(), unsigned: native.contains(" unsigned"), text }
    }

    /// Digits behind the point, or of a second.
    fn digits(&self) -> Option<u32> {
        let times = ["datetime", "timestamp"].contains(&self.base);
        let found = if times { self.numbers.first() } else { self.numbers.get(1) };
        found.and_then(|digits| digits.parse().ok()).or(times.then_some(0))
    }

    /// A parameter in the form in which the column would keep it. A decimal that the column has no room for stays as it is.
    pub(super) fn kept(&self) -> String {
        let digits = self.digits();
        match (self.base, digits) {
            ("decimal", Some(digits)) => format!("ROUND(CAST(? AS DECIMAL(65,{})), {digits})", digits.max(30)),
            ("float", Some(digits)) => format!("CAST(ROUND(? + 0e0, {digits}) AS FLOAT) + 0e0"),
            ("float", None) => "CAST(? AS FLOAT) + 0e0".to_owned(),
            ("double", Some(digits)) => format!("ROUND(? + 0e0, {digits})"),
            ("datetime" | "timestamp", Some(digits)) => format!("CAST(? AS DATETIME({digits}))"),
            ("date", _) => "CAST(? AS DATE)".to_owned(),
            ("char", _) => "TRIM(TRAILING ' ' FROM ?)".to_owned(),
            ("json", _) => "CAST(? AS JSON)".to_owned(),
            ("uuid", _) => "CAST(? AS UUID)".to_owned(),
            ("bit", _) => "CAST(? AS UNSIGNED)".to_owned(),
            _ => "?".to_owned(),
        }
    }
}

/// A column that can be used.
pub(super) fn typed(
    name: String,
    kind: Type,
    base: &str,
    native: String,
    (required, generated): (bool, bool),
    (set, collation): (&str, &str),
) -> Column {
    let values = if base == "enum" { listed(&native) } else { Vec::new() };
    // An enum's order is that of its list, not of its texts.
    let exact = !["json", "enum", "float"].contains(&base);
    let native = match base {
        _ if set.is_empty() => native,
        "enum" => format!("enum CHARSET {set} COLLATE {collation}"),
        _ => format!("{native} CHARSET {set} COLLATE {collation}"),
    };
    let ahead = (base == "datetime").then_some(0);
    let (max_length, nul) = (None, kind == Type::Text);
    let mut column =
        Column { name, kind, native, rounds: false, required, generated, values, max_length, exact, nul, ahead };
    let native = Native::of(&column);
    let fine = ["datetime", "timestamp"].contains(&base) && native.digits() == Some(6);
    column.rounds = !fine && !["?", "CAST(? AS UNSIGNED)"].contains(&native.kept().as_str());
    column
}

/// The texts of an enum, from its type.
fn listed(native: &str) -> Vec<String> {
    let (mut found, mut inside) = (Vec::new(), false);
    let mut rest = native.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, inside) {
            ('\'', false) => (inside, _) = (true, found.push(String::new())),
            ('\'', true) if rest.peek() != Some(&'\'') => inside = false,
            (_, false) => {}
            (c, true) => {
                let escaped = if c == '\\' || c == '\'' { rest.next().unwrap_or(c) } else { c };
                let meant = match (c, escaped) {
                    ('\\', 'n') => '\n',
                    ('\\', 'r') => '\r',
                    ('\\', '0') => '\0',
                    (_, other) => other,
                };
                found.last_mut().map(|text: &mut String| text.push(meant)).unwrap_or_default();
            }
        }
    }
    found
}

/// The kernel's type, or why there is none.
pub(super) fn kind(base: &str, native: &str) -> Result<Type, String> {
    Ok(match base {
        "tinyint" if native == "tinyint(1)" => Type::Bool,
        "bit" if native == "bit(1)" => Type::Bool,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit" => Type::Int,
        "decimal" | "float" | "double" => Type::Float,
        "datetime" | "timestamp" | "date" => Type::Time,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "json" | "uuid" | "inet4"
        | "inet6" => Type::Text,
        _ => return Err(format!("{native}: {}", REFUSED)),
    })
}
