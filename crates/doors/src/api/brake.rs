//! The brake: how soon a caller is told that there is no room. Each refusal is work for the processor that others wait for, and
//! whoever is told at once may ask again at once. So a flood of refusals leaves at a measured pace; what comes faster is held back
//! for a moment, and as long its caller has nothing to ask.
//!
//! It is for floods alone. Holding is not free either: the connection is served twice, and after 40 ms the kernel acknowledges the
//! request by a packet of its own, so a held refusal costs half as much again as one that leaves at once (measured: 34 for 22 µs).
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
/// How far ahead of that pace refusals may be: requests are read, and so refused, by the handful.
const BURST: Duration = Duration::from_millis(60);
/// Longest time from a request to its refusal. Who is refused shall know within 100 ms; the rest is for the way in and out.
const LONGEST: Duration = Duration::from_millis(80);
/// Refusals held at once; more leave at once. Half of the connections that are taken are free to ask.
const MOST: usize = 2048;

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
}

impl State {
    /// Until when the refusal of a request is held; `None`: it leaves at once.
    fn hold(&mut self, refused: Refused, now: Duration) -> Option<Duration> {
        let Refused { began, given, gap } = refused;
        let turn = self.next.max(now.saturating_sub(BURST));
        self.next = (turn + gap).min(now + LONGEST);
        let until = turn.min(began + given.map_or(LONGEST, |given| LONGEST.min(given / 2)));
        let holds = until > now && self.held < MOST;
        self.held += usize::from(holds);
        holds.then_some(until)
    }
}

/// A request that is refused.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    /// When it came.
    pub(super) began: Duration,
    /// How much time its caller gives.
    pub(super) given: Option<Duration>,
    /// Time between two refusals that leave as they come.
    pub(super) gap: Duration,
}

impl Brake {
    /// A brake that tells how much it holds.
    pub fn new(metrics: &Registry) -> Self {
        let held = metrics.gauge("tendon_http_refusals_held", "Refusals that are held back for a moment.", &[]);
        Self { state: Mutex::default(), off: watch::Sender::new(false), held }
    }

    /// Returns when the refusal of a request may leave.
    pub(super) async fn hold(&self, refused: Refused, clock: &dyn Clock) {
        let now = clock.monotonic();
        let Some(until) = self.change(|state| state.hold(refused, now)) else { return };
        let _held = (self.held.raise(), Held(self));
        let mut off = self.off.subscribe();
        tokio::select! {
            biased;
            // It cannot fail: who would switch it off is borrowed here.
            _ = off.wait_for(|off| *off) => {}
            () = clock.sleep(until.saturating_sub(now)) => {}
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

    const GAP: Duration = Duration::from_micros(200);

    fn asked(began: Duration, given: Option<Duration>) -> Refused {
        Refused { began, given, gap: GAP }
    }

    /// So many are refused, one each `gap`; gives how long each was held.
    fn refused(brake: &Arc<Brake>, sim: &Sim, count: u32, gap: Duration) -> Vec<Duration> {
        let (brake, clock) = (brake.clone(), sim.context().clock);
        let one = move |place: u32| {
            let (brake, clock) = (brake.clone(), clock.clone());
            async move {
                clock.sleep(gap * place).await;
                let began = clock.monotonic();
                brake.hold(asked(began, None), &*clock).await;
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
    fn a_handful_at_once_leaves_at_once_where_few_came_before() {
        let (brake, sim) = (brake(), Sim::new(4));
        let clock = sim.context().clock;
        sim.run(async move { clock.sleep(BURST).await }).done();
        let handful = u32::try_from(BURST.as_micros() / GAP.as_micros()).unwrap();
        let held = refused(&brake, &sim, 2 * handful, Duration::ZERO);
        assert!(held.iter().take(handful as usize).all(|held| held.is_zero()), "{:?}", held.iter().max());
        assert!(held.last().is_some_and(|held| *held > BURST / 2), "{:?}", held.last());
    }

    #[test]
    fn many_leave_one_after_the_other_and_none_is_held_for_longer_than_it_may() {
        let (brake, sim) = (brake(), Sim::new(2));
        let held = refused(&brake, &sim, 2000, GAP / 10);
        assert!(held.iter().all(|held| *held < LONGEST + GAP), "{:?}", held.iter().max());
        assert!(held[1000..].iter().all(|held| *held > LONGEST / 2), "{:?}", held[1000..].iter().min());
        // A while after the flood the next is told at once again.
        let (clock, calm) = (sim.context().clock, 2 * LONGEST);
        sim.run(async move { clock.sleep(calm).await }).done();
        assert!(refused(&brake, &sim, 1, GAP)[0] < GAP / 2);
        assert_eq!(brake.change(|state| state.held), 0);
    }

    #[test]
    fn only_so_many_are_held() {
        let mut state = State { next: LONGEST, ..State::default() };
        let held = (0..2 * MOST).filter(|_| state.hold(asked(Duration::ZERO, None), Duration::ZERO).is_some()).count();
        assert_eq!(held, MOST);
    }

    #[test]
    fn what_waited_elsewhere_is_held_for_less() {
        let now = Duration::from_secs(1);
        let full = || State { next: now + LONGEST, ..State::default() };
        assert_eq!(full().hold(asked(now, None), now), Some(now + LONGEST));
        assert_eq!(full().hold(asked(now - LONGEST / 2, None), now), Some(now + LONGEST / 2));
        assert_eq!(full().hold(asked(now - LONGEST, None), now), None);
        let hurry = Some(LONGEST / 4);
        assert_eq!(full().hold(asked(now, hurry), now), Some(now + LONGEST / 8), "half of what a caller gives");
    }

    #[test]
    fn a_stop_lets_all_go_and_nothing_is_held_after_it() {
        let (brake, sim) = (brake(), Sim::new(3));
        let clock = sim.context().clock;
        let (holding, stopping) = (brake.clone(), brake.clone());
        let took = sim.run(async move {
            let began = clock.monotonic();
            holding.change(|state| state.next = began + LONGEST);
            let held = join_all((0..100).map(|_| holding.hold(asked(began, None), &*clock)));
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
