//! The checker: types, names and nulls over the syntax tree, giving compiled code.
//!
//! Nulls are followed through the guards: inside `input.x != null && …`, the right of `has(input.x) ? … : …` and so on
//! the field counts as present. Elsewhere a nullable value may only be compared with null, put through or returned.

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators as names};

use super::{
    Env, ExprFinding,
    code::{Code, FieldAt},
    fold::fold,
    operators::Operator,
    parse::Parsed,
    types::Ty,
    value::V,
};

/// Positions of fields known to be present.
pub(super) type Present = BTreeSet<usize>;

/// A node after checking.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) code: Code,
    pub(super) ty: Ty,
    pub(super) nullable: bool,
    /// Fields that are present when it is true.
    pub(super) when_true: Present,
    /// Fields that are present when it is false.
    pub(super) when_false: Present,
}

impl Checked {
    pub(super) fn new(code: Code, ty: Ty) -> Self {
        Self { code: fold(code), ty, nullable: false, when_true: Present::new(), when_false: Present::new() }
    }

    pub(super) fn unknown() -> Self {
        Self::new(Code::List(Vec::new()), Ty::Unknown)
    }

    /// A field of the record, or whether it is there.
    pub(super) fn field(position: usize, ty: Ty, test: bool, sure: bool) -> Self {
        if test {
            let mut checked = Self::new(Code::Has(position), Ty::Bool);
            checked.when_true.insert(position);
            return checked;
        }
        let mut checked = Self::new(Code::Field(FieldAt { position, double: ty == Ty::Double }), ty);
        checked.nullable = !sure;
        if checked.ty == Ty::Bool {
            checked.when_true.insert(position);
        }
        checked
    }
}

/// Checks a parsed expression.
pub(super) fn check(parsed: &Parsed, env: &Env<'_>) -> Result<Checked, Vec<ExprFinding>> {
    let mut checker = Checker { parsed, env, findings: Vec::new() };
    let checked = checker.node(parsed.tree(), &Present::new());
    if checker.findings.is_empty() && matches!(checked.ty, Ty::Unknown) {
        checker.report(parsed.tree(), "expression_type", "the expression has no type".to_owned(), None, None);
    }
    if checker.findings.is_empty() { Ok(checked) } else { Err(checker.findings) }
}

/// The variable that a node is; `.input` is its name from the root.
pub(super) fn root(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Ident(name) => Some(name.strip_prefix('.').unwrap_or(name)),
        _ => None,
    }
}

pub(super) struct Checker<'a> {
    pub(super) parsed: &'a Parsed,
    pub(super) env: &'a Env<'a>,
    pub(super) findings: Vec<ExprFinding>,
}

