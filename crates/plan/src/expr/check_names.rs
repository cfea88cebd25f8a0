//! Names in the checker: variables, fields of the input and of looked-up rows, and what was probably meant.

use cel::common::ast::IdedExpr;

use super::{
    Looked,
    check::{Checked, Checker, Present, root},
    code::Code,
    types::Ty,
};
use crate::nearest::nearest;

impl Checker<'_> {
    pub(super) fn ident(&mut self, node: &IdedExpr, name: &str) -> Checked {
        let name = name.strip_prefix('.').unwrap_or(name);
        let (code, ty) = match name {
            "now" => (Code::Now, Ty::Timestamp),
            "output" if self.env.output => (Code::Output, Ty::Double),
            "band" if self.env.band => (Code::Band, Ty::String),
            "decision" if self.env.decision => (Code::Decision, Ty::String),
            "input" => {
                let message = "input is the whole record: name one of its fields".to_owned();
                self.report(node, "expression_unsupported", message, Some("input.<field>".to_owned()), None);
                return Checked::unknown();
            }
            _ if self.env.lookups.iter().any(|looked| looked.name == name) => {
                let message = format!("{name} is a whole looked-up row: name one of its fields");
                self.report(node, "expression_unsupported", message, Some(format!("{name}.<field>")), None);
                return Checked::unknown();
            }
            _ => {
                self.unknown_variable(node, name);
                return Checked::unknown();
            }
        };
        Checked::new(code, ty)
    }

    fn unknown_variable(&mut self, node: &IdedExpr, name: &str) {
        let variables = self.env.variables();
        let field = self.env.input.field(name).is_some() || self.env.others.iter().any(|other| other == name);
        let later =
            matches!(name, "output" | "band" | "decision") || self.env.later.iter().any(|lookup| lookup == name);
        let message = if name == "band" && self.env.output {
            "band does not exist: the integration has no bands".to_owned()
        } else if later {
            format!("{name} does not exist yet where this expression runs")
        } else {
            format!("unknown name {name}")
        };
        let suggestion = if field {
            Some(format!("input.{name}"))
        } else {
            nearest(name, variables.iter().copied()).filter(|_| !later).map(str::to_owned)
        };
        self.report(node, "unknown_variable", message, Some(variables.join(", ")), suggestion);
    }

    pub(super) fn select(
        &mut self,
        node: &IdedExpr,
        operand: &IdedExpr,
        field: &str,
        test: bool,
        present: &Present,
    ) -> Checked {
        let variable = root(operand).unwrap_or_default();
        if let Some(looked) = self.env.lookups.iter().find(|looked| looked.name == variable) {
            return self.looked_up(node, looked, field, test, present);
        }
        if variable != "input" {
            let inner = self.node(operand, present);
            if inner.ty != Ty::Unknown {
                let message = format!("a {} has no fields", inner.ty);
                self.report(node, "unknown_field", message, Some("input.<field>".to_owned()), None);
            }
            return Checked::unknown();
        }
        let Some(position) = self.env.input.position(field) else {
            self.unknown_field(node, field);
            return Checked::unknown();
        };
        let Some(info) = self.env.input.fields.get(position) else { return Checked::unknown() };
        let sure = info.required || self.env.filled.contains(field) || present.contains(&position);
        Checked::field(position, Ty::of(info.kind), test, sure)
    }

    fn looked_up(&mut self, node: &IdedExpr, looked: &Looked, field: &str, test: bool, present: &Present) -> Checked {
        let Some(at) = looked.fields.position(field) else {
            let known = looked.fields.fields.iter().map(|field| field.name.as_ref());
            let message = format!("the lookup {} has no field {field}", looked.name);
            self.no_field(node, &looked.name, field, message, known.collect(), &looked.others, &looked.hidden);
            return Checked::unknown();
        };
        let Some(info) = looked.fields.fields.get(at) else { return Checked::unknown() };
        let position = looked.first + at;
        Checked::field(position, Ty::of(info.kind), test, info.required || present.contains(&position))
    }

    fn unknown_field(&mut self, node: &IdedExpr, field: &str) {
        let known = self.env.input.fields.iter().map(|field| field.name.as_ref());
        let message = format!("the input has no field {field}");
        self.no_field(node, "input", field, message, known.collect(), self.env.others, self.env.hidden);
    }

    #[expect(clippy::too_many_arguments, reason = "the names of one row, as the input and the lookups keep them")]
    fn no_field(
        &mut self,
        node: &IdedExpr,
        row: &str,
        field: &str,
        message: String,
        known: Vec<&str>,
        others: &[String],
        hidden: &[String],
    ) {
        if hidden.iter().any(|hidden| hidden == field) {
            let message = format!("the field {field} exists, but is not listed under read");
            let suggestion = Some(format!("{field} added to the list under read"));
            self.report(node, "field_not_readable", message, None, suggestion);
            return;
        }
        let mut all: Vec<&str> = known.into_iter().chain(others.iter().map(String::as_str)).collect();
        all.sort_unstable();
        all.dedup();
        let suggestion = nearest(field, all.iter().copied()).map(|name| format!("{row}.{name}"));
        self.report(node, "unknown_field", message, Some(all.join(", ")), suggestion);
    }
}
