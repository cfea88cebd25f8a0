//! Asking: the distinct keys of a batch, one read of the system, and what became of each key.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Type, Value, context::Deadline, decision::LookupState, sockets::connector::Row,
};
use tendon_plan::lookup::LookupPlan;

use super::{
    FoundRow, LookedUp, LookupMeters, World,
    copies::{Copied, Token},
};
use crate::{
    batch::{Batch, Case, scope},
    record_format::write_json,
    runtime::Ready,
    systems::System,
    wire,
};

/// A key, encoded so that equal keys are equal bytes.
type Encoded = String;

/// What was found, by key.
pub(super) type Answers = BTreeMap<Encoded, LookedUp>;

/// One lookup for the cases of one batch.
pub(super) struct Asking<'a> {
    index: usize,
    lookup: &'a LookupPlan,
    /// Whether each of its fields must be there, and its type.
    fields: Vec<(bool, Type)>,
    names: Arc<[String]>,
    system: Option<&'a Arc<System>>,
    meters: Option<&'a LookupMeters>,
    /// The keys, with the cases that need them.
    keys: BTreeMap<Encoded, (Vec<Value>, Vec<usize>)>,
    /// Cases whose key is null or has no value.
    keyless: Vec<usize>,
}

impl<'a> Asking<'a> {
    /// Collects the keys of the cases that go on.
    pub(super) fn new(ready: &'a Ready, index: usize, batch: &Batch) -> Self {
        let plan = &ready.plan.lookups;
        let lookup = &plan.list[index];
        let fields = plan.schema.fields.iter().skip(lookup.first).take(lookup.fields.len());
        let mut asking = Self {
            index,
            lookup,
            fields: fields.map(|field| (field.required, field.kind)).collect(),
            names: lookup.fields.clone().into(),
            system: ready.sources.get().and_then(|sources| sources.get(index)?.as_ref()),
            meters: ready.lookup_meters.get().and_then(|meters| meters.get(index)),
            keys: BTreeMap::new(),
            keyless: Vec::new(),
        };
        let asks = |case: &Case| case.is_open() && case.attempt.is_none() && case.recall.hit.is_none();
        for (place, case) in batch.cases.iter().enumerate().filter(|(_, case)| asks(case)) {
            let Some(record) = &case.record else { continue };
            let scope = scope(record, batch.at, None, None);
            let part = |part: &tendon_plan::lookup::KeyPart| fitted(part.program.eval(&scope).ok()?, part.kind);
            match lookup.key.iter().map(part).collect::<Option<Vec<Value>>>() {
                Some(key) => asking.keys.entry(encoded(&key)).or_insert_with(|| (key, Vec::new())).1.push(place),
                None => asking.keyless.push(place),
            }
        }
        asking
    }

    /// What is found for each key: in the copies, in the system, or why nothing was.
    pub(super) async fn answer(&self, world: &World<'_>, deadline: Deadline) -> Answers {
        let clock = &*world.context.clock;
        let begun = (clock.monotonic(), clock.now());
        let mut answers = Answers::new();
        let mut asked: Vec<(&Encoded, &Vec<Value>, Token)> = Vec::new();
        for (encoded, (key, _)) in &self.keys {
            let token = world.copies.map_or([0; 16], |copies| copies.token(self.lookup, encoded));
            match world.copies.and_then(|copies| copies.get(&token, begun.0, self.lookup.fresh)) {
                Some(copy) => {
                    let found = self.copied(copy, begun.0, None);
                    self.count(found.state, true);
                    answers.insert(encoded.clone(), found);
                }
                None => asked.push((encoded, key, token)),
            }
        }
        if asked.is_empty() {
            return answers;
        }
        let cleared = world.copies.map_or(0, super::Copies::cleared);
        let keys: Vec<Vec<Value>> = asked.iter().map(|(_, key, _)| (*key).clone()).collect();
        let rows = self.read(world, deadline, &keys).await.map(|rows| self.sorted(rows));
        if let Some(meters) = self.meters {
            meters.asked(keys.len());
            meters.seconds.observe_duration(clock.monotonic().saturating_sub(begun.0));
        }
        for (encoded, _, token) in asked {
            let found = match &rows {
                Ok(rows) => match rows.get(encoded) {
                    Some(Ok(values)) => {
                        self.keep(world, token, begun, Some(values.clone()), self.lookup.stale, cleared);
                        LookedUp { row: self.row(values.clone()), ..self.found(LookupState::Fresh, begun.1) }
                    }
                    Some(Err(why)) => self.without(world, &token, why),
                    None => {
                        // That there is no row is believed for as long as a row would be, and no longer.
                        self.keep(world, token, begun, None, self.lookup.fresh, cleared);
                        self.found(LookupState::Missing, begun.1)
                    }
                },
                Err(error) => self.without(world, &token, error.code()),
            };
            self.count(found.state, false);
            answers.insert(encoded.clone(), found);
        }
        answers
    }

    /// Gives the cases what was found for their keys.
    pub(super) fn hand_out(&self, answers: &Answers, now: Timestamp, batch: &mut Batch) {
        let mut give = |place: usize, found: Option<&LookedUp>| {
            let looked = batch.cases.get_mut(place).and_then(|case| case.looked.get_mut(self.index));
            if let Some(looked) = looked {
                *looked = found.cloned();
            }
        };
        for (encoded, (_, places)) in &self.keys {
            places.iter().for_each(|&place| give(place, answers.get(encoded)));
        }
        let keyless = LookedUp { why: Some("no_key".into()), ..self.found(LookupState::Missing, now) };
        self.keyless.iter().for_each(|&place| give(place, Some(&keyless)));
    }

