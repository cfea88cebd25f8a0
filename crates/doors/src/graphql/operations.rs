//! The fields of `Query` and `Mutation`: each is one operation of the service that all doors share.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tendon_engine::ask::Timing;
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp, Type,
    context::Deadline,
    decision::{Decision, Explanation, Outcome},
};
use tendon_plan::IntegrationPlan;

use super::{
    Fault,
    schema::{Built, Mutation},
};
use crate::{
    api::{integrations, openapi},
    service::{self, Filter, Question, Row, Service},
    trust::Known,
};

/// A field of the operation, with its arguments.
pub(super) struct Call {
    pub(super) field: String,
    pub(super) arguments: Map<String, Value>,
    /// Whether explanations are among what is selected.
    pub(super) explanation: bool,
    /// Whether deliveries are.
    pub(super) deliveries: bool,
}

/// Who asks.
pub(crate) struct Asker<'a> {
    pub(crate) service: &'a Service,
    pub(crate) known: &'a Arc<Known>,
    /// When decisions are due.
    pub(crate) deadline: Option<Deadline>,
    /// Id of the request.
    pub(crate) request: &'a str,
}

/// What was decided on the way.
#[derive(Default)]
pub(crate) struct Made {
    /// The decisions.
    pub(crate) decisions: Vec<Id>,
    /// Time per stage, of all of them together.
    pub(crate) timings: Vec<Timing>,
}

type Found = std::result::Result<Value, Fault>;

