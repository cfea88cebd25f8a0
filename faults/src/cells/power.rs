//! Power cuts: the program is killed, and what it had not synced is gone, torn at sectors, or there.

use std::time::Duration;

use tendon_testkit::Rng;

use super::Cell;
use crate::{
    Res, Setting,
    place::{Place, Setup, rest},
};

pub(crate) const CUT: Cell = Cell {
    name: "power-cut",
    about: "power cuts at random moments: unsynced writes and names dropped, torn, reordered below the program",
    setup: || Setup { layer: true, batchers: 1, ..Setup::default() },
    fault,
    refused: 0,
};

fn fault(setting: &Setting, place: &Place) -> Res<()> {
    let mut rng = Rng::stream(setting.seed, "power");
    let layer = place.layer.as_ref().ok_or("the cell has no layer")?;
    let (mut writes, mut lost, mut names) = (0, 0, 0);
    let times = setting.rounds.min(100);
    for round in 0..times {
        place.tell(round, times);
        rest(Duration::from_micros(rng.below(200_000)));
        place.kill()?;
        let cut = layer.cut(rng.number())?;
        (writes, lost, names) = (writes + cut.writes, lost + cut.lost, names + cut.undone);
        place.start()?;
        place.keep_checkpoint();
    }
    place.note(format!("{times} cuts, {names} new names lost"));
    place.happened(lost, &format!("of {writes} unsynced writes lost"))?;
    place.calm()
}
