//! From drafts to sealed entries: whose slot, who holds the claim, payload, commitments, leaf, hash. Runs in the task of
//! whoever commits, so that the writer only writes.
//!
//! Between reserving (claims and slots, under one lock) and handing over to the writer there is no await: a commit that is
//! dropped by its caller leaves no reservation behind.

use std::{collections::HashMap, sync::Arc};

use tendon_kernel::{
    Result,
    sockets::ledger::{Committed, Draft, Entry, EntryKind},
};

use crate::{
    book::Inner,
    desk::{self, ClaimRow, Desk, Held, Item, Known},
    leaf::Leaf,
    seal::{Binding, SlotKey, seal},
    segment::Place,
    tokens::Token,
    tree::leaf_hash,
    writer::Prepared,
};

/// A draft on its way.
pub(crate) struct Planned {
    /// Its number among the drafts of the call.
    pub(crate) number: usize,
    pub(crate) draft: Draft,
    /// Slots that it erases.
    pub(crate) erased: Vec<u64>,
    owner: Token,
    claim: Option<ClaimRow>,
}

/// A draft with its slot.
pub(crate) struct Ready {
    planned: Planned,
    slot: u64,
    key: SlotKey,
    /// The store may not know yet whose slot it is.
    owned: bool,
}

/// What became of planned drafts.
#[derive(Default)]
pub(crate) struct Reserved {
    /// Ready for the writer, in order.
    pub(crate) ready: Vec<Ready>,
    /// Their claims belong to durable entries.
    pub(crate) taken: Vec<(usize, Committed)>,
    /// Their claims belong to entries in flight.
    pub(crate) waiting: Vec<Planned>,
}

/// Answers of the store, for one generation of the desk.
#[derive(Default)]
struct Answers {
    generation: u64,
    slots: HashMap<Token, Option<u64>>,
    claims: HashMap<Token, Option<Held>>,
}

impl Inner {
    /// Names a draft's owner and claim.
    pub(crate) fn plan(&self, number: usize, draft: Draft, erased: Vec<u64>) -> Planned {
        let owner = match &draft.body.subject {
            Some(subject) => self.tokens.subject(subject),
            None => self.tokens.day(&draft.facts),
        };
        let claim = draft.claim.as_ref().map(|claim| {
            let (token, fingerprint) = self.tokens.claim(claim);
            ClaimRow { token, fingerprint }
        });
        Planned { number, draft, erased, owner, claim }
    }

    /// Asks the store for what memory does not know.
    async fn ask(&self, planned: &[Planned]) -> Result<Answers> {
        let (mut slots, mut claims) = (Vec::new(), Vec::new());
        let generation = {
            let mut desk = self.desk();
            for one in planned {
                if desk.slot_of(&one.owner) == Known::Ask {
                    slots.push(one.owner);
                }
                if let Some(claim) = one.claim
                    && desk.claimed(&claim.token) == Known::Ask
                {
                    claims.push(claim.token);
                }
            }
            desk.generation()
        };
        let mut answers = Answers { generation, ..Answers::default() };
        for owner in slots {
            if let std::collections::hash_map::Entry::Vacant(place) = answers.slots.entry(owner) {
                place.insert(self.index.slot(&owner).await?);
            }
        }
        for claim in claims {
            if let std::collections::hash_map::Entry::Vacant(place) = answers.claims.entry(claim) {
                place.insert(self.index.claim(&claim).await?);
            }
        }
        Ok(answers)
    }

    /// Reserves claims and slots for what can go now. Waits for slots when none are spare.
    ///
    /// # Errors
    /// When the store cannot answer, or the keyring cannot grow.
    pub(crate) async fn reserve(self: &Arc<Self>, planned: &mut Vec<Planned>) -> Result<Reserved> {
        loop {
            let answers = self.ask(planned).await?;
            if let Some(reserved) = self.try_reserve(planned, &answers)? {
                self.fill_ahead();
                return Ok(reserved);
            }
            if self.keyring.is_exhausted() {
                self.keyring.fill().await?;
            }
        }
    }

    /// One pass under the lock; `None`: ask again or fill.
    fn try_reserve(&self, planned: &mut Vec<Planned>, answers: &Answers) -> Result<Option<Reserved>> {
        let mut desk = self.desk();
        if desk.generation() != answers.generation {
            return Ok(None);
        }
        let mut fates = Vec::with_capacity(planned.len());
        let mut claimed = Vec::new();
        let mut complete = true;
        for one in planned.iter() {
            let fate = match self.fate(&mut desk, one, answers) {
                Ok(fate) => fate,
                Err(error) => {
                    claimed.iter().for_each(|claim| desk.release(claim));
                    return Err(error);
                }
            };
            match fate {
                Fate::Again => complete = false,
                Fate::Ready(..) => {
                    if let Some(claim) = one.claim {
                        desk.reserve(claim.token);
                        claimed.push(claim.token);
                    }
                }
                Fate::Taken(_) | Fate::Wait => {}
            }
            fates.push(fate);
            if !complete {
                break;
            }
        }
        if !complete {
            claimed.iter().for_each(|claim| desk.release(claim));
            return Ok(None);
        }
        let mut out = Reserved::default();
        for (one, fate) in planned.drain(..).zip(fates) {
            match fate {
                Fate::Ready(slot, key, owned) => out.ready.push(Ready { planned: one, slot, key, owned }),
                Fate::Taken(committed) => out.taken.push((one.number, committed)),
                Fate::Wait | Fate::Again => out.waiting.push(one),
            }
        }
        Ok(Some(out))
    }

