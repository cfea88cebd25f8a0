//! Everybody who is in a crowded town at once, each a task that lives as long as the process does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_engine::{
    Engine,
    ask::{Ask, Caller, Input, Item, Priority},
    requests::Request,
    reviews::{Verdict, Wish},
};
use tendon_kernel::{
    Id,
    context::Context,
    decision::{Decision, Door, Outcome},
};
use tendon_plan::Plan;
use tendon_testkit::Rng;

use super::{STATES, states::Known};
use crate::town::{Process, erasure, runtime};

fn caller(name: &str) -> Caller {
    Caller { id: name.into(), scope: name.into(), integrations: None }
}

/// Whom a question with this input is about.
pub fn subject(x: i64) -> String {
    format!("7{x}")
}

fn text(x: i64) -> String {
    format!(r#"{{"id": 7{x}, "x": {x}}}"#)
}

fn noted(known: &Known, decision: &Decision, x: i64) {
    match decision.outcome {
        Outcome::Ok => STATES.saw("a decision was answered"),
        Outcome::Rejected => return STATES.saw("a decision was refused for its input"),
        _ => {}
    }
    known.answered.lock().unwrap().insert(decision.id, (subject(x), x, decision.output));
}

/// Sends batches, with a record now and then that cannot be read.
pub async fn batches(engine: Arc<Engine>, context: Context, known: Arc<Known>, mut rng: Rng) {
    loop {
        let asked: Vec<i64> = (0..2 + rng.below(12)).map(|_| rng.below(100) as i64).collect();
        let broken = rng.index(asked.len() * 2);
        let item = |(at, x): (usize, &i64)| {
            let text = if at == broken { text(*x).replace(": 7", ": \"7\", \"y\": ") } else { text(*x) };
            Item { input: Input::Json(text.into()), idempotency_key: None, row: None }
        };
        let ask = Ask {
            caller: caller("batcher"),
            door: Door::Batch,
            integration: "score".into(),
            priority: Priority::Backfill,
            explain: false,
            deadline: Some(context.deadline_in(Duration::from_millis(400))),
            items: asked.iter().enumerate().map(item).collect(),
        };
        if let Ok(answers) = engine.decide(ask).await {
            STATES.saw("a batch was asked");
            assert_eq!(answers.items.len(), asked.len(), "one answer for one record");
            for (x, answer) in asked.iter().zip(answers.items) {
                if let Ok(answer) = answer {
                    noted(&known, &answer.decision, *x);
                }
            }
        }
        context.clock.sleep(Duration::from_micros(rng.below(150_000))).await;
    }
}

/// Asks for answers that come later, each key again and again.
pub async fn requests(engine: Arc<Engine>, context: Context, known: Arc<Known>, mut rng: Rng) {
    loop {
        let number = rng.below(40);
        let (key, x) = (format!("later {number}"), (number * 31 % 100) as i64);
        let request = Request {
            caller: caller("asker"),
            integration: "score".into(),
            input: text(x).into(),
            idempotency_key: Some(key.clone()),
            explain: false,
            callback: None,
            deadline: None,
        };
        if let Ok(accepted) = engine.accept(request).await {
            STATES.saw("a request was accepted");
            let mut promised = known.promised.lock().unwrap();
            // Who was erased may come back: then the key stands for another decision.
            let gone = known.erasing.lock().unwrap().contains(&subject(x));
            let before = promised.insert(key.clone(), (subject(x), x, accepted.id));
            if let Some((_, _, before)) = before.filter(|_| !gone) {
                assert_eq!(before, accepted.id, "{key} stands for two decisions");
                STATES.saw("an answer was given again for its key");
            }
        }
        context.clock.sleep(Duration::from_micros(rng.below(60_000))).await;
    }
}

/// Answers what waits for a person, now and then with a colleague at the same moment.
pub async fn reviewer(engine: Arc<Engine>, context: Context, known: Arc<Known>, mut rng: Rng) {
    loop {
        context.clock.sleep(Duration::from_micros(rng.below(200_000))).await;
        let waiting = engine.reviews().list(None, 20, |_| true);
        if waiting.is_empty() {
            continue;
        }
        let id = waiting[rng.index(waiting.len())].id;
        answer(&engine, &known, id, &mut rng).await;
    }
}

/// One verdict.
pub async fn answer(engine: &Arc<Engine>, known: &Known, id: Id, rng: &mut Rng) {
    let verdict = match rng.below(4) {
        0 => Verdict::Reject,
        1 => Verdict::Approve,
        _ => Verdict::Override(0.5),
    };
    let wish = Wish { id, verdict, caller: "desk".into(), by: "Ada".into(), note: None };
    let twice = if rng.chance(1, 3) {
        // A colleague says something else.
        let colleague = engine.review(Wish { verdict: Verdict::Override(0.6), by: "Bob".into(), ..wish.clone() });
        let both = futures_util::future::join(engine.review(wish), colleague).await;
        assert!(both.0.is_err() || both.1.is_err(), "two verdicts about {id} were taken");
        STATES.saw_times("a second verdict was turned away", usize::from(both.0.is_ok() != both.1.is_ok()));
        both.0.or(both.1)
    } else {
        engine.review(wish).await
    };
    match twice {
        Ok(stands) => {
            if known.waited.lock().unwrap().contains(&id) {
                STATES.saw("a person answered what waited through a power cut");
            }
            STATES.saw(if stands.output.is_some() { "a person answered" } else { "a person refused" });
            known.verdicts.lock().unwrap().insert(id, stands.output);
        }
        Err(error) if error.code() == "nothing_to_approve" => {
            STATES.saw("a verdict was approved and there was nothing to approve");
        }
        Err(_) => {}
    }
}

/// Erases somebody as the command does, now and then.
pub async fn eraser(process: Arc<Process>, context: Context, known: Arc<Known>, mut rng: Rng) {
    loop {
        context.clock.sleep(Duration::from_micros(rng.below(800_000))).await;
        let subject = subject(rng.below(100) as i64);
        let engine = &process.engine;
        let facts = erasure(&context);
        let held = engine.requests().hold().await;
        let reviews = engine.reviews().hold().await;
        known.erasing.lock().unwrap().insert(subject.clone());
        let erased = engine.erase(&subject, facts).await;
        drop(held);
        // Nothing may have been decided about this person yet.
        let Ok(erased) = erased else { continue };
        engine.reviews_erased(&erased).await;
        drop(reviews);
        process.outbox.erased(&subject, erased.seq).await;
        STATES.saw("a subject was erased");
        known.erased.lock().unwrap().insert(subject, erased.seq);
    }
}

/// Puts one plan or the other in force, now and then.
pub async fn reloader(process: Arc<Process>, context: Context, plans: [Arc<Plan>; 2], mut rng: Rng) {
    loop {
        context.clock.sleep(Duration::from_micros(rng.below(1_000_000))).await;
        let plan = &plans[rng.index(2)];
        let systems: BTreeMap<_, _> = process.systems.clone();
        process.engine.install(runtime(plan, &systems).unwrap());
        STATES.saw("a plan was exchanged");
    }
}

/// Looks at the circuit breakers.
pub async fn watcher(process: Arc<Process>, context: Context) {
    loop {
        for system in process.systems.values() {
            match serde_json::to_value(system.breaker().0).unwrap().as_str() {
                Some("open") => STATES.saw("a breaker was open"),
                Some("half_open") => STATES.saw("a breaker was probed"),
                _ => {}
            }
        }
        context.clock.sleep(Duration::from_millis(7)).await;
    }
}
