//! From the text of an operation to its answer. The library parses, validates and shapes; in between the fields are answered one
//! after the other, as the language demands of mutations and as the limits of a request want it of queries.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
};

use apollo_compiler::{
    ExecutableDocument, Name,
    executable::{Operation, Selection, SelectionSet},
    parser::Parser,
    request::{RequestError, coerce_variable_values},
    resolvers::{Execution, FieldError, ObjectValue, ResolveInfo, ResolvedValue},
    response::{ExecutionResponse, GraphQLError, JsonMap},
    validation::Valid,
};
use serde_json::Value;
use tendon_kernel::{Error, ErrorKind};

use super::{Asker, Built, Fault, Made, Request, cost, operations::Call, tree};

/// Tokens of the longest operation.
const TOKENS: usize = 10_000;
/// Nested brackets of the deepest operation.
const NESTED: usize = 50;
/// Mistakes that are told at once.
const TOLD: usize = 10;

/// The answer to a request.
pub(crate) struct Answer {
    /// The JSON text.
    pub(crate) body: Vec<u8>,
    /// Why nothing was done; the body says it, too.
    pub(crate) refused: Option<Error>,
    /// What was decided.
    pub(crate) made: Made,
}

impl Answer {
    /// The answer to a request that was refused as a whole.
    pub(crate) fn refused(error: Error, request: &str) -> Self {
        let errors = vec![Fault::of(&error, request).alone()];
        Refusal { error, errors }.answer()
    }
}

/// Why a request is refused as a whole: one error that stands for all, and what is told.
struct Refusal {
    error: Error,
    errors: Vec<GraphQLError>,
}

impl Refusal {
    fn answer(self) -> Answer {
        let body = serde_json::to_vec(&serde_json::json!({ "errors": self.errors })).unwrap_or_default();
        Answer { body, refused: Some(self.error), made: Made::default() }
    }
}

/// Answers a request. `change`: whether mutations may be asked (a GET may not).
pub(crate) async fn answer(built: &Built, asker: &Asker<'_>, request: &Request, change: bool) -> Answer {
    let prepared = match prepare(built, asker.request, request, change) {
        Ok(prepared) => prepared,
        Err(refusal) => return refusal.answer(),
    };
    let (calls, introduced) = prepared.calls(built);
    let mut made = Made::default();
    let mut results = Vec::with_capacity(calls.len());
    for call in &calls {
        results.push(asker.answer(built, call, &mut made).await);
    }
    // What described the schema was answered when the calls were collected.
    let response = if calls.is_empty() { introduced } else { prepared.shape(built, &results) };
    let mut response = response;
    for error in &mut response.errors {
        told(error, &results, asker.request);
    }
    let body = serde_json::to_vec(&response).unwrap_or_default();
    Answer { body, refused: None, made }
}

/// An operation that may be done.
struct Prepared {
    document: Valid<ExecutableDocument>,
    /// Its place among the document's.
    operation: Option<String>,
    variables: Valid<JsonMap>,
}

fn prepare(built: &Built, id: &str, request: &Request, change: bool) -> Result<Prepared, Refusal> {
    let refuse = |error: Error, mut errors: Vec<GraphQLError>| {
        let fault = Fault::of(&error, id);
        if errors.is_empty() {
            errors.push(fault.clone().alone());
        }
        for told in &mut errors {
            told.extensions = fault.extensions.clone();
        }
        Refusal { error, errors }
    };
    let mut parser = Parser::new().token_limit(TOKENS).recursion_limit(NESTED);
    let list = |list: &apollo_compiler::validation::DiagnosticList| {
        list.iter().take(TOLD).map(|one| one.to_json()).collect::<Vec<_>>()
    };
    let parsed = parser.parse_executable(&built.schema, request.query.as_str(), "request").map_err(|failed| {
        refuse(
            invalid("graphql_invalid", "the operation is no GraphQL, or does not fit the schema"),
            list(&failed.errors),
        )
    })?;
    let document = parsed.validate(&built.schema).map_err(|failed| {
        refuse(invalid("graphql_invalid", "the operation does not fit the schema"), list(&failed.errors))
    })?;
    let wrong = |code, failed: &RequestError| {
        let mut error = failed.to_graphql_error(&document.sources);
        error.message = without_value(&error.message);
        refuse(invalid(code, "the operation cannot be done"), vec![error])
    };
    let operation =
        document.operations.get(request.operation.as_deref()).map_err(|error| wrong("graphql_operation", &error))?;
    if operation.is_mutation() && !change {
        let error = Error::new(ErrorKind::Invalid, "wrong_method", "a GET cannot ask for a mutation");
        return Err(refuse(error.hint("send it by POST"), Vec::new()));
    }
    let variables = coerce_variable_values(&built.schema, operation, &request.variables)
        .map_err(|error| wrong("graphql_variables", &error))?;
    apollo_compiler::introspection::check_max_depth(&document, operation)
        .map_err(|error| wrong("graphql_too_deep", &error))?;
    cost::judge(&document, operation, &variables, (built.parts, built.schema.types.len()))
        .map_err(|error| refuse(error, Vec::new()))?;
    let operation = operation.name.as_ref().map(ToString::to_string);
    Ok(Prepared { document, operation, variables })
}