    async fn read(&self, world: &World<'_>, deadline: Deadline, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        let LookupPlan { resource, key, fields, .. } = self.lookup;
        let clock = &world.context.clock;
        let system = self.system.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "system_not_open", "the system of a lookup is not open here")
        })?;
        let key: Vec<String> = key.iter().map(|part| part.field.clone()).collect();
        tokio::select! {
            biased;
            rows = system.read(resource, &key, fields, keys) => rows,
            () = clock.sleep(self.lookup.deadline.min(deadline.left(&**clock))) => Err(Error::new(
                ErrorKind::Timeout,
                "lookup_late",
                "the system of a lookup did not answer in time",
            )),
        }
    }

    /// The rows of an answer by their key; what does not fit the plan is no row. Rows that were not asked for are nobody's.
    fn sorted(&self, rows: Vec<Row>) -> BTreeMap<Encoded, Result<Vec<Value>, &'static str>> {
        let mut sorted = BTreeMap::new();
        for Row { key, values } in rows {
            let kinds = self.lookup.key.iter().map(|part| part.kind);
            let same_length = key.len() == self.lookup.key.len();
            let key: Option<Vec<Value>> = key.into_iter().zip(kinds).map(|(value, kind)| fitted(value, kind)).collect();
            let Some(key) = key.filter(|_| same_length) else { continue };
            let values = self.values(values);
            let same = |known: &Result<Vec<Value>, &'static str>| *known == values;
            let twice = sorted.get(&encoded(&key)).is_some_and(|known| !same(known));
            sorted.insert(encoded(&key), if twice { Err("lookup_ambiguous") } else { values });
        }
        sorted
    }

    fn values(&self, values: Vec<Value>) -> Result<Vec<Value>, &'static str> {
        if values.len() != self.fields.len() {
            return Err("lookup_answer");
        }
        let fields = self.fields.iter().zip(values);
        let fit = |((required, kind), value): (&(bool, Type), Value)| {
            if value.is_null() { (!required).then_some(Value::Null) } else { fitted(value, *kind) }
        };
        fields.map(fit).collect::<Option<Vec<_>>>().ok_or("lookup_answer")
    }

    /// A row from before, when it is young enough; else a failure.
    fn without(&self, world: &World<'_>, token: &Token, why: &str) -> LookedUp {
        let now = world.context.clock.monotonic();
        let copy = world.copies.and_then(|copies| copies.get(token, now, self.lookup.stale));
        match copy.filter(|copy| copy.values.is_some()) {
            Some(copy) => self.copied(copy, now, Some(why)),
            None => {
                let failed = self.found(LookupState::Failed, world.context.clock.now());
                LookedUp { why: Some(why.into()), ..failed }
            }
        }
    }

    fn copied(&self, copy: Copied, now: Duration, why: Option<&str>) -> LookedUp {
        let state = match (&copy.values, why) {
            (None, _) => LookupState::Missing,
            (Some(_), None) => LookupState::Fresh,
            (Some(_), Some(_)) => LookupState::Stale,
        };
        let age = u64::try_from(now.saturating_sub(copy.read).as_millis()).unwrap_or(u64::MAX);
        LookedUp {
            age_ms: Some(age),
            why: why.map(Into::into),
            row: copy.values.and_then(|values| self.row(values)),
            ..self.found(state, copy.at)
        }
    }

    fn found(&self, state: LookupState, at: Timestamp) -> LookedUp {
        LookedUp { name: Arc::clone(&self.lookup.name), state, at, age_ms: None, why: None, row: None }
    }

    fn row(&self, values: Vec<Value>) -> Option<FoundRow> {
        Some(FoundRow { fields: Arc::clone(&self.names), values })
    }

    fn keep(
        &self,
        world: &World<'_>,
        token: Token,
        read: (Duration, Timestamp),
        values: Option<Vec<Value>>,
        keep: Duration,
        cleared: u64,
    ) {
        if let Some(copies) = world.copies {
            copies.put(token, read, values, keep, cleared);
        }
    }

    fn count(&self, state: LookupState, copied: bool) {
        if let Some(meters) = self.meters {
            meters.found(state, copied);
        }
    }
}

/// The value as one of this type; `None` for null and for another type. A zero has no sign: keys are compared by their text.
fn fitted(value: Value, kind: Type) -> Option<Value> {
    match (value, kind) {
        #[expect(clippy::cast_precision_loss, reason = "an int for a float field, as everywhere")]
        (Value::Int(value), Type::Float) => Some(Value::Float(value as f64)),
        (Value::Float(0.0), Type::Float) => Some(Value::Float(0.0)),
        (value, kind) => (value.kind() == Some(kind)).then_some(value),
    }
}

fn encoded(key: &[Value]) -> Encoded {
    let mut out = Vec::with_capacity(24 * key.len());
    for value in key {
        write_json(&mut out, &wire::Out(value));
        out.push(b',');
    }
    String::from_utf8(out).unwrap_or_default()
}
