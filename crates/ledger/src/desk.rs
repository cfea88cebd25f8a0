//! What is known in memory: the tail of entries that the projections have not seen, claims and slots in flight. One lock,
//! never held across an await.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use tendon_kernel::{
    Id,
    sockets::ledger::{Body, Claim, Entry, Facts},
};

use crate::{
    cache::{Cache, Filter},
    segment::Place,
    tokens::Token,
    tree::Hash,
};

/// Tokens of projected subjects and claims kept in memory.
const CACHED: usize = 32_768;
/// Subjects and claims that the filters are made for.
const FILTERED: u64 = 1 << 20;

/// An entry with all that projecting and finding it need.
pub(crate) struct Item {
    /// As it was written or read. Its slot may have been erased since: `Inner::entry_of` (`read.rs`) and the projector show it without its
    /// body then.
    pub(crate) entry: Entry,
    pub(crate) place: Place,
    pub(crate) hash: Hash,
    pub(crate) slot: u64,
    /// Subject's or day's token; `None` when the slot was erased.
    pub(crate) owner: Option<Token>,
    /// The store may not know yet whose slot it is.
    pub(crate) owned: bool,
    pub(crate) claim: Option<ClaimRow>,
    /// Slots that this entry erases.
    pub(crate) erased: Vec<u64>,
    /// Memory it takes, roughly.
    pub(crate) weight: usize,
}

impl Item {
    /// The subject's token, when it has one that can be known.
    pub(crate) fn subject(&self) -> Option<Token> {
        self.entry.body.as_ref().and_then(|body| body.subject.as_ref()).and(self.owner)
    }
}

/// A claim as projections keep it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClaimRow {
    pub(crate) token: Token,
    pub(crate) fingerprint: Token,
}

/// Who holds a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) seq: u64,
    pub(crate) id: Id,
    pub(crate) fingerprint: Token,
}

#[derive(Clone, Copy)]
enum Claimed {
    /// By an entry that is not durable yet.
    Pending,
    Held(Held),
}

/// What memory says of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<T> {
    Yes(T),
    No,
    /// Only the store can tell.
    Ask,
    /// An entry in flight claims it.
    Wait,
}

/// See the module's head.
pub(crate) struct Desk {
    pub(crate) size: u64,
    pub(crate) projected: u64,
    pub(crate) stopped: Option<String>,
    pub(crate) tail: VecDeque<Arc<Item>>,
    pub(crate) tail_weight: usize,
    pub(crate) by_id: BTreeSet<(Id, u64)>,
    claims: HashMap<Token, Claimed>,
    old_claims: Cache<Token, Held>,
    fresh: HashMap<Token, u64>,
    slots: Cache<Token, u64>,
    gone: HashSet<Token>,
    pub(crate) slot_filter: Filter,
    pub(crate) claim_filter: Filter,
    erasures: u64,
}

impl Desk {
    pub(crate) fn new(size: u64) -> Self {
        Self {
            size,
            projected: size,
            stopped: None,
            tail: VecDeque::new(),
            tail_weight: 0,
            by_id: BTreeSet::new(),
            claims: HashMap::new(),
            old_claims: Cache::new(CACHED),
            fresh: HashMap::new(),
            slots: Cache::new(CACHED),
            gone: HashSet::new(),
            slot_filter: Filter::new(FILTERED),
            claim_filter: Filter::new(FILTERED),
            erasures: 0,
        }
    }

    /// Changes when something was forgotten or erased: an answer of the store from before may be stale then.
    pub(crate) fn generation(&self) -> u64 {
        self.slots.rotations + self.old_claims.rotations + self.erasures
    }

    /// The slot of a subject or day.
    pub(crate) fn slot_of(&mut self, owner: &Token) -> Known<u64> {
        if let Some(slot) = self.fresh.get(owner) {
            return Known::Yes(*slot);
        }
        if let Some(slot) = self.slots.get(owner) {
            return Known::Yes(slot);
        }
        if self.gone.contains(owner) || !self.slot_filter.maybe(owner) { Known::No } else { Known::Ask }
    }

    /// A new owner took this slot.
    pub(crate) fn own(&mut self, owner: Token, slot: u64) {
        self.fresh.insert(owner, slot);
        self.slot_filter.insert(&owner);
    }

    /// The store said so.
    pub(crate) fn learn_slot(&mut self, owner: Token, slot: u64) {
        self.slots.put(owner, slot);
    }

