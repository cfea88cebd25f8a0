//! What an operation may cost, known before anything is done: how deep it goes and how many fields its answer can have, with the
//! lists at their longest, through aliases and fragments. A fragment is looked at once, however often it is spread.

use std::collections::HashMap;

use apollo_compiler::{
    ExecutableDocument, Name,
    ast::Value,
    executable::{Field, Operation, Selection, SelectionSet},
    response::JsonMap,
    validation::Valid,
};
use tendon_kernel::{Error, ErrorKind, Result};

use crate::service::MOST_LISTED;

/// Levels of fields. The longest chain of types that tools ask for by introspection has 15.
const DEEPEST: u64 = 20;
/// Fields of the largest answer.
const MOST: u64 = 25_000;
/// Fields that describe the schema, in the largest answer, for each type that it has. What tools ask for has about half of them.
const MOST_DESCRIBED: u64 = 5_000;
/// What a decision costs in fields: a hundred of them fit.
const DECISION: u64 = 250;
/// What it costs to explain a decision again.
const EXPLANATION: u64 = 25;
/// What it costs to look up the deliveries of a decision.
const DELIVERIES: u64 = 10;
/// What it costs to read a row of a list, whatever is shown of it.
const ROW: u64 = 4;

/// Sums of a selection.
#[derive(Clone, Copy, Default)]
struct Sums {
    depth: u64,
    data: u64,
    described: u64,
}

/// Walks an operation.
struct Walk<'a> {
    document: &'a Valid<ExecutableDocument>,
    variables: &'a Valid<JsonMap>,
    /// Parts of the project (integrations, models, systems).
    parts: u64,
    /// Types of the schema.
    types: u64,
    fragments: HashMap<&'a Name, Sums>,
}

/// Judges an operation.
///
/// # Errors
/// `Invalid` when it goes too deep or could cost too much.
pub(super) fn judge(
    document: &Valid<ExecutableDocument>,
    operation: &Operation,
    variables: &Valid<JsonMap>,
    (parts, types): (usize, usize),
) -> Result<()> {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let (parts, types) = (count(parts).max(1), count(types));
    let mut walk = Walk { document, variables, parts, types, fragments: HashMap::new() };
    let sums = walk.set(&operation.selection_set);
    if sums.depth > DEEPEST {
        return Err(Error::new(ErrorKind::Invalid, "graphql_too_deep", "the operation goes deeper than allowed")
            .hint(format!("at most {DEEPEST} levels; it has {}", sums.depth)));
    }
    for (cost, most, what) in [
        (sums.data, MOST, "ask for shorter pages (`first`), fewer fields or fewer operations at once"),
        (
            sums.described,
            MOST_DESCRIBED.saturating_mul(types),
            "ask for less of the schema at once; GET /graphql?sdl gives all of it",
        ),
    ] {
        if cost > most {
            return Err(Error::new(
                ErrorKind::Invalid,
                "graphql_too_costly",
                "the operation could cost more than allowed",
            )
            .hint(format!("it could cost {cost} of at most {most}: {what}")));
        }
    }
    Ok(())
}

impl<'a> Walk<'a> {
    fn set(&mut self, set: &'a SelectionSet) -> Sums {
        let mut all = Sums::default();
        for selection in &set.selections {
            let sums = match selection {
                Selection::Field(field) => self.field(field, set.ty.starts_with("__")),
                Selection::InlineFragment(inline) => self.set(&inline.selection_set),
                Selection::FragmentSpread(spread) => self.fragment(&spread.fragment_name),
            };
            all.depth = all.depth.max(sums.depth);
            all.data = all.data.saturating_add(sums.data);
            all.described = all.described.saturating_add(sums.described);
        }
        all
    }

    fn fragment(&mut self, name: &'a Name) -> Sums {
        if let Some(sums) = self.fragments.get(name) {
            return *sums;
        }
        // A fragment that reaches itself was refused before.
        let sums =
            self.document.fragments.get(name).map(|fragment| self.set(&fragment.selection_set)).unwrap_or_default();
        self.fragments.insert(name, sums);
        sums
    }

    fn field(&mut self, field: &'a Field, describes: bool) -> Sums {
        let below = self.set(&field.selection_set);
        let (own, times) = self.weight(field);
        let describes = describes || field.name.starts_with("__");
        let sum = |below: u64, own: u64| own.saturating_add(times.saturating_mul(below));
        Sums {
            depth: below.depth.saturating_add(1),
            data: sum(below.data, if describes { 0 } else { own }),
            described: sum(below.described, if describes { own } else { 0 }),
        }
    }

    /// What a field costs itself, and how often what is below it can come.
    fn weight(&self, field: &Field) -> (u64, u64) {
        match field.name.as_str() {
            _ if field.ty().inner_named_type() == "Decided" => (DECISION, 1),
            "decisions" | "letters" => {
                let rows = self.rows(field);
                (rows.saturating_mul(ROW), rows)
            }
            "explanation" => (EXPLANATION, 1),
            "deliveries" => (DELIVERIES, 3),
            "reasons" => (1, 30),
            "integrations" | "models" | "systems" => (1, self.parts),
            "types" | "possibleTypes" => (1, self.types),
            "fields" | "inputFields" => (1, 12),
            "args" | "directives" | "enumValues" => (1, 5),
            "versions" => (1, 5),
            _ => (1, 1),
        }
    }

    /// Rows of the page that a list is asked for.
    fn rows(&self, field: &Field) -> u64 {
        let usual = 50;
        let given = match field.specified_argument_by_name("first").map(|value| value.as_ref()) {
            None => Some(usual),
            Some(Value::Variable(name)) => match self.variables.get(name.as_str()) {
                None => Some(usual),
                Some(value) => value.as_u64(),
            },
            Some(Value::Int(number)) => number.try_to_i32().ok().and_then(|number| u64::try_from(number).ok()),
            Some(_) => None,
        };
        // What is no page is refused when it is asked for.
        given.unwrap_or(1).min(u64::try_from(MOST_LISTED).unwrap_or(u64::MAX))
    }
}