fn invalid(code: &'static str, message: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, code, message)
}

impl Prepared {
    /// The fields that have to be answered, in their order; and the answer to all others.
    fn calls(&self, built: &Built) -> (Vec<Call>, ExecutionResponse) {
        let collect = Collect { kind: self.root(), calls: RefCell::default() };
        let response = self.execute(built, &collect);
        (collect.calls.into_inner(), response)
    }

    /// The answer as the operation wants it.
    fn shape(&self, built: &Built, results: &[Result<Value, Fault>]) -> ExecutionResponse {
        self.execute(built, &Root { kind: self.root(), results, next: Cell::new(0) })
    }

    fn root(&self) -> &str {
        self.operation().map_or("Query", |operation| operation.object_type().as_str())
    }

    fn operation(&self) -> Result<&Operation, RequestError> {
        self.document.operations.get(self.operation.as_deref()).map(|operation| &**operation)
    }

    fn execute(&self, built: &Built, root: &dyn ObjectValue) -> ExecutionResponse {
        let done = self.operation().and_then(|operation| {
            Execution::new(&built.schema, &self.document)
                .operation(operation)
                .coerced_variable_values(&self.variables)
                .enable_schema_introspection(true)
                .execute_sync(root)
        });
        // The operation was looked up and its variables were read before.
        done.unwrap_or_else(|error| ExecutionResponse {
            errors: vec![error.to_graphql_error(&self.document.sources)],
            data: None,
        })
    }
}

/// Notes which fields are wanted.
struct Collect<'a> {
    kind: &'a str,
    calls: RefCell<Vec<Call>>,
}

impl ObjectValue for Collect<'_> {
    fn type_name(&self) -> &str {
        self.kind
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let arguments = serde_json::to_value(info.arguments()).ok().and_then(|value| value.as_object().cloned());
        let wants = |name: &str| {
            let sets = info.field_selections().iter().map(|field| &field.selection_set);
            sets.into_iter().any(|set| selects(info.document(), set, name, &mut HashSet::new()))
        };
        self.calls.borrow_mut().push(Call {
            field: info.field_name().to_owned(),
            arguments: arguments.unwrap_or_default(),
            explanation: wants("explanation"),
            deliveries: wants("deliveries"),
        });
        Ok(ResolvedValue::SkipForPartialExecution)
    }
}

/// Whether a field of this name stands anywhere in a selection.
fn selects<'a>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
    name: &str,
    seen: &mut HashSet<&'a Name>,
) -> bool {
    set.selections.iter().any(|selection| match selection {
        Selection::Field(field) => field.name == name || selects(document, &field.selection_set, name, seen),
        Selection::InlineFragment(inline) => selects(document, &inline.selection_set, name, seen),
        Selection::FragmentSpread(spread) => {
            seen.insert(&spread.fragment_name)
                && spread
                    .fragment_def(document)
                    .is_some_and(|found| selects(document, &found.selection_set, name, seen))
        }
    })
}

/// Gives the fields what was found for them: they are asked for in the order in which they were collected.
struct Root<'r> {
    kind: &'r str,
    results: &'r [Result<Value, Fault>],
    next: Cell<usize>,
}

impl ObjectValue for Root<'_> {
    fn type_name(&self) -> &str {
        self.kind
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let at = self.next.replace(self.next.get() + 1);
        match self.results.get(at) {
            Some(Ok(value)) => Ok(tree::resolved(info, &info.field_definition().ty, value)),
            Some(Err(_)) => Err(FieldError { message: at.to_string() }),
            None => Err(self.unknown_field_error(info)),
        }
    }
}

/// What the library puts before the text of a field's error.
const FIELD: &str = "resolver error: ";

/// Puts our own words in place of an error's.
fn told(error: &mut GraphQLError, results: &[Result<Value, Fault>], request: &str) {
    let ours = error.message.strip_prefix(FIELD).and_then(|at| at.parse::<usize>().ok()).and_then(|at| results.get(at));
    let place = GraphQLError { message: String::new(), extensions: JsonMap::new(), ..error.clone() };
    *error = match ours {
        Some(Err(fault)) => fault.clone().at(place),
        _ => {
            let message = without_value(&error.message);
            let fault = Fault::of(&Error::new(ErrorKind::Invalid, "graphql_argument", message), request);
            fault.at(place)
        }
    };
}

/// A message without the value that it shows: it may be of a personal field.
fn without_value(message: &str) -> String {
    let cut = message
        .starts_with("could not coerce ")
        .then(|| message.split_once(": ").zip(message.rsplit_once(" to type ")));
    match cut.flatten() {
        Some(((what, _), (_, kind))) => format!("{what} to type {kind}"),
        None => message.to_owned(),
    }
}
