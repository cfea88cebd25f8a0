//! Asking: one question, or many to one integration.

use bytes::Bytes;
use tendon_engine::ask::{Answer, Answers, Ask, Input, Item, Priority, Timing};
use tendon_kernel::{Error, ErrorKind, Result, context::Deadline, decision::Door};

use super::Service;
use crate::keys::Known;

/// Longest idempotency key in bytes.
const KEY_LENGTH: usize = 255;

/// One question.
pub struct Question {
    /// Name of the integration.
    pub integration: String,
    /// The input: a JSON object as text.
    pub input: Bytes,
    /// Idempotency key, as [`idempotency_key`] accepts it.
    pub idempotency_key: Option<String>,
    /// Explain the decision in the answer.
    pub explain: bool,
    /// When the answer is due; `None`: as the integration says.
    pub deadline: Option<Deadline>,
}

/// Many questions to one integration.
pub struct Questions {
    /// Name of the integration.
    pub integration: String,
    /// The inputs with their idempotency keys.
    pub items: Vec<(Bytes, Option<String>)>,
    /// Explain the decisions in the answers.
    pub explain: bool,
    /// When the answers are due; `None`: as the integration says.
    pub deadline: Option<Deadline>,
}

impl Service {
    /// Whether the caller may ask an integration at all; for doors that must know before the first question is read.
    ///
    /// # Errors
    /// `NotFound` (no such integration), `Forbidden`.
    pub fn may_ask(&self, known: &Known, integration: &str) -> Result<()> {
        self.engine.may_ask(&known.caller, integration)
    }

    /// Asks the path one question. A refused input is a decision, too: `answer.decision.error` says why.
    ///
    /// # Errors
    /// What left no decision: not allowed, unknown, too late, overloaded, a conflicting key, not recorded.
    pub async fn decide(&self, known: &Known, question: Question) -> Result<(Answer, Vec<Timing>)> {
        let Question { integration, input, idempotency_key, explain, deadline } = question;
        let items = vec![Item { input: Input::Json(input), idempotency_key, row: None }];
        let (door, priority) = (Door::Api, Priority::Live);
        let ask = Ask { caller: known.caller.clone(), door, integration, priority, explain, deadline, items };
        let mut answers = self.engine.decide(ask).await?;
        let answer = answers.items.pop().unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Internal, "no_answer", "the path gave no answer to a question"))
        });
        answer.map(|answer| (answer, answers.timings))
    }

    /// Asks the path many questions at once; one answer or error each, in their order.
    ///
    /// # Errors
    /// What concerns all of them: not allowed, unknown, too late, overloaded.
    pub async fn batch(&self, known: &Known, questions: Questions) -> Result<Answers> {
        let Questions { integration, items, explain, deadline } = questions;
        let item = |(input, idempotency_key)| Item { input: Input::Json(input), idempotency_key, row: None };
        let items = items.into_iter().map(item).collect();
        let (door, priority) = (Door::Batch, Priority::Backfill);
        let ask = Ask { caller: known.caller.clone(), door, integration, priority, explain, deadline, items };
        self.engine.decide(ask).await
    }
}

/// Checks an idempotency key that a caller gave.
///
/// # Errors
/// `Invalid` when it is empty, too long, or holds anything but visible ASCII.
pub fn idempotency_key(text: Option<&str>) -> Result<String> {
    match text {
        Some(text)
            if (1..=KEY_LENGTH).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(Error::new(ErrorKind::Invalid, "idempotency_key", "the idempotency key cannot be used")
            .hint(format!("1 to {KEY_LENGTH} visible ASCII characters, for example a UUID"))),
    }
}
