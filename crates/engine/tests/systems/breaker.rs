//! The breaker against a model that keeps every call since the system was last well, and counts anew each time.

use std::{cell::Cell, sync::Arc, time::Duration};

use tendon_engine::systems::{BreakerLimits, BreakerState, Limits, System};
use tendon_testkit::{Rng, Sim, sweep};

use crate::{End, Gave, Scripted, start_until};

const TICK: Duration = Duration::from_millis(1);

/// What the breaker should do, told from the whole history.
struct Model {
    limits: BreakerLimits,
    state: BreakerState,
    /// Since the last change of state: whether each call that began after it was bad.
    ended: Vec<bool>,
    /// Calls begun since the last change of state and not ended.
    under_way: usize,
    changes: usize,
    until: Duration,
    openings: u32,
    /// When the oldest call began that was given up since the last answer.
    silent: Option<Duration>,
}

impl Model {
    fn change(&mut self, state: BreakerState) {
        (self.state, self.under_way) = (state, 0);
        self.changes += 1;
        self.ended.clear();
    }

    /// Whether a call may begin.
    fn begins(&mut self, now: Duration) -> bool {
        if self.state == BreakerState::Open && now >= self.until {
            self.change(BreakerState::HalfOpen);
        }
        let free = match self.state {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => self.under_way + self.ended.len() < self.limits.probes,
        };
        self.under_way += usize::from(free);
        free
    }

    /// A call ended that began when `changes` were counted; whether it opened the breaker.
    fn ends(&mut self, changes: usize, bad: bool) -> bool {
        if changes != self.changes {
            return false;
        }
        self.under_way -= 1;
        self.ended.push(bad);
        let opens = match self.state {
            BreakerState::Open => false,
            BreakerState::HalfOpen => bad,
            BreakerState::Closed => {
                let last = &self.ended[self.ended.len().saturating_sub(self.limits.window)..];
                let share = last.iter().filter(|bad| **bad).count() as f64 / last.len() as f64;
                let row = last.iter().rev().take_while(|bad| **bad).count();
                row >= self.limits.calls || (last.len() >= self.limits.calls && share >= self.limits.share)
            }
        };
        if opens {
            self.change(BreakerState::Open);
            self.openings += 1;
        } else if self.state == BreakerState::HalfOpen && self.ended.len() == self.limits.probes {
            self.change(BreakerState::Closed);
            self.openings = 0;
        }
        opens
    }

    /// A call was given up; whether it opened the breaker.
    fn given_up(&mut self, changes: usize, began: Duration, now: Duration) -> bool {
        let silent = self.silent.map_or(began, |silent| silent.min(began));
        self.silent = Some(silent);
        if now - silent >= self.limits.slow {
            return self.ends(changes, true);
        }
        self.under_way -= usize::from(changes == self.changes);
        false
    }
}

/// A call under way: its handles, when it began, in which period of the model.
struct Call {
    gave: Gave,
    end: tokio::sync::oneshot::Sender<End>,
    quit: tokio::sync::oneshot::Sender<()>,
    began: Duration,
    changes: usize,
}

/// One history of calls, random but for the seed.
struct History {
    sim: Sim,
    rng: Rng,
    connector: Arc<Scripted>,
    system: Arc<System>,
    model: Model,
    open: Vec<Call>,
    /// Failures among a hundred calls.
    trouble: u64,
    openings: u32,
    silent_openings: u32,
    well_again: u32,
}

impl History {
    fn new(seed: u64) -> Self {
        let (sim, mut rng) = (Sim::new(seed), Rng::stream(seed, "history"));
        let calls = 1 + rng.index(5);
        let limits = BreakerLimits {
            window: calls + rng.index(8),
            calls,
            share: [0.2, 0.5, 0.9, 1.0][rng.index(4)],
            slow: Duration::from_secs(5),
            probes: 1 + rng.index(3),
            wait: Duration::from_millis(500),
            longest: Duration::from_secs(4),
        };
        let connector = Arc::new(Scripted::default());
        let whole =
            Limits { concurrency: 8, timeout: Duration::from_secs(9_000), breaker: limits, ..Limits::default() };
        let system = Arc::new(System::new("crm", connector.clone(), whole, sim.context()));
        let state = BreakerState::Closed;
        let until = Duration::ZERO;
        let model =
            Model { limits, state, ended: Vec::new(), under_way: 0, changes: 0, until, openings: 0, silent: None };
        let trouble = rng.below(100);
        Self {
            sim,
            rng,
            connector,
            system,
            model,
            open: Vec::new(),
            trouble,
            openings: 0,
            silent_openings: 0,
            well_again: 0,
        }
    }

    fn begin(&mut self) {
        let began = self.sim.now();
        let (quit, quits) = tokio::sync::oneshot::channel();
        let gave = start_until(&self.sim, &self.system, async move { drop(quits.await) });
        self.sim.run_for(TICK);
        if self.model.begins(began) {
            let end = self.connector.call().unwrap_or_else(|| panic!("refused: {:?}", gave.lock().unwrap()));
            self.open.push(Call { gave, end, quit, began, changes: self.model.changes });
        } else {
            assert_eq!(*gave.lock().unwrap(), Some(Err("circuit_open".to_owned())));
        }
    }

