//! A ledger in memory, with the promises of the socket: one claim per key, nothing lost, and on demand slow or refusing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::Context,
    sockets::ledger::{
        Body, Claim, Committed, Draft, Entry, EntryKind, Erased, Facts, Ledger, LedgerState, Listed, Query, Tokens,
    },
};
use tendon_testkit::Rng;

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    claims: BTreeMap<String, (u64, Id, [u8; 32])>,
    busy_until: Duration,
}

/// How often something goes wrong, of 100.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) commit_fails: u64,
    pub(crate) read_fails: u64,
    pub(crate) slow: bool,
    /// An erasure is entered, and fails after that.
    pub(crate) erase_fails: bool,
    /// Time that one entry takes, one after the other: what the path can do at the most.
    pub(crate) service: Duration,
}

pub(crate) struct FakeLedger {
    context: Context,
    state: Mutex<State>,
    rng: Mutex<Rng>,
    faults: Mutex<Faults>,
}

impl FakeLedger {
    pub(crate) fn new(context: &Context, seed: u64) -> Arc<Self> {
        let rng = Mutex::new(Rng::stream(seed, "ledger"));
        Arc::new(Self { context: context.clone(), state: Mutex::default(), rng, faults: Mutex::default() })
    }

    pub(crate) fn set(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.state().entries.clone()
    }

    /// Decisions only.
    pub(crate) fn decisions(&self) -> Vec<Entry> {
        self.entries().into_iter().filter(|entry| entry.facts.kind == EntryKind::Decision).collect()
    }

    /// Forgets the sealed part of an entry, as an erasure does.
    pub(crate) fn erase_body(&self, seq: u64) {
        self.state().entries[usize::try_from(seq).unwrap()].body = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fails(&self, of_100: u64) -> Result<()> {
        if self.rng.lock().unwrap().chance(of_100, 100) {
            return Err(Error::new(ErrorKind::Unavailable, "disk_full", "the ledger's disk is full"));
        }
        Ok(())
    }

    /// Stands in line and is served.
    async fn serve(&self, entries: usize) {
        let service = self.faults.lock().unwrap().service * u32::try_from(entries).unwrap();
        if service.is_zero() {
            return;
        }
        let now = self.context.clock.monotonic();
        let end = {
            let mut state = self.state();
            state.busy_until = state.busy_until.max(now) + service;
            state.busy_until
        };
        self.context.clock.sleep(end.saturating_sub(now)).await;
    }

    async fn wait(&self) {
        if self.faults.lock().unwrap().slow {
            let micros = self.rng.lock().unwrap().below(3_000);
            self.context.clock.sleep(Duration::from_micros(micros)).await;
        }
    }

    fn push(state: &mut State, draft: Draft) -> Committed {
        let seq = u64::try_from(state.entries.len()).unwrap();
        if let Some(claim) = draft.claim {
            if let Some((seq, id, fingerprint)) = state.claims.get(&claim.scope) {
                return Committed::Taken { seq: *seq, id: *id, same_input: *fingerprint == claim.fingerprint };
            }
            state.claims.insert(claim.scope, (seq, draft.facts.id, claim.fingerprint));
        }
        state.entries.push(Entry { seq, facts: draft.facts, body: Some(draft.body) });
        Committed::New { seq }
    }
}

impl Ledger for FakeLedger {
    fn commit(&self, drafts: Vec<Draft>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        Box::pin(async move {
            self.wait().await;
            self.serve(drafts.len()).await;
            let faults = *self.faults.lock().unwrap();
            self.fails(faults.commit_fails)?;
            let committed = {
                let mut state = self.state();
                drafts.into_iter().map(|draft| Self::push(&mut state, draft)).collect()
            };
            self.wait().await;
            Ok(committed)
        })
    }

    fn append(&self, drafts: Vec<Draft>) -> Result<()> {
        let faults = *self.faults.lock().unwrap();
        self.fails(faults.commit_fails)?;
        let mut state = self.state();
        for draft in drafts {
            Self::push(&mut state, draft);
        }
        Ok(())
    }

    fn appended(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn entry(&self, seq: u64) -> BoxFuture<'_, Result<Option<Entry>>> {
        Box::pin(async move {
            self.wait().await;
            Ok(self.state().entries.get(usize::try_from(seq).unwrap()).cloned())
        })
    }

    fn entries_of(&self, id: Id) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async move { Ok(self.entries().into_iter().filter(|entry| entry.facts.id == id).collect()) })
    }

    fn claimed<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<Option<Committed>>> {
        Box::pin(async move {
            self.wait().await;
            let faults = *self.faults.lock().unwrap();
            self.fails(faults.read_fails)?;
            let state = self.state();
            Ok(state.claims.get(&claim.scope).map(|(seq, id, fingerprint)| Committed::Taken {
                seq: *seq,
                id: *id,
                same_input: *fingerprint == claim.fingerprint,
            }))
        })
    }

    fn search(&self, _: Query) -> BoxFuture<'_, Result<Listed>> {
        Box::pin(async move { Ok(Listed { entries: self.entries(), ..Listed::default() }) })
    }

    fn erase<'a>(&'a self, subject: &'a str, mut facts: Facts) -> BoxFuture<'a, Result<Erased>> {
        Box::pin(async move {
            self.wait().await;
            let mut state = self.state();
            let mut decisions = Vec::new();
            for entry in &mut state.entries {
                if entry.body.as_ref().is_some_and(|body| body.subject.as_deref() == Some(subject)) {
                    entry.body = None;
                    decisions.extend((entry.facts.kind == EntryKind::Decision).then_some(entry.facts.id));
                }
            }
            let seq = u64::try_from(state.entries.len()).unwrap();
            facts.kind = EntryKind::Erasure;
            let more = serde_json::json!({ "decisions": decisions, "slots": [] }).to_string().into_bytes();
            state.entries.push(Entry { seq, facts, body: Some(Body { more, ..Body::default() }) });
            if self.faults.lock().unwrap().erase_fails {
                return Err(Error::new(ErrorKind::Unavailable, "erase_failed", "the erasure failed at its end"));
            }
            Ok(Erased { seq, decisions: u64::try_from(decisions.len()).unwrap() })
        })
    }

    fn projected(&self, _: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn state(&self) -> LedgerState {
        let size = u64::try_from(self.state().entries.len()).unwrap();
        LedgerState { size, checkpoint: size, projected: size, stopped: None }
    }

    fn tokens(&self) -> Arc<dyn Tokens> {
        /// As one-way as the real ones, without a key.
        struct Keyless;
        impl Tokens for Keyless {
            fn token(&self, kind: &str, text: &str) -> [u8; 16] {
                let digest = ring::digest::digest(&ring::digest::SHA256, format!("{kind}\0{text}").as_bytes());
                std::array::from_fn(|at| digest.as_ref()[at])
            }
        }
        Arc::new(Keyless)
    }
}
