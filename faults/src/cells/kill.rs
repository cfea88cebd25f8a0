//! `kill -9` at random moments, also while the program starts.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

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
    fault: |setting, place| {
        kill(setting, place)?;
        broken(place)
    },
    refused: 0,
};

pub(super) const WATCH: Cell = Cell {
    name: "kill-watch",
    about: "the same while people change a watched table",
    setup: || Setup { callers: 0, leads: 200, ..Setup::default() },
    fault: |setting, place| {
        let open = kill(setting, place)?;
        place.happened(open, "of them while rows waited for their score")
    },
    refused: 0,
};

pub(super) const BATCH: Cell = Cell {
    name: "kill-batch",
    about: "the same under batches of 40 records",
    setup: || Setup { leads: 0, people: false, callers: 0, batchers: 2, ..Setup::default() },
    fault: |setting, place| {
        kill(setting, place)?;
        broken(place)
    },
    refused: 0,
};

pub(super) const ALL: Cell = Cell {
    name: "kill-all",
    about: "the same under all of it, with a PostgreSQL as CRM",
    setup: || Setup { crm: Kind::Postgres, batchers: 1, ..Setup::default() },
    fault: |setting, place| {
        let open = kill(setting, place)?;
        place.happened(open, "of them while rows waited for their score")?;
        broken(place)
    },
    refused: 0,
};

/// Kills it again and again; gives how often rows waited for their score at that moment.
fn kill(setting: &Setting, place: &Place) -> Res<u64> {
    let mut rng = Rng::stream(setting.seed, "kill");
    let (mut kills, mut open) = (0, 0);
    for round in 0..setting.rounds {
        place.tell(round, setting.rounds);
        rest(Duration::from_micros(rng.below(150_000)));
        place.kill()?;
        kills += 1;
        open += u64::from(place.crm.unscored()? > 0);
        place.keep_checkpoint();
        // Sometimes it is killed before it is ready, too.
        if rng.below(4) == 0 {
            place.launch()?;
            rest(Duration::from_micros(rng.below(60_000)));
            place.kill()?;
            kills += 1;
        }
        place.start()?;
    }
    place.happened(kills, "kills")?;
    place.calm()?;
    Ok(open)
}

fn broken(place: &Place) -> Res<()> {
    place.happened(place.broken.load(Relaxed), "requests broken off")
}