    fn fate(&self, desk: &mut Desk, one: &Planned, answers: &Answers) -> Result<Fate> {
        if let Some(claim) = one.claim {
            let known = match desk.claimed(&claim.token) {
                Known::Ask => match answers.claims.get(&claim.token) {
                    Some(Some(held)) => {
                        desk.learn_claim(claim.token, *held);
                        Known::Yes(*held)
                    }
                    Some(None) => Known::No,
                    None => Known::Ask,
                },
                known => known,
            };
            match known {
                Known::Yes(held) => return Ok(Fate::Taken(desk::committed(held, claim.fingerprint))),
                Known::Wait => return Ok(Fate::Wait),
                Known::Ask => return Ok(Fate::Again),
                Known::No => {}
            }
        }
        let slot = match desk.slot_of(&one.owner) {
            Known::Ask => match answers.slots.get(&one.owner) {
                Some(Some(slot)) => {
                    desk.learn_slot(one.owner, *slot);
                    Some(*slot)
                }
                Some(None) => None,
                None => return Ok(Fate::Again),
            },
            Known::Yes(slot) => Some(slot),
            Known::No | Known::Wait => None,
        };
        // A slot whose key is gone belongs to a subject erased before: it takes a new one.
        if let Some(slot) = slot
            && let Some(key) = self.keyring.key(slot)?
        {
            return Ok(Fate::Ready(slot, key, desk.is_fresh(&one.owner)));
        }
        Ok(match self.keyring.take() {
            Some((slot, key)) => {
                desk.own(one.owner, slot);
                Fate::Ready(slot, key, true)
            }
            None => Fate::Again,
        })
    }

    /// Seals a reserved draft.
    ///
    /// # Errors
    /// `Invalid` when leaf or payload are too large. The caller releases the claim.
    fn finish(&self, ready: Ready) -> Result<Prepared> {
        let Ready { planned, slot, key, owned } = ready;
        let Planned { draft, erased, owner, claim, .. } = planned;
        let kind: EntryKind = draft.facts.kind;
        let binding = Binding { origin: &self.origin, id: draft.facts.id, kind, slot };
        let sealed = seal(&*self.context.entropy, &key, &binding, &draft.body, draft.claim.as_ref())?;
        let weight = desk::weight(&draft.facts, &draft.body, draft.claim.as_ref());
        let leaf = Leaf { facts: draft.facts, slot, sealed: sealed.digest, commits: sealed.commits, erased };
        let text = leaf.encode()?;
        let item = Item {
            entry: Entry { seq: 0, facts: leaf.facts, body: Some(draft.body) },
            place: Place { segment: 0, offset: 0 },
            hash: leaf_hash(&text),
            slot,
            owner: Some(owner),
            owned,
            claim,
            erased: leaf.erased,
            weight,
        };
        Ok(Prepared { leaf: text, sealed: sealed.bytes, item })
    }

    /// Seals all that was reserved; when one cannot be, none goes and their claims are free again.
    ///
    /// # Errors
    /// As [`Inner::finish`].
    pub(crate) fn finish_all(&self, ready: Vec<Ready>) -> Result<(Vec<usize>, Vec<Prepared>)> {
        let claims: Vec<Token> = ready.iter().filter_map(|one| one.planned.claim.map(|claim| claim.token)).collect();
        let numbers = ready.iter().map(|one| one.planned.number).collect();
        let prepared: Result<Vec<Prepared>> = ready.into_iter().map(|one| self.finish(one)).collect();
        match prepared {
            Ok(prepared) => Ok((numbers, prepared)),
            Err(error) => {
                self.release(&claims);
                Err(error)
            }
        }
    }

    /// Frees claims of entries that failed, and tells who waits for them.
    pub(crate) fn release(&self, claims: &[Token]) {
        let mut desk = self.desk();
        for claim in claims {
            desk.release(claim);
        }
        drop(desk);
        self.groups.raise();
    }
}

enum Fate {
    Ready(u64, SlotKey, bool),
    Taken(Committed),
    Wait,
    /// Memory forgot meanwhile, or no slot is spare.
    Again,
}
