//! Tests that need the inside: under simulation, with crashes and defects put in on purpose.

mod backup;
mod basics;
mod crash;
mod faults;
mod fixture;
mod flip;
mod formats;
mod go;
mod killed;
mod search;
mod spare;

use std::sync::Arc;

use tendon_kernel::{
    Id,
    context::Context,
    sockets::ledger::{Body, Claim, Draft, EntryKind, Facts, ModelRef},
};
use tendon_testkit::{MemStore, Promise, Sim, TestKeys};

use crate::{Book, Parts, Settings, open};

pub(crate) const ORIGIN: &str = "tendon.local/test/main";
pub(crate) const FOLDER: &str = "ledger/main";

/// A world with a store for projections.
pub(crate) struct Bench {
    pub(crate) sim: Sim,
    pub(crate) store: Arc<MemStore>,
    pub(crate) settings: Settings,
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let store = sim.store(Promise::Projections);
        let settings = Settings { slots_ahead: 16, segment_bytes: 16 << 10, ..Settings::default() };
        Self { sim, store, settings }
    }

    pub(crate) fn parts(&self) -> Parts {
        parts(self.sim.context(), Arc::clone(&self.store), self.settings.clone())
    }
}

pub(crate) fn parts(context: Context, store: Arc<MemStore>, settings: Settings) -> Parts {
    Parts {
        context,
        store,
        keys: Arc::new(TestKeys::new(7)),
        projections: Vec::new(),
        origin: ORIGIN.into(),
        folder: FOLDER.into(),
        settings,
    }
}

pub(crate) fn facts(context: &Context, kind: EntryKind, id: Id) -> Facts {
    Facts {
        kind,
        id,
        at: context.clock.now(),
        integration: "lead-score".into(),
        model: Some(ModelRef { name: "lead-score".into(), version: "1".into(), digest: "ab".repeat(32).into() }),
        route: "champion".into(),
        reason: "ok".into(),
        caller: "key:1".into(),
        policy: "cd".repeat(32).into(),
        plan: "ef".repeat(32).into(),
        retention: "default".into(),
        region: "eu".into(),
    }
}

/// A decision about a subject; its content tells the subject and the number.
pub(crate) fn decision(context: &Context, subject: &str, number: u64, claim: Option<&str>) -> Draft {
    let body = Body {
        subject: Some(subject.into()),
        input: format!("{{\"who\":\"{subject}\",\"number\":{number}}}").into_bytes(),
        output: format!("{{\"score\":{number}}}").into_bytes(),
        explanation: Vec::new(),
        more: format!("more of {number}").into_bytes(),
    };
    let claim = claim.map(|scope| Claim { scope: scope.into(), fingerprint: crate::format::sha256(&body.input) });
    Draft { facts: facts(context, EntryKind::Decision, Id::new(context)), body, claim }
}

pub(crate) async fn open_book(parts: Parts) -> Arc<Book> {
    open(parts).await.unwrap_or_else(|error| panic!("the ledger opens: {error:?}"))
}
