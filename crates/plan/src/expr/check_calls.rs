//! The checker's second half: binary operators and functions.

use std::sync::Arc;

use cel::common::ast::{CallExpr, IdedExpr};

use super::{
    check::{Checked, Checker, Present},
    code::Code,
    functions::{FUNCTIONS, Style},
    operators::Operator,
    types::Ty,
    value::V,
};
use crate::nearest::nearest;

impl Checker<'_> {
    pub(super) fn binary(
        &mut self,
        node: &IdedExpr,
        operator: Operator,
        left: &IdedExpr,
        right: &IdedExpr,
        present: &Present,
    ) -> Checked {
        if matches!(operator, Operator::Equal | Operator::NotEqual) {
            return self.equality(node, operator, left, right, present);
        }
        let a = self.value(left, present, operator.symbol());
        let b = self.value(right, present, operator.symbol());
        let Some(ty) = result(operator, &a.ty, &b.ty) else {
            let (allowed, suggestion) = advice(operator, &a, &b);
            self.wrong_operands(node, operator.symbol(), &[&a.ty, &b.ty], allowed, suggestion);
            return self.nothing();
        };
        Checked::new(Code::Binary(operator, Box::new((a.code, b.code))), ty)
    }

    /// `==` and `!=`: both sides may be null; comparing a field with null tells whether it is present.
    fn equality(
        &mut self,
        node: &IdedExpr,
        operator: Operator,
        left: &IdedExpr,
        right: &IdedExpr,
        present: &Present,
    ) -> Checked {
        let (a, b) = (self.node(left, present), self.node(right, present));
        let null = |side: &Checked| side.ty == Ty::Null;
        if null(&a) != null(&b) {
            let (side, at) = if null(&a) { (&b, right) } else { (&a, left) };
            let known = matches!(&side.code, Code::Field(field) if present.contains(&field.position));
            if !side.nullable && !known && !matches!(side.ty, Ty::Unknown | Ty::Timestamp | Ty::Duration) {
                let message = format!("this {} is never null: the comparison decides nothing", side.ty);
                self.report(at, "never_null", message, None, Some("leave the comparison out".to_owned()));
            }
        } else if a.ty.join(&b.ty).is_none() {
            let (allowed, suggestion) = advice(operator, &a, &b);
            self.wrong_operands(node, operator.symbol(), &[&a.ty, &b.ty], allowed, suggestion);
            return self.nothing();
        }
        let field = match (&a.code, &b.code) {
            (Code::Field(field), Code::Const(V::Null)) | (Code::Const(V::Null), Code::Field(field)) => {
                Some(field.position)
            }
            _ => None,
        };
        // Equal to something that is there means being there.
        let both: Vec<usize> = match (&a.code, &b.code) {
            _ if null(&a) || null(&b) => Vec::new(),
            (Code::Field(x), Code::Field(y)) if !a.nullable || !b.nullable => vec![x.position, y.position],
            (Code::Field(field), _) if !b.nullable => vec![field.position],
            (_, Code::Field(field)) if !a.nullable => vec![field.position],
            _ => Vec::new(),
        };
        let mut checked = Checked::new(Code::Binary(operator, Box::new((a.code, b.code))), Ty::Bool);
        let equal = operator == Operator::Equal;
        let (when_equal, when_not) = if equal {
            (&mut checked.when_true, &mut checked.when_false)
        } else {
            (&mut checked.when_false, &mut checked.when_true)
        };
        when_equal.extend(both);
        when_not.extend(field);
        checked
    }

    pub(super) fn function(&mut self, node: &IdedExpr, call: &CallExpr, present: &Present) -> Checked {
        let name = call.func_name.as_str();
        let mut arguments = Vec::new();
        for part in call.target.iter().map(|target| &**target).chain(&call.args) {
            arguments.push(self.value(part, present, &format!("{name}()")));
        }
        if name == "matches" && arguments.len() == 2 {
            return self.matches(node, call, arguments);
        }
        let method = call.target.is_some();
        let found = FUNCTIONS
            .iter()
            .find(|(known, _, style)| *known == name && (*style == Style::Both || (*style == Style::Method) == method));
        let Some((_, function, _)) = found else {
            self.unknown_function(node, name, method);
            return self.nothing();
        };
        let types: Vec<Ty> = arguments.iter().map(|argument| argument.ty.clone()).collect();
        match function.check(&types) {
            Ok(ty) => Checked::new(Code::Call(*function, arguments.into_iter().map(|arg| arg.code).collect()), ty),
            Err(allowed) => {
                let types: Vec<&Ty> = types.iter().collect();
                self.wrong_operands(node, &format!("{name}()"), &types, allowed, None);
                self.nothing()
            }
        }
    }

    fn unknown_function(&mut self, node: &IdedExpr, name: &str, method: bool) {
        let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _, _)| *name).chain(["has", "matches"]).collect();
        let other = FUNCTIONS.iter().find(|(known, _, _)| *known == name);
        let (message, suggestion) = match other {
            Some(_) if method => (format!("{name} is not called on a value"), Some(format!("{name}(value)"))),
            Some(_) => (format!("{name} is called on a value"), Some(format!("value.{name}(…)"))),
            None => (
                format!("unknown function {name}"),
                nearest(name, names.iter().copied()).map(|name| format!("{name}()")),
            ),
        };
        self.report(node, "unknown_function", message, Some(names.join(", ")), suggestion);
    }

    fn matches(&mut self, node: &IdedExpr, call: &CallExpr, arguments: Vec<Checked>) -> Checked {
        let mut arguments = arguments.into_iter();
        let (Some(text), Some(pattern)) = (arguments.next(), arguments.next()) else { return self.nothing() };
        if text.ty.join(&Ty::String).is_none() || pattern.ty.join(&Ty::String).is_none() {
            self.wrong_operands(node, "matches()", &[&text.ty, &pattern.ty], "string.matches(string)", None);
            return self.nothing();
        }
        let at = call.args.last().unwrap_or(node);
        let Code::Const(V::Owned(source)) = &pattern.code else {
            let message = "the pattern of matches() must be a literal: it is compiled once".to_owned();
            self.report(at, "expression_unsupported", message, None, None);
            return self.nothing();
        };
        match regex::RegexBuilder::new(source).size_limit(1 << 20).build() {
            Ok(regex) => Checked::new(Code::Matches(Box::new(text.code), Arc::new(regex)), Ty::Bool),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.report(at, "bad_pattern", format!("the pattern cannot be read: {reason}"), None, None);
                self.nothing()
            }
        }
    }
}

