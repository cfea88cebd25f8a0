//! Admit: may this caller ask this, is there time left, is there room. What is refused here is no decision; it is counted
//! and summarised in the ledger. Only what nobody asks again, a change in a watched system, waits for room.

use std::{sync::Arc, time::Duration};

use tendon_kernel::{Error, ErrorKind, Result, context::Deadline, decision::Door};

use crate::{
    ask::{Ask, Caller, Priority},
    engine::Engine,
    path::Admitted,
    room::Room,
    runtime::Ready,
};

/// Time that a request has when neither it nor its integration names one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Whether this caller may ask this integration at all; counted when not. One that it may not ask looks to it like one that
/// does not exist only if it does not exist: names are no secret, keys are.
pub(crate) fn may_ask(engine: &Engine, caller: &Caller, integration: &str) -> Result<Arc<Ready>> {
    let runtime = engine.runtime();
    let (known, error) = match runtime.ready(integration) {
        Some(ready) if allows(caller, integration) => return Ok(Arc::clone(ready)),
        Some(ready) => (ready.plan.name.as_ref(), forbidden(&ready.plan.name)),
        None => ("", unknown()),
    };
    engine.refusals.count(known, error.code());
    Err(error)
}

/// Lets an ask in, or says why not.
pub(crate) async fn run(engine: &Engine, ask: &Ask) -> Result<Admitted> {
    let ready = may_ask(engine, &ask.caller, &ask.integration)?;
    let runtime = engine.runtime();
    let refuse = |known: &str, error: Error| {
        engine.refusals.count(known, error.code());
        Err(error)
    };
    let name = ready.plan.name.as_ref();
    let deadline = ask.deadline.unwrap_or_else(|| usual_deadline(engine, &ready));
    if deadline.passed(&*engine.context.clock) {
        return refuse(name, late(name));
    }
    let room = match room(engine, ask, runtime.plan().limits.in_flight, deadline).await {
        Some(room) => room,
        None if deadline.passed(&*engine.context.clock) => return refuse(name, late(name)),
        None => {
            engine.rooms.shed(ask.priority);
            return refuse(name, overloaded(name));
        }
    };
    if let Err(error) = engine.allowances.decide(&ask.caller.scope, ask.items.len()) {
        return refuse(name, error.with("integration", name));
    }
    Ok(Admitted { ready: Arc::clone(&ready), deadline, room })
}

async fn room(engine: &Engine, ask: &Ask, most: usize, deadline: Deadline) -> Option<Room> {
    let count = ask.items.len();
    if ask.door != Door::Events {
        return engine.rooms.take(count, ask.priority, most);
    }
    let clock = &engine.context.clock;
    tokio::select! {
        biased;
        room = engine.rooms.wait(count, most) => Some(room),
        () = clock.sleep(deadline.left(&**clock)) => None,
    }
}

/// When an answer is due if its request does not say so.
pub(crate) fn usual_deadline(engine: &Engine, ready: &Ready) -> Deadline {
    engine.context.deadline_in(ready.plan.api.as_ref().map_or(PATIENCE, |api| api.deadline))
}

/// Lets a request in that is to be decided later, or says why not. Whether there is a place for it is asked when its key is
/// known to be new.
pub(crate) fn request(
    engine: &Engine,
    caller: &Caller,
    integration: &str,
    deadline: Option<Deadline>,
) -> Result<Arc<Ready>> {
    let ready = may_ask(engine, caller, integration)?;
    let name = ready.plan.name.as_ref();
    let refused = match deadline {
        Some(deadline) if deadline.passed(&*engine.context.clock) => Err(late(name)),
        _ => engine.allowances.decide(&caller.scope, 1).map_err(|error| error.with("integration", name)),
    };
    match refused {
        Ok(_) => Ok(Arc::clone(&ready)),
        Err(error) => {
            engine.refusals.count(name, error.code());
            Err(error)
        }
    }
}

fn unknown() -> Error {
    Error::new(ErrorKind::NotFound, "integration_unknown", "there is no integration of this name")
        .hint("GET /v1/integrations lists those that your key may ask")
}

fn forbidden(name: &str) -> Error {
    Error::new(ErrorKind::Forbidden, "integration_forbidden", "this key may not ask this integration")
        .with("integration", name)
        .hint("ask the owner of the project for a key that names it (`tendon keys create --integration`)")
}

fn late(name: &str) -> Error {
    Error::new(ErrorKind::Timeout, "deadline_passed", "the deadline had passed when the request was let in")
        .with("integration", name)
        .hint("ask again, with more time")
}

/// For doors: whether it is worth reading a question to this integration. That there is room is no promise, and what else is wrong
/// the path says.
pub(crate) fn has_room(engine: &Engine, caller: &Caller, integration: &str) -> Result<()> {
    let runtime = engine.runtime();
    let Some(ready) = runtime.ready(integration).filter(|_| allows(caller, integration)) else { return Ok(()) };
    if engine.rooms.has(runtime.plan().limits.in_flight) {
        return Ok(());
    }
    engine.rooms.shed(Priority::Live);
    Err(overloaded(&ready.plan.name))
}

fn allows(caller: &Caller, integration: &str) -> bool {
    caller.integrations.as_ref().is_none_or(|names| names.iter().any(|name| name == integration))
}

fn overloaded(name: &str) -> Error {
    Error::new(ErrorKind::Overloaded, "overloaded", "too many decisions are under way")
        .with("integration", name)
        .hint("ask again after a short, random pause")
}
