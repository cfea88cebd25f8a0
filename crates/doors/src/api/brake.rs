//! The brake: how soon a caller is told that there is no room. Each refusal is work for the processor that others wait for, and
//! whoever is told at once may ask again at once. So refusals leave at a measured pace; what comes faster is held back for a
//! moment, which costs nothing but the connection that is there anyway.
//!
//! Only a question that found no room is held: probes, lists, the console and whatever was let in never come here.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tendon_kernel::{
    context::Clock,
    metrics::{Gauge, Registry},
};
use tokio::sync::watch;

/// What the path says when it has no room.
pub(super) const NO_ROOM: &str = "overloaded";
/// Time between two refusals that leave as they come: a thousand in a second take a few hundredths of a processor.
const GAP: Duration = Duration::from_millis(1);
/// Longest time from a request to its refusal. Who is refused shall know within 100 ms; the rest is for the way in and out.
const LONGEST: Duration = Duration::from_millis(80);
/// Refusals held at once; more leave at once. Half of the connections that are taken are free to ask.
const MOST: usize = 2048;
/// How much one refusal's delay says about the next one's.
const WEIGHT: f64 = 0.1;

/// The brake of one process.
pub struct Brake {
    state: Mutex<State>,
    off: watch::Sender<bool>,
    held: Gauge,
}

#[derive(Default)]
struct State {
    /// When the next refusal may leave.
    next: Duration,
    held: usize,
    /// By how much refusals leave later than they are meant to, on average. A processor that is so busy lets requests wait as
    /// long before they are read, and nobody sees that here.
    late: Duration,
}

impl State {
    /// Until when the refusal of a request is held that began then and is given so much time; `None`: it leaves at once.
    fn hold(&mut self, began: Duration, given: Option<Duration>, now: Duration) -> Option<Duration> {
        let turn = self.next.max(now);
        self.next = (turn + GAP).min(now + LONGEST);
        // Never nothing: the later all is, the less a processor can bear to be asked again at once.
        let longest = LONGEST - (2 * self.late).min(LONGEST / 2);
        let until = turn.min(began + given.map_or(longest, |given| longest.min(given / 2)));
        let holds = until > now && self.held < MOST;
        self.held += usize::from(holds);
        holds.then_some(until)
    }

    fn left(&mut self, late: Duration) {
        self.late = self.late.mul_f64(1.0 - WEIGHT) + late.mul_f64(WEIGHT);
    }
}

impl Brake {
    /// A brake that tells how much it holds.
    pub fn new(metrics: &Registry) -> Self {
        let held = metrics.gauge("tendon_http_refusals_held", "Refusals that are held back for a moment.", &[]);
        Self { state: Mutex::default(), off: watch::Sender::new(false), held }
    }

    /// Returns when the refusal of a request may leave that began then and is given so much time.
    pub(super) async fn hold(&self, began: Duration, given: Option<Duration>, clock: &dyn Clock) {
        let now = clock.monotonic();
        let Some(until) = self.change(|state| state.hold(began, given, now)) else { return };
        let _held = (self.held.raise(), Held(self));
        let mut off = self.off.subscribe();
        tokio::select! {
            biased;
            // It cannot fail: who would switch it off is borrowed here.
            _ = off.wait_for(|off| *off) => {}
            () = clock.sleep(until.saturating_sub(now)) => {
                let late = clock.monotonic().saturating_sub(until);
                self.change(|state| state.left(late));
            }
        }
    }

    /// The process stops: what is held leaves now, and nothing is held any more.
    pub(super) fn release(&self) {
        self.off.send_replace(true);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A refusal that is held, until it leaves or its caller hangs up.
struct Held<'a>(&'a Brake);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.held -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join_all;
    use tendon_testkit::Sim;

    use super::*;

    /// So many are refused, one each `gap`; gives how long each was held.
    fn refused(brake: &Arc<Brake>, sim: &Sim, count: u32, gap: Duration) -> Vec<Duration> {
        let (brake, clock) = (brake.clone(), sim.context().clock);
        let one = move |place: u32| {
            let (brake, clock) = (brake.clone(), clock.clone());
            async move {
                clock.sleep(gap * place).await;
                let began = clock.monotonic();
                brake.hold(began, None, &*clock).await;
                clock.monotonic() - began
            }
        };
        sim.run(async move { join_all((0..count).map(one)).await }).done()
    }

    fn brake() -> Arc<Brake> {
        Arc::new(Brake::new(&Registry::default()))
    }

    #[test]
    fn a_few_refusals_leave_as_they_come() {
        let held = refused(&brake(), &Sim::new(1), 500, 2 * GAP);
        assert!(held.iter().all(|held| *held < GAP / 2), "{:?}", held.iter().max());
    }

    #[test]
    fn many_leave_one_after_the_other_and_none_is_held_for_longer_than_it_may() {
        let (brake, sim) = (brake(), Sim::new(2));
        let held = refused(&brake, &sim, 1000, GAP / 10);
        assert!(held.iter().all(|held| *held < LONGEST + GAP), "{:?}", held.iter().max());
        assert!(held[500..].iter().all(|held| *held > LONGEST / 2), "{:?}", held[500..].iter().min());
        // A while after the flood the next is told at once again.
        let (clock, calm) = (sim.context().clock, 2 * LONGEST);
        sim.run(async move { clock.sleep(calm).await }).done();
        assert!(refused(&brake, &sim, 1, GAP)[0] < GAP / 2);
        assert_eq!(brake.change(|state| state.held), 0);
    }

    #[test]
    fn only_so_many_are_held() {
        let mut state = State { next: LONGEST, ..State::default() };
        let held = (0..2 * MOST).filter(|_| state.hold(Duration::ZERO, None, Duration::ZERO).is_some()).count();
        assert_eq!(held, MOST);
    }

    #[test]
    fn what_waited_elsewhere_is_held_for_less() {
        let now = Duration::from_secs(1);
        let full = |late| State { next: now + LONGEST, late, ..State::default() };
        assert_eq!(full(Duration::ZERO).hold(now, None, now), Some(now + LONGEST));
        assert_eq!(full(Duration::ZERO).hold(now - LONGEST / 2, None, now), Some(now + LONGEST / 2));
        assert_eq!(
            full(LONGEST / 8).hold(now, None, now),
            Some(now + LONGEST * 3 / 4),
            "on the way in and on the way out"
        );
        assert_eq!(full(LONGEST).hold(now, None, now), Some(now + LONGEST / 2), "never nothing");
        assert_eq!(full(LONGEST).hold(now - LONGEST, None, now), None);
        let hurry = Some(LONGEST / 4);
        assert_eq!(full(Duration::ZERO).hold(now, hurry, now), Some(now + LONGEST / 8), "half of what a caller gives");
    }

    #[test]
    fn a_stop_lets_all_go_and_nothing_is_held_after_it() {
        let (brake, sim) = (brake(), Sim::new(3));
        let clock = sim.context().clock;
        let (holding, stopping) = (brake.clone(), brake.clone());
        let took = sim.run(async move {
            let began = clock.monotonic();
            holding.change(|state| state.next = began + LONGEST);
            let held = join_all((0..100).map(|_| holding.hold(began, None, &*clock)));
            let stop = async {
                clock.sleep(GAP).await;
                assert_eq!(stopping.change(|state| state.held), 100);
                stopping.release();
            };
            tokio::join!(held, stop);
            clock.monotonic() - began
        });
        assert!(took.done() < 2 * GAP);
        assert!(refused(&brake, &sim, 100, Duration::ZERO).iter().all(|held| *held < GAP));
        assert_eq!(brake.change(|state| state.held), 0);
    }
}
