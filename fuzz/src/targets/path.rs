//! Inputs as JSON through the whole path: decoded, judged, scored, recorded. An answer is a number inside the model's range and the same
//! when it is asked again; a refusal has a code and holds no value of the input.

use std::sync::Arc;

use tendon_engine::{
    Engine,
    ask::{Ask, Caller, Input, Item, Priority},
};
use tendon_kernel::decision::{Decision, Door, Outcome};
use tokio::runtime::Runtime;

use super::{PERSON, Run, Target, Verdict, is_a_name, kind, proper};
use crate::world;

pub(super) const TARGET: Target = Target {
    name: "path",
    about: "inputs as JSON through the whole path",
    words: &[
        "\"id\":",
        "\"age\":",
        "\"job\":",
        "\"email\":",
        "\"balance\":",
        "\"seen\":",
        "\"agrees\":",
        "null",
        "true",
        "1e400",
        "-0",
        "\\u0000",
        "\\ud800",
        "\"2026-05-17T10:00:00Z\"",
        "{\"a\":",
        "[",
        "1.0",
        "01",
        "\u{feff}",
        "9007199254740993",
        "\"retired\"",
    ],
    memory: (1 << 20, 200),
    short: 15_000,
    open: || Box::new(Path::open()),
};

struct Path {
    runtime: Runtime,
    engine: Arc<Engine>,
    _folder: tempfile::TempDir,
}

/// A runtime of one thread.
pub(super) fn runtime() -> Runtime {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.unwrap_or_else(|error| panic!("a runtime: {error}"))
}

impl Path {
    fn open() -> Self {
        let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}")));
        let engine = runtime.block_on(async {
            let context = tendon_platform::context(folder.path()).unwrap_or_else(|error| panic!("{error}"));
            world::engine(&context)
        });
        Self { runtime, engine, _folder: folder }
    }

    fn ask(&self, input: &[u8]) -> Result<Decision, tendon_kernel::Error> {
        let ask = Ask {
            caller: Caller { id: "key".into(), scope: "fuzz".into(), integrations: None },
            door: Door::Api,
            integration: "lead-score".into(),
            priority: Priority::Live,
            explain: false,
            deadline: None,
            items: vec![Item { input: Input::Json(input.to_vec().into()), idempotency_key: None, row: None }],
        };
        let mut answers = self.runtime.block_on(self.engine.decide(ask))?;
        answers.items.remove(0).map(|answer| Decision::clone(&answer.decision))
    }
}

impl Run for Path {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let decision = match self.ask(input) {
            Ok(decision) => decision,
            Err(error) => {
                proper(&error)?;
                return Ok(Verdict { kind: kind(&[&error.code()]), taken: false });
            }
        };
        let taken = matches!(decision.outcome, Outcome::Ok | Outcome::Degraded);
        if taken != decision.output.is_some_and(|output| (0.0..=1.0).contains(&output)) {
            return Err(format!("{:?} with the output {:?}", decision.outcome, decision.output));
        }
        if taken == decision.error.is_some() && decision.outcome != Outcome::Degraded {
            return Err(format!("{:?} with the error {:?}", decision.outcome, decision.error));
        }
        let told = decision.error.as_ref().map(|error| format!("{} {} {:?}", error.code, error.message, error.hint));
        if told.as_ref().is_some_and(|told| told.contains(PERSON)) && !is_a_name(input) {
            return Err(format!("the refusal tells a value: {told:?}"));
        }
        if input.len().is_multiple_of(8) {
            let again = self.ask(input).map_err(|error| format!("it was taken once only: {error}"))?;
            if (again.output.map(f64::to_bits), &again.band) != (decision.output.map(f64::to_bits), &decision.band) {
                return Err(format!("asked again it is {:?}, not {:?}", again.output, decision.output));
            }
        }
        let code = decision.error.as_ref().map(|error| error.code.to_string());
        let pointer =
            decision.error.as_ref().and_then(|error| error.pointer.as_ref().map(|pointer| pointer.len().min(9)));
        Ok(Verdict {
            kind: kind(&[&format!("{:?}", decision.outcome), &code, &pointer, &decision.repaired.len()]),
            taken,
        })
    }
}
