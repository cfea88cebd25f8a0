//! The schema, made from the plan: what is always there, and for each integration with a door `api` a mutation with an input type of
//! its own. Made once for each plan.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use apollo_compiler::{Schema, validation::Valid};
use arc_swap::ArcSwapOption;
use tendon_kernel::{Error, ErrorKind, Result, Type, Value, schema::Field};
use tendon_plan::{IntegrationPlan, Plan};

use super::names::Names;

/// What does not depend on the plan.
const BASE: &str = include_str!("base.graphql");

/// The schema of the plan in force.
#[derive(Default)]
pub struct Schemas(ArcSwapOption<Built>);

/// A schema and what its names mean.
pub(crate) struct Built {
    plan: Arc<str>,
    /// As its reader sees it.
    pub(crate) sdl: String,
    pub(super) schema: Valid<Schema>,
    /// The mutations that ask, by name.
    pub(super) mutations: BTreeMap<String, Mutation>,
    /// Integrations, models and systems of the project, whichever are most.
    pub(super) parts: usize,
}

/// A mutation that asks an integration.
pub(super) struct Mutation {
    pub(super) integration: Arc<str>,
    /// Each field's name here, its own, and its type.
    pub(super) fields: Vec<(String, Arc<str>, Type)>,
}

impl Schemas {
    /// The schema of a plan: the one at hand when it is the same plan's.
    ///
    /// # Errors
    /// `Internal` when what was made is no schema: a defect.
    pub(crate) fn of(&self, plan: &Plan) -> Result<Arc<Built>> {
        if let Some(built) = self.0.load_full().filter(|built| built.plan == plan.digest) {
            return Ok(built);
        }
        let built = Arc::new(Built::new(plan)?);
        self.0.store(Some(built.clone()));
        Ok(built)
    }
}

impl Built {
    fn new(plan: &Plan) -> Result<Self> {
        let mut sdl = BASE.to_owned();
        let mut mutations = BTreeMap::new();
        let mut names = Names::default();
        let mut asks = String::new();
        for one in plan.integrations.values().filter(|one| one.api.is_some()) {
            let name = names.words(&one.name);
            let input = if name.starts_with(|first: char| first.is_ascii_digit()) {
                format!("_{name}Input")
            } else {
                format!("{name}Input")
            };
            let fields = input_type(&mut sdl, &input, one);
            let about =
                format!("{} Asks `{}@{}`. Answerable: {}.", sentence(&one.purpose), one.model, one.alias, one.owner);
            let field = format!("decide{name}");
            let _ = write!(asks, "  {}\n  {field}(\n    input: {input}!\n{COMMON}  ): Decided\n", quoted(&about));
            mutations.insert(field, Mutation { integration: one.name.clone(), fields });
        }
        let _ = write!(sdl, "\n{MUTATION}{asks}}}\n");
        let schema = Schema::parse_and_validate(&sdl, "schema.graphql").map_err(|failed| {
            Error::new(ErrorKind::Internal, "graphql_schema", "the GraphQL schema of this project cannot be made")
                .private(failed.errors)
        })?;
        let parts = plan.integrations.len().max(plan.models.len()).max(plan.systems.len());
        Ok(Self { plan: plan.digest.clone(), sdl, schema, mutations, parts })
    }
}

/// Arguments of every mutation that asks.
const COMMON: &str = r#"    "The same key with the same input gives the stored answer; with another input, the error `idempotency_conflict`."
    idempotencyKey: String
    "Explain the decision as it is made."
    explain: Boolean! = false
"#;