/// The type of `a operator b`; `None` when they do not go together.
fn result(operator: Operator, a: &Ty, b: &Ty) -> Option<Ty> {
    use Operator as O;
    if matches!(operator, O::Less | O::LessEqual | O::Greater | O::GreaterEqual) {
        let ordered = |ty: &Ty| !matches!(ty, Ty::Null | Ty::List(_));
        let fits = (a.numeric() && b.numeric()) || (a.join(b).is_some() && ordered(a) && ordered(b));
        return fits.then_some(Ty::Bool);
    }
    match (operator, a, b) {
        (O::In, item, Ty::List(Some(of))) => item.join(of).map(|_| Ty::Bool),
        (O::In, _, Ty::List(None) | Ty::Unknown) => Some(Ty::Bool),
        (O::In, _, _) => None,
        (O::Index, Ty::List(item), Ty::Int | Ty::Unknown) => Some(item.as_deref().cloned().unwrap_or(Ty::Unknown)),
        (O::Index, _, _) => None,
        (_, Ty::Unknown, _) | (_, _, Ty::Unknown) => Some(Ty::Unknown),
        (O::Modulo, Ty::Int, Ty::Int) => Some(Ty::Int),
        (O::Modulo, _, _) => None,
        (_, Ty::Int, Ty::Int) => Some(Ty::Int),
        (_, Ty::Double, Ty::Double) => Some(Ty::Double),
        (O::Add, Ty::String, Ty::String) => Some(Ty::String),
        (O::Add, Ty::List(_), Ty::List(_)) => a.join(b),
        (O::Subtract, Ty::Timestamp, Ty::Timestamp) => Some(Ty::Duration),
        (O::Add | O::Subtract, Ty::Timestamp, Ty::Duration) | (O::Add, Ty::Duration, Ty::Timestamp) => {
            Some(Ty::Timestamp)
        }
        (O::Add | O::Subtract, Ty::Duration, Ty::Duration) => Some(Ty::Duration),
        _ => None,
    }
}

/// What would be allowed, and what was probably meant.
fn advice(operator: Operator, a: &Checked, b: &Checked) -> (&'static str, Option<String>) {
    let allowed = match operator {
        Operator::In => "value in [values of its type]",
        Operator::Index => "list[int]",
        Operator::Modulo => "int % int",
        Operator::Add => "two ints, two doubles, two strings, or a time and a duration",
        Operator::Subtract => "two ints, two doubles, two times, or a time and a duration",
        Operator::Multiply | Operator::Divide => "two ints or two doubles",
        _ => "two values of one type",
    };
    let suggestion = match (&a.ty, &b.ty) {
        (Ty::Int, Ty::Double) => Some((a, "left")),
        (Ty::Double, Ty::Int) => Some((b, "right")),
        _ => None,
    };
    let suggestion = suggestion.map(|(int, side)| match &int.code {
        Code::Const(V::Int(value)) => format!("{value}.0"),
        _ => format!("double(…) around the {side} side"),
    });
    let text = match (&a.ty, &b.ty) {
        (Ty::Timestamp, Ty::String) | (Ty::String, Ty::Timestamp) => {
            Some("timestamp(\"…\") around the text".to_owned())
        }
        (Ty::Duration, Ty::Int | Ty::Double) | (Ty::Int | Ty::Double, Ty::Duration) => {
            Some("days(…) around the duration".to_owned())
        }
        _ => None,
    };
    (allowed, suggestion.or(text))
}
