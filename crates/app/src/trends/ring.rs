//! Counts by steps of time, as many as a span has; what is older makes room. Pure.

use std::collections::VecDeque;

use tendon_doors::console::{Slot, Span};

/// The slots of one span, oldest first. Steps in which nobody counted are not there.
pub(super) struct Ring {
    pub(super) span: Span,
    slots: VecDeque<Slot>,
    /// Begin of the first slot that has changed since it was written.
    unwritten: Option<i64>,
}

impl Ring {
    pub(super) fn new(span: Span) -> Self {
        Self { span, slots: VecDeque::new(), unwritten: None }
    }

    /// Takes in what was counted at a moment (seconds). A clock that was set back goes on in the newest slot.
    pub(super) fn add(&mut self, at: i64, counted: &Slot) {
        let step = self.span.step();
        let begin = at.div_euclid(step) * step;
        match self.slots.back_mut() {
            Some(last) if begin <= last.at => last.add(counted),
            _ => self.slots.push_back(Slot { at: begin, ..counted.clone() }),
        }
        let last = self.slots.back().map_or(begin, |last| last.at);
        self.forget(last);
        self.unwritten.get_or_insert(last);
    }

    /// Takes a slot back that was written before; they come in any order.
    pub(super) fn restore(&mut self, slot: Slot) {
        let place = self.slots.partition_point(|known| known.at < slot.at);
        self.slots.insert(place, slot);
    }

    /// Lets go what is older than the span, seen from a moment.
    pub(super) fn forget(&mut self, now: i64) {
        let oldest = self.oldest(now);
        while self.slots.front().is_some_and(|slot| slot.at < oldest) {
            self.slots.pop_front();
        }
    }

    /// Begin of the oldest slot that a moment can still see.
    pub(super) fn oldest(&self, now: i64) -> i64 {
        let step = self.span.step();
        let most = i64::try_from(self.span.slots()).unwrap_or(i64::MAX);
        now.div_euclid(step).saturating_sub(most - 1) * step
    }

    /// One place per step up to now, the newest last.
    pub(super) fn dense(&self, now: i64) -> Vec<Option<Slot>> {
        let (step, oldest) = (self.span.step(), self.oldest(now));
        let mut all = vec![None; self.span.slots()];
        for slot in &self.slots {
            let place = usize::try_from((slot.at - oldest).div_euclid(step)).ok();
            if let Some(place) = place.and_then(|place| all.get_mut(place)) {
                *place = Some(slot.clone());
            }
        }
        all
    }

    /// The slots at or after a moment, oldest first.
    pub(super) fn since(&self, at: i64) -> impl Iterator<Item = &Slot> {
        self.slots.iter().skip(self.slots.partition_point(|slot| slot.at < at))
    }

    /// Begin of the newest slot.
    pub(super) fn newest(&self) -> Option<i64> {
        self.slots.back().map(|slot| slot.at)
    }

    /// What has changed since it was asked last.
    pub(super) fn unwritten(&mut self) -> Vec<Slot> {
        self.unwritten.take().map_or_else(Vec::new, |at| self.since(at).cloned().collect())
    }

    /// The row of a slot: a later round takes the same, so the number of rows is bounded.
    pub(super) fn place(&self, slot: &Slot) -> u32 {
        let most = i64::try_from(self.span.slots()).unwrap_or(1);
        u32::try_from(slot.at.div_euclid(self.span.step()).rem_euclid(most)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(ok: u64) -> Slot {
        Slot { ok, watched: 10, ..Slot::default() }
    }

    #[test]
    fn what_is_older_than_the_span_makes_room() {
        let mut ring = Ring::new(Span::Hour);
        for second in (0..7200).step_by(10) {
            ring.add(second, &counted(1));
        }
        let all = ring.dense(7199);
        assert_eq!((all.len(), ring.slots.len()), (360, 360));
        assert!(all.iter().all(|slot| slot.as_ref().is_some_and(|slot| slot.ok == 1)));
        // Half an hour later half of it is a gap.
        let all = ring.dense(7199 + 1800);
        assert_eq!(all.iter().filter(|slot| slot.is_none()).count(), 180);
        assert!(all[0].is_some() && all[359].is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let mut ring = Ring::new(Span::Day);
        ring.add(10_000, &counted(1));
        ring.add(5_000, &counted(2));
        assert_eq!(ring.dense(10_000).iter().flatten().map(|slot| slot.ok).sum::<u64>(), 3);
    }

    #[test]
    fn a_slot_is_written_when_it_changed_and_comes_back_as_it_was() {
        let mut ring = Ring::new(Span::Day);
        ring.add(0, &counted(1));
        ring.add(130, &counted(2));
        let written = ring.unwritten();
        assert_eq!(written.iter().map(|slot| slot.at).collect::<Vec<_>>(), [0, 120]);
        assert!(ring.unwritten().is_empty());
        ring.add(140, &counted(4));
        assert_eq!(ring.unwritten().iter().map(|slot| (slot.at, slot.ok)).collect::<Vec<_>>(), [(120, 6)]);
        let mut again = Ring::new(Span::Day);
        written.into_iter().rev().for_each(|slot| again.restore(slot));
        assert_eq!(again.dense(130).iter().flatten().map(|slot| slot.ok).collect::<Vec<_>>(), [1, 2]);
        let later = Slot { at: 720 * 120, ..Slot::default() };
        assert_eq!(again.place(&later), again.place(&Slot::default()), "a round later the same row is taken");
    }
}