const MUTATION: &str = r#""Each mutation that asks is one decision like any other: admitted, recorded, limited. An input that is refused is an error, and a recorded decision."
type Mutation {
  "Asks an integration by its name, for callers that know it only when they run. The mutations below check the input's form first."
  decide(
    integration: String!
    "The integration's fields by their own names."
    input: JSON!
    "The same key with the same input gives the stored answer; with another input, the error `idempotency_conflict`."
    idempotencyKey: String
    "Explain the decision as it is made."
    explain: Boolean! = false
  ): Decided
  "Puts a dead letter back to work. Needs the scope `operate`."
  retryLetter(id: ID!): Retried
"#;

/// Writes the input type of an integration.
fn input_type(sdl: &mut String, name: &str, one: &IntegrationPlan) -> Vec<(String, Arc<str>, Type)> {
    let _ = writeln!(sdl, "\n{}\ninput {name} {{", quoted(&format!("Input of `{}`.", one.name)));
    let mut names = Names::default();
    let mut fields = Vec::with_capacity(one.input.schema.fields.len());
    for (at, field) in one.input.schema.fields.iter().enumerate() {
        let default = one.input.defaults.iter().find(|(place, _)| *place == at).map(|(_, value)| value);
        let name = names.field(&field.name);
        let about = about(field, &name, default);
        if !about.is_empty() {
            let _ = writeln!(sdl, "  {}", quoted(&about));
        }
        let kind = match field.kind {
            Type::Bool => "Boolean",
            Type::Int => "Long",
            Type::Float => "Float",
            Type::Text => "String",
            Type::Time => "DateTime",
        };
        let needed = if field.required && default.is_none() { "!" } else { "" };
        let _ = writeln!(sdl, "  {name}: {kind}{needed}");
        fields.push((name, field.name.clone(), field.kind));
    }
    if fields.is_empty() {
        // GraphQL knows no type without fields.
        sdl.push_str("  \"This integration has no fields; leave it out.\"\n  _: Boolean\n");
    }
    sdl.push_str("}\n");
    fields
}

/// What a reader should know of a field; the rules are the path's.
fn about(field: &Field, name: &str, default: Option<&Value>) -> String {
    let mut parts: Vec<String> = field.about.iter().map(|about| sentence(about)).collect();
    if *name != *field.name {
        parts.push(format!("The field `{}`.", field.name));
    }
    if let Some((low, high)) = field.range {
        parts.push(match (low.is_finite(), high.is_finite()) {
            (true, true) => format!("{low} to {high}."),
            (true, false) => format!("{low} or more."),
            (false, true) => format!("{high} or less."),
            (false, false) => String::new(),
        });
    }
    if !field.values.is_empty() {
        let values: Vec<String> = field.values.iter().map(|value| format!("`{value}`")).collect();
        parts.push(format!("One of {}.", values.join(", ")));
    }
    parts.extend(field.pattern.iter().map(|pattern| format!("Matches `{pattern}`.")));
    parts.extend(field.max_length.iter().map(|length| format!("At most {length} bytes.")));
    parts.extend(field.unit.iter().map(|unit| format!("Unit: {unit}.")));
    if let Some(default) = default.filter(|_| !field.personal) {
        parts.push(format!("Without it: {}.", serde_json::to_string(default).unwrap_or_default()));
    }
    parts.extend(field.personal.then(|| "Personal data.".to_owned()));
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// A text that ends as a sentence does.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// A text as a GraphQL string: JSON's escapes are among GraphQL's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who may use what, as a reviewer reads it; `tests/e2e/matrix` of the program asks each line of the running process.
    const RULES: &str = include_str!("rules.txt");

    #[test]
    fn every_operation_has_its_rule_in_the_list() {
        let schema = Schema::parse_and_validate(format!("{BASE}\n{MUTATION}}}\n"), "schema.graphql").unwrap();
        let mut lines = Vec::new();
        for (kind, name) in [("query", "Query"), ("mutation", "Mutation")] {
            lines.extend(schema.get_object(name).unwrap().fields.keys().map(|field| format!("{kind} {field}")));
        }
        // What the plan adds: one mutation for each integration.
        lines.push("mutation decide{Integration}".to_owned());
        let known: Vec<_> = RULES.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(lines, known, "write the new operation into rules.txt, with who may use it");
    }
}