impl Asker<'_> {
    /// Answers one field.
    pub(super) async fn answer(&self, built: &Built, call: &Call, made: &mut Made) -> Found {
        let input = call.arguments.get("input");
        let (integration, input) = match built.mutations.get(&call.field) {
            Some(mutation) => (mutation.integration.to_string(), mutation.input(input)),
            None if call.field == "decide" => {
                (call.text("integration").unwrap_or_default(), input.map_or(Ok(Bytes::new()), bytes))
            }
            None => return self.read(built, call).await.map_err(|error| Fault::of(&error, self.request)),
        };
        self.decide(integration, input, call, made).await
    }

    async fn read(&self, built: &Built, call: &Call) -> Result<Value> {
        let (service, known) = (self.service, self.known);
        let runtime = service.engine.runtime();
        let plan = runtime.plan();
        Ok(match call.field.as_str() {
            "project" => json!(plan.project),
            "plan" => json!(plan.digest),
            "decision" => self.decision(call).await?,
            "decisions" => self.decisions(call).await?,
            "integrations" => service.integrations(known).iter().map(|one| integration(built, one)).collect(),
            "integration" => {
                let all = service.integrations(known);
                let found = all.iter().find(|one| call.text("name").as_deref() == Some(&*one.name));
                found.map_or(Value::Null, |one| integration(built, one))
            }
            "models" => written(&service.models(known)?)?,
            "systems" => written(&service.systems(known)?)?,
            "letters" => self.letters(call).await?,
            "retryLetter" => {
                let letter = call.text("id").unwrap_or_default();
                let decision = service.retry_letter(known, &letter).await?;
                json!({ "letter": letter, "decision": decision, "state": "queued" })
            }
            other => {
                let error = Error::new(ErrorKind::Internal, "graphql_schema", "a field of the schema has no answer");
                return Err(error.with("field", other));
            }
        })
    }

    async fn decision(&self, call: &Call) -> Result<Value> {
        let found = self.service.decision(self.known, &call.text("id").unwrap_or_default(), call.explanation).await?;
        let recorded = found.standing.as_ref().map_or_else(|| written(&found.decision), written)?;
        let mut shown = decision(recorded, found.explanation.as_ref())?;
        shown.insert("seq".to_owned(), json!(found.seq));
        shown.insert("caller".to_owned(), json!(found.entry.facts.caller));
        shown.insert("deliveries".to_owned(), written(&found.deliveries)?);
        Ok(shown.into())
    }

    async fn decisions(&self, call: &Call) -> Result<Value> {
        let empty = Map::new();
        let given = call.arguments.get("filter").and_then(Value::as_object).unwrap_or(&empty);
        let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        let filter = Filter {
            version: None,
            integration: text("integration"),
            subject: text("subject"),
            since: moment(given, "since")?,
            until: moment(given, "until")?,
            band: text("band"),
            outcome: text("outcome").and_then(|name| Outcome::named(&name)),
            limit: call.first()?,
            cursor: call.text("after"),
            explain: call.explanation,
            ..Filter::default()
        };
        let page = self.service.list(self.known, &filter).await?;
        let mut rows = Vec::with_capacity(page.decisions.len());
        for row in &page.decisions {
            let cursor = self.service.decision_cursor(&filter, row.seq);
            rows.push((cursor, self.row(row, call.deliveries).await?));
        }
        Ok(connection(rows, page.next, filter.cursor.is_some()))
    }

    async fn row(&self, row: &Row, deliveries: bool) -> Result<Value> {
        let mut shown = match &row.decision {
            Some(recorded) => {
                let recorded = row.standing.as_ref().map_or_else(|| written(recorded), written)?;
                decision(recorded, row.explanation.as_ref())?
            }
            None => members(json!({ "id": row.id, "integration": row.integration, "at": row.at, "erased": true,
                "outcome": row.outcome, "model": row.model })),
        };
        shown.insert("seq".to_owned(), json!(row.seq));
        shown.insert("caller".to_owned(), json!(row.caller));
        if deliveries && !row.erased {
            let found = self.service.decision(self.known, &row.id.to_string(), false).await?;
            shown.insert("deliveries".to_owned(), written(&found.deliveries)?);
        }
        Ok(shown.into())
    }

    async fn letters(&self, call: &Call) -> Result<Value> {
        let after = call.text("after");
        let page = self.service.letters(self.known, call.first()?, after.as_deref()).await?;
        let row = |letter| Ok((self.service.letter_cursor(letter), written(letter)?));
        let rows = page.letters.iter().map(row).collect::<Result<_>>()?;
        Ok(connection(rows, page.next, after.is_some()))
    }

    async fn decide(&self, integration: String, input: Result<Bytes>, call: &Call, made: &mut Made) -> Found {
        let fault = |error: &Error| Fault::of(error, self.request);
        let given = call.text("idempotencyKey");
        let key = given.map(|key| service::idempotency_key(Some(&key)).map_err(|error| error.at("/idempotencyKey")));
        let explain = call.arguments.get("explain").and_then(Value::as_bool).unwrap_or_default();
        let asked = key.transpose().and_then(|key| Ok((key, input?)));
        let (idempotency_key, input) = asked.map_err(|error| {
            // The path never sees it; the ledger still counts it.
            self.service.engine.refused(&integration, error.code());
            fault(&error)
        })?;
        let question = Question { integration, input, idempotency_key, explain, deadline: self.deadline };
        let (answer, timings) = self.service.decide(self.known, question).await.map_err(|error| fault(&error))?;
        made.add(answer.decision.id, timings);
        let decided: &Decision = &answer.decision;
        if !matches!(decided.outcome, Outcome::Ok | Outcome::Degraded) {
            return Err(Fault::of_decision(decided, self.request));
        }
        let show = async {
            let mut shown = decision(written(decided)?, None)?;
            shown.insert("seq".to_owned(), json!(answer.seq));
            if call.deliveries {
                let found = self.service.decision(self.known, &decided.id.to_string(), false).await?;
                shown.insert("deliveries".to_owned(), written(&found.deliveries)?);
            }
            Ok(json!({ "decision": shown, "replayed": answer.replayed }))
        };
        show.await.map_err(|error| fault(&error))
    }
}

impl Made {
    fn add(&mut self, decision: Id, timings: Vec<Timing>) {
        self.decisions.push(decision);
        for (stage, time) in timings {
            match self.timings.iter_mut().find(|(known, _)| *known == stage) {
                Some((_, sum)) => *sum = sum.saturating_add(time),
                None => self.timings.push((stage, time)),
            }
        }
    }
}

