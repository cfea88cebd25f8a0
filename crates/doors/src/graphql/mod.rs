//! GraphQL over the operations that all doors share. `schema` is made from the plan, `cost` judges an operation before anything is
//! done, `operations` answers its fields one after the other, and `tree` shapes the answer. HTTP is `api/graphql.rs`.

mod cost;
mod names;
mod operations;
mod run;
mod schema;
mod tree;

use apollo_compiler::response::{GraphQLError, JsonMap};
use serde_json::Value;
use tendon_kernel::{
    Error, ErrorKind, Result,
    decision::{Decision, Outcome},
};

use crate::api::Problem;
pub(crate) use operations::{Asker, Made};
pub(crate) use run::{Answer, answer};
pub(crate) use schema::Built;
pub use schema::Schemas;

/// Longest text of an operation in bytes. Inputs travel as variables.
const LONGEST: usize = 64 * 1024;

/// What is asked.
#[derive(Debug)]
pub(crate) struct Request {
    query: String,
    operation: Option<String>,
    variables: JsonMap,
}

/// A request as it stands in a body.
#[derive(serde::Deserialize)]
struct Body {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation: Option<String>,
    variables: Option<JsonMap>,
}

impl Request {
    /// Reads the body of a POST.
    ///
    /// # Errors
    /// `Invalid` when it is no GraphQL request.
    pub(crate) fn from_body(bytes: &[u8]) -> Result<Self> {
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(Error::new(ErrorKind::Invalid, "graphql_batch", "the body is a list of GraphQL requests")
                .hint("send one request; it can hold several operations' fields under aliases"));
        }
        let body: Body = serde_json::from_slice(bytes).map_err(|error| {
            if error.is_data() {
                return no_request("a member of the GraphQL request has the wrong type").private(error);
            }
            Error::new(ErrorKind::Invalid, "malformed_json", "the request body is no JSON object").private(error)
        })?;
        Self::new(body.query, body.operation, body.variables.unwrap_or_default())
    }

    /// Reads the parameters of a GET.
    ///
    /// # Errors
    /// `Invalid` when they are no GraphQL request.
    pub(crate) fn from_parameters(
        query: Option<String>,
        operation: Option<String>,
        variables: Option<String>,
    ) -> Result<Self> {
        let variables = variables.map(|text| serde_json::from_str(&text)).transpose();
        let variables: Option<Option<JsonMap>> =
            variables.map_err(|error| no_request("the parameter `variables` is no JSON object").private(error))?;
        Self::new(query, operation, variables.flatten().unwrap_or_default())
    }

    fn new(query: Option<String>, operation: Option<String>, variables: JsonMap) -> Result<Self> {
        let query = query.ok_or_else(|| no_request("the GraphQL request has no `query`"))?;
        if query.len() > LONGEST {
            return Err(Error::new(
                ErrorKind::Invalid,
                "graphql_too_long",
                "the text of the operation is longer than allowed",
            )
            .hint(format!("at most {LONGEST} bytes; inputs can be sent as variables")));
        }
        Ok(Self { query, operation, variables })
    }
}

fn no_request(message: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, "graphql_request", message)
        .hint(r#"send {"query": "…", "variables": {…}, "operationName": "…"}"#)
}

/// Why a field or a whole operation has no answer, as GraphQL tells it: the same words as in problem details.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    message: String,
    extensions: JsonMap,
}

impl Fault {
    /// From an error.
    pub(crate) fn of(error: &Error, request: &str) -> Self {
        if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Corrupt) {
            tracing::warn!(request, code = error.code(), detail = error.private_detail(), "{error}");
        }
        Self::from_problem(&Problem::of(error, request))
    }

    /// From a decision that has no answer.
    fn of_decision(decision: &Decision, request: &str) -> Self {
        let mut fault = Self::from_problem(&Problem::of_decision(decision, request));
        if decision.outcome == Outcome::Quarantined {
            fault.extensions.insert("outcome", decision.outcome.name().into());
        }
        fault
    }

    fn from_problem(problem: &Problem<'_>) -> Self {
        let mut extensions = JsonMap::new();
        if let Ok(Value::Object(members)) = serde_json::to_value(problem) {
            let told = ["code", "retryable", "status", "pointer", "hint", "request_id", "decision_id"];
            extensions.extend(
                members
                    .into_iter()
                    .filter(|(name, _)| told.contains(&name.as_str()))
                    .map(|(name, value)| (name.into(), value.into())),
            );
        }
        Self { message: problem.detail.to_owned(), extensions }
    }

    /// In the place that GraphQL found for it.
    fn at(self, mut place: GraphQLError) -> GraphQLError {
        place.message = self.message;
        place.extensions = self.extensions;
        place
    }

    /// Where only the whole request is at fault.
    fn alone(self) -> GraphQLError {
        GraphQLError { message: self.message, locations: Vec::new(), path: Vec::new(), extensions: self.extensions }
    }
}