impl Checker<'_> {
    pub(super) fn report(
        &mut self,
        at: &IdedExpr,
        code: &'static str,
        message: String,
        allowed: Option<String>,
        suggestion: Option<String>,
    ) {
        let offset = self.start(at);
        self.findings.push(ExprFinding { offset, code, message, allowed, suggestion });
    }

    fn refuse(&mut self, at: &IdedExpr, what: &str) -> Checked {
        let allowed =
            "field access, operators, ?:, lists and functions over bool, int, double, string, timestamp, duration";
        self.report(
            at,
            "expression_unsupported",
            format!("{what} cannot be used here"),
            Some(allowed.to_owned()),
            None,
        );
        Checked::unknown()
    }

    /// Where a node's text begins: operators stand at their sign, their first operand before it.
    fn start(&self, node: &IdedExpr) -> usize {
        let own = self.parsed.offset(node.id);
        match &node.expr {
            Expr::Select(select) => own.min(self.start(&select.operand)),
            Expr::Call(call) => {
                let parts = call.target.iter().map(|target| &**target).chain(call.args.first());
                parts.map(|part| self.start(part)).fold(own, usize::min)
            }
            _ => own,
        }
    }

    pub(super) fn node(&mut self, node: &IdedExpr, present: &Present) -> Checked {
        match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Ident(name) => self.ident(node, name),
            Expr::Select(select) => self.select(node, &select.operand, &select.field, select.test, present),
            Expr::List(list) => self.list(node, &list.elements, present),
            Expr::Call(call) => self.call(node, call, present),
            Expr::Map(_) => self.refuse(node, "a map"),
            Expr::Struct(_) => self.refuse(node, "a message"),
            Expr::Comprehension(_) => self.refuse(node, "a loop over a list (all, exists, map, filter)"),
            Expr::Unspecified => self.refuse(node, "this"),
        }
    }

    fn literal(&mut self, node: &IdedExpr, literal: &LiteralValue) -> Checked {
        let (value, ty) = match literal {
            LiteralValue::Boolean(value) => (V::Bool(*value.inner()), Ty::Bool),
            LiteralValue::Int(value) => (V::Int(*value.inner()), Ty::Int),
            LiteralValue::Double(value) => (V::Double(*value.inner()), Ty::Double),
            LiteralValue::String(text) => (V::Owned(text.inner().into()), Ty::String),
            LiteralValue::Null => (V::Null, Ty::Null),
            LiteralValue::UInt(_) => return self.refuse(node, "an unsigned number (write it without u)"),
            LiteralValue::Bytes(_) => return self.refuse(node, "bytes"),
        };
        let mut checked = Checked::new(Code::Const(value), ty);
        checked.nullable = checked.ty == Ty::Null;
        if let LiteralValue::Boolean(value) = literal {
            // The branch that cannot be reached knows everything.
            let behind = self.env.lookups.iter().map(|looked| looked.first + looked.fields.fields.len()).max();
            let all = (0..behind.unwrap_or(0).max(self.env.input.fields.len())).collect();
            *(if *value.inner() { &mut checked.when_false } else { &mut checked.when_true }) = all;
        }
        checked
    }

    fn list(&mut self, node: &IdedExpr, elements: &[IdedExpr], present: &Present) -> Checked {
        let mut item: Option<Ty> = None;
        let mut codes = Vec::new();
        for element in elements {
            let checked = self.value(element, present, "a list");
            let joined = item.as_ref().map_or(Some(checked.ty.clone()), |ty| ty.join(&checked.ty));
            if joined.is_none() {
                let (first, other) = (item.as_ref().map_or(String::new(), ToString::to_string), &checked.ty);
                let message = format!("the list mixes {first} and {other}");
                self.report(element, "wrong_type", message, Some("items of one type".to_owned()), None);
                return Checked::unknown();
            }
            item = joined;
            codes.push(checked.code);
        }
        if matches!(item, Some(Ty::Null)) {
            return self.refuse(node, "a list of nulls");
        }
        Checked::new(Code::List(codes), Ty::List(item.map(Box::new)))
    }

    /// A node whose value must be there.
    pub(super) fn value(&mut self, node: &IdedExpr, present: &Present, user: &str) -> Checked {
        let checked = self.node(node, present);
        if checked.nullable && checked.ty != Ty::Null {
            let text = self.text_of(node);
            let message = format!("{text} can be null, and {user} needs a value");
            let suggestion = match &checked.code {
                Code::Field(_) => Some(format!("{text} != null && … (or a default for the field)")),
                _ => Some("a guard with != null".to_owned()),
            };
            self.report(node, "possible_null", message, None, suggestion);
        }
        checked
    }

    fn text_of(&self, node: &IdedExpr) -> String {
        match &node.expr {
            Expr::Select(select) => format!("{}.{}", self.text_of(&select.operand), select.field),
            Expr::Ident(name) => name.clone(),
            _ => "the operand".to_owned(),
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr, present: &Present) -> Checked {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (names::LOGICAL_AND, [left, right]) => self.logic(left, right, true, present),
            (names::LOGICAL_OR, [left, right]) => self.logic(left, right, false, present),
            (names::LOGICAL_NOT, [inner]) => {
                let inner = self.condition(inner, present, "!");
                let mut checked = Checked::new(Code::Not(Box::new(inner.code)), Ty::Bool);
                (checked.when_true, checked.when_false) = (inner.when_false, inner.when_true);
                checked
            }
            (names::NEGATE, [inner]) => self.negate(inner, present),
            (names::CONDITIONAL, [test, yes, no]) => self.choice(node, [test, yes, no], present),
            (name, [left, right]) if call.target.is_none() && Operator::of(name).is_some() => {
                Operator::of(name).map_or_else(Checked::unknown, |op| self.binary(node, op, left, right, present))
            }
            _ => self.function(node, call, present),
        }
    }

    fn negate(&mut self, inner: &IdedExpr, present: &Present) -> Checked {
        let value = self.value(inner, present, "-");
        if !value.ty.numeric() {
            self.wrong_operands(inner, "-", &[&value.ty], "int, double", None);
            return Checked::unknown();
        }
        Checked::new(Code::Negate(Box::new(value.code)), value.ty)
    }

    /// A node that must be a bool.
    fn condition(&mut self, node: &IdedExpr, present: &Present, user: &str) -> Checked {
        let checked = self.value(node, present, user);
        if !matches!(checked.ty, Ty::Bool | Ty::Unknown) {
            let message = format!("{user} needs a bool, this is a {}", checked.ty);
            self.report(node, "wrong_type", message, Some("bool".to_owned()), None);
        }
        checked
    }

    fn logic(&mut self, left: &IdedExpr, right: &IdedExpr, and: bool, present: &Present) -> Checked {
        let user = if and { "&&" } else { "||" };
        let a = self.condition(left, present, user);
        let known = present | if and { &a.when_true } else { &a.when_false };
        let b = self.condition(right, &known, user);
        let pair = Box::new((a.code, b.code));
        let mut checked = Checked::new(if and { Code::And(pair) } else { Code::Or(pair) }, Ty::Bool);
        (checked.when_true, checked.when_false) = if and {
            (&a.when_true | &b.when_true, &a.when_false & &b.when_false)
        } else {
            (&a.when_true & &b.when_true, &a.when_false | &b.when_false)
        };
        checked
    }

    fn choice(&mut self, node: &IdedExpr, [test, yes, no]: [&IdedExpr; 3], present: &Present) -> Checked {
        let test = self.condition(test, present, "?:");
        let yes = self.node(yes, &(present | &test.when_true));
        let no = self.node(no, &(present | &test.when_false));
        let ty = match (&yes.ty, &no.ty) {
            (Ty::Null, other) | (other, Ty::Null) => Some(other.clone()),
            (a, b) => a.join(b),
        };
        let Some(ty) = ty else {
            let message = format!("the two ends of ?: differ: {} and {}", yes.ty, no.ty);
            let mixed = yes.ty.numeric() && no.ty.numeric();
            let suggestion = mixed.then(|| "double(…) around the int, or a literal with .0".to_owned());
            self.report(node, "wrong_type", message, Some("two values of one type".to_owned()), suggestion);
            return Checked::unknown();
        };
        let mut checked = Checked::new(Code::If(Box::new((test.code, yes.code, no.code))), ty);
        checked.nullable = yes.nullable || no.nullable;
        checked
    }

    /// Reports operand types that do not go together.
    pub(super) fn wrong_operands(
        &mut self,
        at: &IdedExpr,
        what: &str,
        types: &[&Ty],
        allowed: &str,
        suggestion: Option<String>,
    ) {
        if types.iter().any(|ty| **ty == Ty::Unknown) {
            return;
        }
        let list: Vec<String> = types.iter().map(ToString::to_string).collect();
        let message = format!("{what} cannot be applied to {}", list.join(" and "));
        self.report(at, "wrong_type", message, Some(allowed.to_owned()), suggestion);
    }

    pub(super) fn nothing(&self) -> Checked {
        Checked::unknown()
    }
}
