//! The machine in trouble: no room on its disk, a wall clock that jumps.

use tendon_testkit::{Rng, layer::Layer};

use super::Cell;
use crate::{
    Res, Setting,
    place::{Place, Setup},
};

pub(super) const DISK: Cell = Cell {
    name: "disk-full",
    about: "the disk of the record fills up in the middle of the work, once with a kill while it is full",
    setup: || Setup { layer: true, batchers: 1, ..Setup::default() },
    fault: disk,
    refused: 0,
};

pub(super) const CLOCK: Cell = Cell {
    name: "clock-jump",
    about: "the wall clock jumps an hour ahead, two hours back, and home, with a kill in the past",
    setup: || Setup { layer: true, ..Setup::default() },
    fault: clock,
    refused: 0,
};

fn layer(place: &Place) -> Res<&Layer> {
    place.layer.as_ref().ok_or_else(|| "the cell has no layer".to_owned())
}

fn disk(setting: &Setting, place: &Place) -> Res<()> {
    let layer = layer(place)?;
    let mut rng = Rng::stream(setting.seed, "room");
    let times = setting.rounds.clamp(2, 30);
    for round in 0..times {
        place.tell(round, times);
        // Segments are made ahead: room in them is used up first.
        layer.room(Some(u32::try_from(rng.below(300_000)).unwrap_or(0)))?;
        place.until("readiness tells of the record", || Ok(place.part("ledger")["ok"] == false))?;
        if round == 1 {
            place.kill()?;
            layer.room(None)?;
            place.start()?;
        }
        layer.room(None)?;
        place.calm()?;
        place.keep_checkpoint();
        place.answers(20)?;
    }
    place.happened(times, "times full")
}

fn clock(setting: &Setting, place: &Place) -> Res<()> {
    let layer = layer(place)?;
    for _ in 0..if setting.long { 10 } else { 2 } {
        for seconds in [3600, -3600, 0] {
            layer.clock(seconds)?;
            if seconds < 0 {
                // What the clock says to callers never goes back within a process.
                place.answers(60)?;
                place.kill()?;
                place.start()?;
            }
            place.clock_off_by(seconds)?;
            place.answers(60)?;
        }
    }
    place.calm()
}