impl Mutation {
    /// The input as the path reads it: JSON with the integration's own names. Digits of a whole number in a string become one;
    /// everything else is judged by the path.
    fn input(&self, given: Option<&Value>) -> Result<Bytes> {
        let empty = Map::new();
        let given = given.and_then(Value::as_object).unwrap_or(&empty);
        let mut input = Map::with_capacity(given.len());
        for (name, own, kind) in &self.fields {
            let Some(value) = given.get(name) else { continue };
            let whole = value.as_str().filter(|_| *kind == Type::Int).and_then(|text| text.parse::<i64>().ok());
            input.insert(own.to_string(), whole.map_or_else(|| value.clone(), Value::from));
        }
        bytes(&input.into())
    }
}

impl Call {
    fn text(&self, name: &str) -> Option<String> {
        match self.arguments.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            // An id may be written as a number.
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The length of a page; a negative one can be none.
    fn first(&self) -> Result<Option<usize>> {
        let Some(first) = self.arguments.get("first") else { return Ok(None) };
        let first = first.as_u64().and_then(|first| usize::try_from(first).ok());
        Ok(Some(first.unwrap_or_default()))
    }
}

/// A decision, as the schema shows it.
fn decision(recorded: Value, explanation: Option<&Explanation>) -> Result<Map<String, Value>> {
    let mut shown = members(recorded);
    shown.insert("erased".to_owned(), Value::Bool(false));
    shown.entry("repaired").or_insert_with(|| json!([]));
    shown.entry("lookups").or_insert_with(|| json!([]));
    if let Some(recalled) = shown.get_mut("recalled").and_then(Value::as_object_mut) {
        recalled.entry("stale").or_insert(Value::Bool(false));
    }
    if let Some(explanation) = explanation {
        shown.insert("explanation".to_owned(), written(explanation)?);
    }
    Ok(shown)
}

fn integration(built: &Built, one: &IntegrationPlan) -> Value {
    let mutation = built.mutations.iter().find(|(_, mutation)| mutation.integration == one.name).map(|(name, _)| name);
    json!({
        "name": one.name,
        "purpose": one.purpose,
        "owner": one.owner,
        "model": format!("{}@{}", one.model, one.alias),
        "doors": integrations::doors(one),
        "bands": one.bands.iter().map(|band| &band.name).collect::<Vec<_>>(),
        "input": openapi::input_schema(one),
        "mutation": mutation,
    })
}

/// Rows with their cursors as Relay's connection. `next` may lie behind the last row, where others were passed over.
fn connection(rows: Vec<(String, Value)>, next: Option<String>, has_previous: bool) -> Value {
    let start = rows.first().map(|(cursor, _)| cursor.clone());
    let end = next.clone().or_else(|| rows.last().map(|(cursor, _)| cursor.clone()));
    let nodes: Vec<Value> = rows.iter().map(|(_, node)| node.clone()).collect();
    let edges: Vec<Value> = rows.into_iter().map(|(cursor, node)| json!({ "cursor": cursor, "node": node })).collect();
    json!({
        "edges": edges,
        "nodes": nodes,
        "page_info": {
            "has_next_page": next.is_some(), "has_previous_page": has_previous, "start_cursor": start, "end_cursor": end,
        },
    })
}

fn moment(given: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>> {
    let Some(value) = given.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    value.as_str().and_then(|text| Timestamp::parse(text).ok()).map(Some).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "parameter", format!("the filter `{name}` is no time"))
            .at(format!("/filter/{name}"))
            .hint("write it like \"2026-05-17T10:00:00Z\"")
    })
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn bytes(value: &Value) -> Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| unwritten(&error))
}

fn written(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| unwritten(&error))
}

fn unwritten(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "answer_not_written", "the answer cannot be written as JSON").private(error)
}