    /// Whether the projections still have to learn who owns the slot.
    pub(crate) fn is_fresh(&self, owner: &Token) -> bool {
        self.fresh.contains_key(owner)
    }

    /// Who holds a claim.
    pub(crate) fn claimed(&mut self, claim: &Token) -> Known<Held> {
        match self.claims.get(claim) {
            Some(Claimed::Pending) => return Known::Wait,
            Some(Claimed::Held(held)) => return Known::Yes(*held),
            None => {}
        }
        match self.old_claims.get(claim) {
            Some(held) => Known::Yes(held),
            None if self.claim_filter.maybe(claim) => Known::Ask,
            None => Known::No,
        }
    }

    /// Reserves a claim for an entry in flight.
    pub(crate) fn reserve(&mut self, claim: Token) {
        self.claims.insert(claim, Claimed::Pending);
    }

    /// The entry in flight failed.
    pub(crate) fn release(&mut self, claim: &Token) {
        self.claims.remove(claim);
    }

    /// The store said so.
    pub(crate) fn learn_claim(&mut self, claim: Token, held: Held) {
        self.old_claims.put(claim, held);
    }

    /// The entry is durable: it can be found from now on.
    pub(crate) fn settle(&mut self, item: Arc<Item>) {
        self.size = item.entry.seq + 1;
        self.tail_weight += item.weight;
        self.by_id.insert((item.entry.facts.id, item.entry.seq));
        if let Some(claim) = item.claim {
            self.claim_filter.insert(&claim.token);
            let held = Held { seq: item.entry.seq, id: item.entry.facts.id, fingerprint: claim.fingerprint };
            self.claims.insert(claim.token, Claimed::Held(held));
        }
        self.tail.push_back(item);
    }

    /// The projections hold the first entries of the tail now, as given: without body where a slot was erased meanwhile.
    pub(crate) fn forget<'a>(&mut self, seen: impl Iterator<Item = &'a Item>) {
        for seen in seen {
            let Some(item) = self.tail.pop_front() else { return };
            self.projected = item.entry.seq + 1;
            self.tail_weight -= item.weight.min(self.tail_weight);
            self.by_id.remove(&(item.entry.facts.id, item.entry.seq));
            if let Some(owner) = item.owner
                && self.fresh.get(&owner) == Some(&item.slot)
            {
                self.fresh.remove(&owner);
                self.slots.put(owner, item.slot);
                self.gone.remove(&owner);
            }
            if let Some(claim) = item.claim
                && let Some(Claimed::Held(held)) = self.claims.get(&claim.token).copied()
                && held.seq == item.entry.seq
            {
                self.claims.remove(&claim.token);
                if seen.claim.is_some() {
                    self.old_claims.put(claim.token, held);
                }
            }
        }
    }

    /// A subject is being erased: its next entry takes a new slot, whatever the store still says.
    pub(crate) fn disown(&mut self, owner: Token) {
        self.fresh.remove(&owner);
        self.slots.remove(&owner);
        self.gone.insert(owner);
        self.erasures += 1;
    }

    /// The subject's erasure is projected: the store says what is true again, and its claims are free.
    pub(crate) fn erased(&mut self, owner: &Token, claims: &[Token]) {
        if !self.fresh.contains_key(owner) {
            self.gone.remove(owner);
        }
        for claim in claims {
            self.old_claims.remove(claim);
        }
        self.erasures += 1;
    }

    /// The entry at a position, when it is in the tail.
    pub(crate) fn at(&self, seq: u64) -> Option<Arc<Item>> {
        let first = self.tail.front()?.entry.seq;
        self.tail.get(usize::try_from(seq.checked_sub(first)?).ok()?).cloned()
    }
}

/// The fingerprint's answer for a claim.
pub(crate) fn committed(held: Held, fingerprint: Token) -> tendon_kernel::sockets::ledger::Committed {
    let same_input = held.fingerprint == fingerprint;
    tendon_kernel::sockets::ledger::Committed::Taken { seq: held.seq, id: held.id, same_input }
}

/// Roughly the memory of an entry.
pub(crate) fn weight(facts: &Facts, body: &Body, claim: Option<&Claim>) -> usize {
    let parts = [&body.input, &body.output, &body.explanation, &body.more];
    let content: usize = parts.iter().map(|part| part.len()).sum();
    512 + content + facts.integration.len() + claim.map_or(0, |claim| claim.scope.len())
}