    fn end(&mut self) {
        let call = self.open.swap_remove(self.rng.index(self.open.len()));
        let end = match self.rng.below(100) {
            chance if chance < self.trouble => End::Fails,
            chance if chance % 5 == 0 => End::Refuses,
            _ => End::Well,
        };
        let (at, before) = (self.sim.now(), self.model.openings);
        call.end.send(end).unwrap();
        let slow = at - call.began > self.model.limits.slow;
        self.model.silent = None;
        let opened = self.model.ends(call.changes, end == End::Fails || slow);
        self.sim.run_for(TICK);
        let code = match end {
            End::Well => Ok(()),
            End::Fails => Err("system_failed".to_owned()),
            End::Refuses => Err("wrong_request".to_owned()),
        };
        assert_eq!(*call.gave.lock().unwrap(), Some(code));
        self.settled(at, before, opened);
    }

    fn give_up(&mut self) {
        let call = self.open.swap_remove(self.rng.index(self.open.len()));
        let (at, before) = (self.sim.now(), self.model.openings);
        call.quit.send(()).unwrap();
        let opened = self.model.given_up(call.changes, call.began, at);
        self.sim.run_for(TICK);
        self.silent_openings += u32::from(opened);
        self.settled(at, before, opened);
    }

    fn settled(&mut self, at: Duration, before: u32, opened: bool) {
        if opened {
            // The wait is drawn: it must lie in its range, and then holds.
            let limits = self.model.limits;
            let wait = (self.system.retry_in() + self.sim.now()).saturating_sub(at);
            let whole = (limits.wait * 2u32.pow(before.min(10))).min(limits.longest);
            assert!(wait + TICK >= whole / 2 && wait <= whole + TICK, "{wait:?} of {whole:?}");
            self.model.until = self.sim.now() + self.system.retry_in();
        }
        self.openings += u32::from(opened);
        self.well_again += u32::from(before > 0 && self.model.openings == 0);
    }
}

#[test]
fn it_does_what_counting_from_scratch_says() {
    let (openings, silent, well_again) = (Cell::new(0), Cell::new(0), Cell::new(0));
    sweep(300, |seed| {
        let mut history = History::new(seed);
        for _ in 0..200 {
            match history.rng.below(10) {
                0..=4 if history.open.len() < 8 => history.begin(),
                0..=6 if !history.open.is_empty() => history.end(),
                7 if !history.open.is_empty() => history.give_up(),
                _ => {
                    let pause = Duration::from_millis(history.rng.below(2_500));
                    history.sim.run_for(pause);
                }
            }
            let (state, failure) = history.system.breaker();
            assert_eq!(state, history.model.state);
            assert!(state == BreakerState::Closed || failure.is_some(), "an open breaker says why");
        }
        openings.set(openings.get() + history.openings);
        silent.set(silent.get() + history.silent_openings);
        well_again.set(well_again.get() + history.well_again);
    });
    let (openings, silent, well_again) = (openings.get(), silent.get(), well_again.get());
    println!("{openings} openings, {silent} by silence, {well_again} times well again");
    assert!(openings > 500 && silent > 20 && well_again > 50, "too tame: {openings} {silent} {well_again}");
}

/// What callers in a hurry see of a system: each waits so long, `turns` times. Where the breaker stands then.
fn hurried(wait: Duration, turns: u32, answers: impl Fn(u32) -> bool) -> BreakerState {
    let sim = Sim::new(1);
    let connector = Arc::new(Scripted::default());
    let system = Arc::new(System::new("crm", connector.clone(), Limits::default(), sim.context()));
    for turn in 0..turns {
        let (clock, begun) = (sim.context().clock, sim.now());
        let gave = start_until(&sim, &system, async move { clock.sleep(wait).await });
        if answers(turn) {
            sim.run_for(TICK);
            // Those that were given up stand before it.
            while connector.call().unwrap().send(End::Well).is_err() {}
        }
        sim.run_until(begun + wait + TICK);
        assert_eq!(gave.lock().unwrap().is_some(), answers(turn));
    }
    system.breaker().0
}

#[test]
fn a_system_that_hangs_is_found_out_by_callers_who_wait_for_less_than_a_slow_call() {
    let (second, slow) = (Duration::from_secs(1), BreakerLimits::default().slow);
    assert!(slow == 5 * second && BreakerLimits::default().calls == 5);
    // Silent for as long as a slow call takes after five of them; then five bad ones in a row.
    assert_eq!(hurried(second, 8, |_| false), BreakerState::Closed);
    assert_eq!(hurried(second, 9, |_| false), BreakerState::Open);
    // One who waits for that long itself says so at once.
    assert_eq!(hurried(slow, 4, |_| false), BreakerState::Closed);
    assert_eq!(hurried(slow, 5, |_| false), BreakerState::Open);
    // It answers others: then hurry is the callers' own affair.
    assert_eq!(hurried(second, 60, |turn| turn % 5 == 0), BreakerState::Closed);
}
