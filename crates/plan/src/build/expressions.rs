//! Compiling the expressions of an integration, with their findings at the right place of the file.

use tendon_kernel::{Type, schema::Field};

use super::Work;
use crate::{
    expr::{Compiled, Env, Program, Ty},
    finding::{Finding, plain},
    raw::Cel,
    yaml::At,
};

impl Work<'_> {
    /// Compiles; what is wrong becomes findings.
    pub(super) fn compile(&mut self, cel: &At<Cel>, env: &Env<'_>) -> Option<Compiled> {
        match Program::compile(cel.text(), env) {
            Ok(compiled) => Some(compiled),
            Err(findings) => {
                for found in findings {
                    let mut finding =
                        Finding::error(&self.findings.file, cel.inside(found.offset), found.code, found.message);
                    finding.allowed = found.allowed;
                    finding.suggestion = found.suggestion;
                    self.findings.list.push(finding);
                }
                None
            }
        }
    }

    /// Compiles a condition: a bool that is never null.
    pub(super) fn condition(&mut self, cel: &At<Cel>, env: &Env<'_>) -> Option<Program> {
        let compiled = self.compile(cel, env)?;
        if compiled.ty != Ty::Bool {
            let message = format!("the condition is a {}, not a bool", compiled.ty);
            self.findings.add(cel.mark, "not_a_condition", message, |finding| {
                finding.allow("an expression that is true or false")
            });
            return None;
        }
        if compiled.nullable {
            let suggestion = Some(format!("{} == true", cel.text()));
            self.findings
                .add(cel.mark, "possible_null", "the condition can be null", |finding| finding.suggest(suggestion));
            return None;
        }
        Some(compiled.program)
    }

    /// Compiles an expression whose result a field takes.
    pub(super) fn value_for(&mut self, cel: &At<Cel>, env: &Env<'_>, field: &Field) -> Option<Program> {
        let compiled = self.compile(cel, env)?;
        let fits = match compiled.ty.kind() {
            Some(kind) => kind == field.kind || (kind == Type::Int && field.kind == Type::Float),
            None => compiled.ty == Ty::Null,
        };
        if !fits {
            let message = format!("{} is a {}, the expression gives a {}", field.name, field.kind, compiled.ty);
            let suggestion = conversion(&compiled.ty, field.kind, cel.text());
            self.findings.add(cel.mark, "wrong_type", message, |finding| finding.suggest(suggestion));
            return None;
        }
        if compiled.nullable && field.required {
            let message = format!("{} takes no null, and the expression can be null", field.name);
            self.findings.add(cel.mark, "possible_null", message, plain);
            return None;
        }
        Some(compiled.program)
    }
}

/// How a result could be turned into another type.
pub(super) fn conversion(from: &Ty, to: Type, text: &str) -> Option<String> {
    match (from, to) {
        (Ty::Duration, _) => Some(format!("days({text})")),
        (Ty::Bool | Ty::Int | Ty::Double | Ty::Timestamp, Type::Text) => Some(format!("string({text})")),
        (Ty::Double, Type::Int) => Some(format!("int({text})")),
        (Ty::Timestamp, Type::Int) => Some(format!("int({text}) for seconds since 1970")),
        _ => None,
    }
}
