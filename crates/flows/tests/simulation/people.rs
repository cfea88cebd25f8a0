//! The people of the town: clients who ask over the API and remember each acknowledgement, and colleagues who work in the
//! CRM: edit, take back, touch, commit late, write with a wrong clock.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tendon_engine::{
    Engine,
    ask::{Ask, Caller, Input, Item, Priority},
    reviews::{Verdict, Wish},
};
use tendon_kernel::{
    Value,
    context::Context,
    decision::{Decision, Door},
};
use tendon_testkit::{FakeSystem, Rng};

/// Rows of the CRM's table.
pub const ROWS: u64 = 12;

/// What a client knows; it outlives our power cuts.
pub struct Client {
    pub name: String,
    rng: Rng,
    /// The question under way: it keeps its key until it is answered.
    open: Option<(String, i64)>,
    asked: u64,
    /// Answers it got: key, input, decision.
    pub acknowledged: Vec<(String, i64, Arc<Decision>)>,
}

impl Client {
    pub fn new(seed: u64, number: u64) -> Self {
        let name = format!("client-{number}");
        Self { rng: Rng::stream(seed, &name), name, open: None, asked: 0, acknowledged: Vec::new() }
    }

    fn question(&mut self) -> (String, i64, bool) {
        // Now and then a client sends an old question again, as networks do.
        if self.rng.chance(1, 6)
            && let Some((key, x, _)) = self.acknowledged.get(self.rng.index(self.acknowledged.len().max(1)))
        {
            return (key.clone(), *x, false);
        }
        if self.open.is_none() {
            self.asked += 1;
            self.open = Some((format!("{}-{}", self.name, self.asked), self.rng.below(100) as i64));
        }
        let (key, x) = self.open.clone().unwrap_or_default();
        (key, x, true)
    }
}

/// Asks one question after the other, for as long as the process lives.
pub async fn call(engine: Arc<Engine>, context: Context, client: Arc<Mutex<Client>>) {
    loop {
        let (name, (key, x, open)) = {
            let mut client = client.lock().unwrap();
            (client.name.clone(), client.question())
        };
        let text = format!(r#"{{"id": 7{x}, "x": {x}}}"#);
        let name: Arc<str> = name.into();
        let ask = Ask {
            caller: Caller { id: name.clone(), scope: name, integrations: None },
            door: Door::Api,
            integration: "score".into(),
            priority: Priority::Live,
            explain: false,
            deadline: Some(context.deadline_in(Duration::from_millis(500))),
            items: vec![Item { input: Input::Json(text.into()), idempotency_key: Some(key.clone()), row: None }],
        };
        if let Ok(answers) = engine.decide(ask).await
            && let Some(Ok(answer)) = answers.items.into_iter().next()
        {
            let mut client = client.lock().unwrap();
            client.acknowledged.push((key, x, answer.decision));
            if open {
                client.open = None;
            }
        }
        let wait = client.lock().unwrap().rng.below(60_000);
        context.clock.sleep(Duration::from_micros(wait)).await;
    }
}

/// Sees what waits and lets it stand, as long as the process lives: later, sooner, and now and then twice.
pub async fn see(engine: Arc<Engine>, context: Context, mut rng: Rng) {
    loop {
        context.clock.sleep(Duration::from_micros(rng.below(400_000))).await;
        let waiting = engine.reviews().list(None, 1 + rng.index(4), |_| true);
        for one in waiting {
            let wish = Wish {
                id: one.id,
                verdict: Verdict::Approve,
                caller: "cli".into(),
                by: "somebody of the town".into(),
                note: None,
            };
            let again = rng.chance(1, 5).then(|| wish.clone());
            // What cannot be recorded now is seen again; what was erased waits no longer.
            let first = engine.review(wish).await;
            if let (Ok(first), Some(again)) = (first, again) {
                assert_eq!(engine.review(again).await.unwrap(), first);
            }
        }
    }
}

/// Works in the CRM for a while.
pub async fn work(crm: FakeSystem, context: Context, mut rng: Rng, edits: u64) {
    for _ in 0..edits {
        edit(&crm, &context, &mut rng).await;
        context.clock.sleep(Duration::from_micros(rng.below(120_000))).await;
    }
}

async fn edit(crm: &FakeSystem, context: &Context, rng: &mut Rng) {
    let id = Value::Int(rng.below(ROWS) as i64);
    let x = |rng: &mut Rng| Value::Int(rng.below(100) as i64);
    match rng.below(10) {
        // A late commit: the mark is taken now, and the row is seen when later marks were read already.
        0 => {
            let change = crm.begin("leads", [("id", id), ("x", x(rng))]);
            context.clock.sleep(Duration::from_micros(rng.below(1_500_000))).await;
            change.commit();
        }
        // Without the trigger: only the sweep can find it.
        1 => crm.plant("leads", [("id", id), ("x", x(rng))]),
        // Touched, but nothing in use changed.
        2 => crm.edit("leads", [("id", id), ("note", Value::text("called again"))]),
        // Changed and taken back at once: A, B, A.
        3 => {
            let before = crm.row("leads", std::slice::from_ref(&id)).and_then(|row| row.get("x").cloned());
            crm.edit("leads", [("id", id.clone()), ("x", x(rng))]);
            context.clock.sleep(Duration::from_micros(rng.below(400_000))).await;
            crm.edit("leads", [("id", id), ("x", before.unwrap_or_default())]);
        }
        // A colleague empties a field that the model needs.
        4 => crm.edit("leads", [("id", id), ("x", Value::Null)]),
        _ => crm.edit("leads", [("id", id), ("x", x(rng))]),
    }
}
