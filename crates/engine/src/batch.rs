//! The batch that travels the path: what is the same for all its questions, and a case for each.

use std::sync::Arc;

use tendon_kernel::{
    Error, ErrorKind, Id, Record, Result, Timestamp,
    context::{Clock, Deadline},
    decision::{Delivery, Door, Explanation, Failure, Outcome, Repair, Rung},
    sockets::{ledger::Claim, model::Matrix},
};
use tendon_plan::expr::Scope;

use crate::{
    ask::{Answer, Caller, Input, SourceRow},
    form::Reading,
    lookup::LookedUp,
    recalling::Recall,
    record_format::Letter,
    reviews::Seat,
    running::Hold,
    runtime::{Ready, Slot},
    stages::route::champion,
};

/// Questions on their way.
pub(crate) struct Batch {
    pub(crate) ready: Arc<Ready>,
    pub(crate) caller: Caller,
    pub(crate) door: Door,
    pub(crate) explain: bool,
    pub(crate) deadline: Deadline,
    /// The decisions' time: `now` of every expression.
    pub(crate) at: Timestamp,
    /// Rows of features; a case knows its row.
    pub(crate) matrix: Matrix,
    pub(crate) cases: Vec<Case>,
}

/// How far a case is.
pub(crate) enum State {
    /// Still on its way, or answered by model or ladder.
    Open,
    /// Ended without an output.
    Ended(Outcome, Failure),
    /// Answered without a decision of its own: an earlier one's answer, or an error that leaves none.
    Answered(Result<Answer>),
}

/// One question on its way.
pub(crate) struct Case {
    /// Position in the ask.
    pub(crate) place: usize,
    pub(crate) id: Id,
    pub(crate) input: Input,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) source: Option<SourceRow>,
    pub(crate) state: State,
    pub(crate) claim: Option<Claim>,
    /// Keeps others with the same idempotency key waiting.
    pub(crate) hold: Option<Hold>,
    pub(crate) reading: Option<Reading>,
    pub(crate) record: Option<Record>,
    pub(crate) repaired: Vec<Repair>,
    /// What was looked up, in the order of the plan's lookups.
    pub(crate) looked: Vec<Option<LookedUp>>,
    pub(crate) subject: Option<Arc<str>>,
    /// The version asked.
    pub(crate) slot: Option<Arc<Slot>>,
    /// How it came to be asked (`champion`, `canary`, `arm:b`).
    pub(crate) route: Arc<str>,
    /// What the cache knows of it.
    pub(crate) recall: Recall,
    /// Row in the batch's matrix.
    pub(crate) row: Option<usize>,
    /// Why no model answered.
    pub(crate) attempt: Option<Error>,
    pub(crate) output: Option<f64>,
    pub(crate) classes: Option<Vec<f64>>,
    pub(crate) rung: Option<Rung>,
    /// Why a fallback answered, and why a person is asked, in words.
    pub(crate) why: Option<String>,
    pub(crate) band: Option<Arc<str>>,
    pub(crate) explanation: Option<Explanation>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) letter: Option<Letter>,
    /// Position of the accepted request that this answers.
    pub(crate) request: Option<u64>,
    /// Address to be told of the decision.
    pub(crate) callback: Option<String>,
    /// Its place among what waits for people.
    pub(crate) seat: Option<Seat>,
}

impl Case {
    pub(crate) fn new(place: usize, id: Id, input: Input) -> Self {
        Self {
            place,
            id,
            input,
            idempotency_key: None,
            source: None,
            state: State::Open,
            claim: None,
            hold: None,
            reading: None,
            record: None,
            repaired: Vec::new(),
            looked: Vec::new(),
            subject: None,
            slot: None,
            route: champion(),
            recall: Recall::default(),
            row: None,
            attempt: None,
            output: None,
            classes: None,
            rung: None,
            why: None,
            band: None,
            explanation: None,
            deliveries: Vec::new(),
            letter: None,
            request: None,
            callback: None,
            seat: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether only a person can answer it, and none has.
    pub(crate) fn is_left_to_people(&self) -> bool {
        self.rung == Some(Rung::Human) && self.output.is_none()
    }

    /// Whether what it causes waits for a person.
    pub(crate) fn is_held(&self) -> bool {
        self.is_left_to_people() || self.seat.as_ref().is_some_and(Seat::held)
    }

    pub(crate) fn end(&mut self, outcome: Outcome, failure: Failure) {
        // A recalled answer that came too late, or that a rule refuses, is none.
        (self.output, self.classes, self.recall.hit) = (None, None, None);
        self.state = State::Ended(outcome, failure);
    }

    /// Reads the input, once: dedupe needs it for a key's fingerprint, validate for everything else.
    pub(crate) fn read(&mut self, ready: &Ready) -> &Reading {
        let input = &self.input;
        self.reading.get_or_insert_with(|| match input {
            Input::Json(bytes) => ready.form.read_json(bytes),
            Input::Values(values) => ready.form.read_values(values),
        })
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match &self.state {
            State::Ended(outcome, _) => *outcome,
            _ if self.rung.is_some() => Outcome::Degraded,
            _ => Outcome::Ok,
        }
    }
}

impl Batch {
    /// Cases that are still open, with what their expressions need.
    pub(crate) fn open(&mut self) -> impl Iterator<Item = &mut Case> {
        self.cases.iter_mut().filter(|case| case.is_open())
    }

    /// Ends every open case when the deadline passed: nobody waits for the answer, so none is computed.
    pub(crate) fn end_if_late(&mut self, clock: &dyn Clock) {
        if self.deadline.passed(clock) {
            self.open().for_each(|case| case.end(Outcome::Failed, late()));
        }
    }
}

/// The names that an expression of a case can see.
pub(crate) fn scope<'a>(record: &'a Record, now: Timestamp, output: Option<f64>, band: Option<&'a str>) -> Scope<'a> {
    Scope { input: record, now, output, band, decision: None }
}

/// The failure of a case whose time is over.
pub(crate) fn late() -> Failure {
    Failure {
        code: "deadline_exceeded".into(),
        message: "the deadline passed before the decision was made".into(),
        pointer: None,
        hint: Some("ask again, with more time".into()),
        retryable: true,
    }
}

/// What a caller hears whose time is over while its decision is still under way.
pub(crate) fn late_error() -> Error {
    Error::new(ErrorKind::Timeout, "deadline_exceeded", "the deadline passed before the decision was recorded")
        .hint("ask again with the same Idempotency-Key: if the decision was recorded meanwhile, it is answered")
}

/// An error as a decision keeps it: the public half.
pub(crate) fn failure_of(error: &Error) -> Failure {
    Failure {
        code: error.code().into(),
        message: error.message().into(),
        pointer: error.pointer().map(Into::into),
        hint: error.hint_text().map(Into::into),
        retryable: error.retryable(),
    }
}
