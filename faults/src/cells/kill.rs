//! `kill -9` at random moments, also while the program starts.

use std::time::Duration;

use tendon_testkit::Rng;

use super::Cell;
use crate::{
    Res, Setting,
    crm::Kind,
    place::{Place, Setup, rest},
};

pub(crate) const API: Cell = Cell {
    name: "kill-api",
    about: "kill -9 at random moments, also during the start, under API load",
    setup: || Setup { leads: 0, people: false, callers: 3, ..Setup::default() },
    fault,
    refused: 0,
};

pub(super) const WATCH: Cell = Cell {
    name: "kill-watch",
    about: "the same while people change a watched table",
    setup: || Setup { callers: 0, leads: 200, ..Setup::default() },
    fault,
    refused: 0,
};

pub(super) const BATCH: Cell = Cell {
    name: "kill-batch",
    about: "the same under batches of 40 records",
    setup: || Setup { leads: 0, people: false, callers: 0, batchers: 2, ..Setup::default() },
    fault,
    refused: 0,
};

/// Few rows that change all the time, for the planted faults of order: no cell of the table.
pub(crate) const FEW: Cell = Cell {
    name: "kill-few",
    about: "kill -9 while people change three rows again and again",
    setup: || Setup { callers: 0, leads: 3, system: "    limits: { rate: 40 }\n".to_owned(), ..Setup::default() },
    fault,
    refused: 0,
};

pub(super) const ALL: Cell = Cell {
    name: "kill-all",
    about: "the same under all of it, with a PostgreSQL as CRM",
    setup: || Setup { crm: Kind::Postgres, batchers: 1, ..Setup::default() },
    fault,
    refused: 0,
};

fn fault(setting: &Setting, place: &Place) -> Res<()> {
    let mut rng = Rng::stream(setting.seed, "kill");
    for _ in 0..setting.rounds {
        rest(Duration::from_micros(rng.below(300_000)));
        place.kill()?;
        place.keep_checkpoint();
        // Sometimes it is killed before it is ready, too.
        if rng.below(4) == 0 {
            place.launch()?;
            rest(Duration::from_micros(rng.below(60_000)));
            place.kill()?;
        }
        place.start()?;
    }
    place.note(format!("{} kills", setting.rounds));
    place.calm()
}
