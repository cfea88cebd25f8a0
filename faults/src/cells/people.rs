//! People around the program: an operator who reloads good and bad files, a second process on the same folder, a crowd ten
//! times too large, clients who never finish a request, a cache that goes.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use tendon_testkit::proxy::Fault;

use super::{Cell, crm::LIMITS};
use crate::{
    Res, Setting,
    crm::Kind,
    crowd, load,
    place::{Place, Setup, integration, rest},
    program::Program,
};

pub(super) const MODEL: Cell = Cell {
    name: "model-corrupt",
    about: "a corrupt model file comes at a reload, as a new version and in place of the old one",
    setup: Setup::default,
    fault: model,
    refused: 0,
};

pub(super) const RELOAD: Cell = Cell {
    name: "reload",
    about: "the configuration changes again and again under load",
    setup: || Setup { batchers: 1, ..Setup::default() },
    fault: reload,
    refused: 0,
};

pub(super) const TWO: Cell = Cell {
    name: "two-processes",
    about: "a second process starts on the folder, and two at once after a kill",
    setup: Setup::default,
    fault: two,
    refused: 0,
};

pub(super) const CROWD: Cell = Cell {
    name: "overload",
    about: "a crowd asks ten times as often as the place answers, whatever it is answered (an open loop; a slow CRM is asked by \
            each decision, and 4 have room)",
    setup: || Setup {
        crm: Kind::Postgres,
        callers: 4,
        lookup: true,
        project: "server: { in_flight: 4 }\n".to_owned(),
        system: LIMITS.to_owned(),
        ..Setup::default()
    },
    fault: crowd,
    refused: 0,
};

pub(super) const LORIS: Cell = Cell {
    name: "slow-loris",
    about: "300 connections that never finish a request, or never begin one",
    setup: Setup::default,
    fault: loris,
    refused: 0,
};

pub(super) const CACHE: Cell = Cell {
    name: "redis-gone",
    about: "the shared cache is killed and comes back empty",
    setup: || Setup {
        redis: true,
        subjects: 20,
        integration: "cache: { key: [id, balance], ttl: 1h }\n".to_owned(),
        ..Setup::default()
    },
    fault: cache,
    refused: 0,
};

fn look_again(place: &Place, what: &str, refused: f64) -> Res<()> {
    place.with(|program| program.signal("-HUP"))?;
    place.until(what, || Ok((place.metric("tendon_reload_refused") - refused).abs() < 0.5))
}

fn model(_setting: &Setting, place: &Place) -> Res<()> {
    let good =
        std::fs::read_to_string(place.project().join("models/score/v1.json")).map_err(|error| error.to_string())?;
    place.write("models/score/v2.json", good.get(..good.len() / 2).unwrap_or_default())?;
    look_again(place, "the torn version is refused", 1.0)?;
    place.answers(60)?;
    std::fs::remove_file(place.project().join("models/score/v2.json")).map_err(|error| error.to_string())?;
    look_again(place, "without it all is well", 0.0)?;
    place.write("models/score/v1.json", "\u{0}\u{1}\u{2}")?;
    look_again(place, "the changed bytes of a version in use are refused", 1.0)?;
    place.answers(60)?;
    place.write("models/score/v1.json", &good)?;
    look_again(place, "with its own bytes all is well", 0.0)?;
    place.calm()
}

fn reload(setting: &Setting, place: &Place) -> Res<()> {
    let installed = || place.metric("tendon_reloads_total{result=\"installed\"}");
    for round in 0..setting.rounds {
        place.tell(round, setting.rounds);
        let before = installed();
        place.write("integrations/score.yaml", &integration(if round % 2 == 0 { "0.3" } else { "0.2" }, false, ""))?;
        place.with(|program| program.signal("-HUP"))?;
        place.until("the change is in force", || Ok(installed() > before))?;
        place.answers(20)?;
    }
    place.note(format!("{} reloads", setting.rounds));
    place.calm()
}

fn two(setting: &Setting, place: &Place) -> Res<()> {
    let refused = |output: &std::process::Output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(1) && said.contains("error: ") {
            Ok(())
        } else {
            Err(format!("{}: {said}", output.status))
        }
    };
    for _ in 0..if setting.long { 3 } else { 1 } {
        let second = place.run(&["up", "--listen", "127.0.0.1:0"])?;
        refused(&second).map_err(|said| format!("a second process was not refused: {said}"))?;
        place.answers(20)?;
    }
    place.kill()?;
    let mut both = [Program::start(place.up())?, Program::start(place.up())?];
    let mut loser = None;
    place.until("one of two processes gives way", || {
        loser = both.iter_mut().position(|program| program.ended().is_some());
        Ok(loser.is_some())
    })?;
    let [first, second] = both;
    place.adopt(if loser == Some(0) { second } else { first });
    place.wait_ready()?;
    place.answers(20)?;
    place.calm()
}

/// How many questions decide what the place answers in a second.
const SAMPLE: u64 = 150;
/// How many times as often a crowd asks.
const TIMES: f64 = 10.0;
/// Longest wait of all but one in a hundred of those who are sent away, on a machine that others use too.
const QUICK: Duration = Duration::from_secs(1);
/// Most lines of the log that a crowd may cost: refusals are counted, not told one by one.
const LINES: usize = 100;

fn crowd(setting: &Setting, place: &Place) -> Res<()> {
    let line = place.crm.proxy.as_ref().ok_or("the CRM has no line")?;
    line.set(Fault::Latency(Duration::from_millis(5)));
    let begun = Instant::now();
    place.answers(SAMPLE)?;
    #[expect(clippy::cast_precision_loss, reason = "a sample has far fewer than 2^53 answers")]
    let alone = SAMPLE as f64 / begun.elapsed().as_secs_f64();
    let lines = |place: &Place| place.with(|program| Ok(program.log().lines().count()));
    let before = lines(place)?;
    let told = crowd::come(place, if setting.long { 15_000 } else { 2_000 }, alone * TIMES)?;
    line.set(Fault::None);
    let said = lines(place)?.saturating_sub(before);
    if said > LINES {
        return Err(format!("the crowd cost {said} lines of the log"));
    }
    let at = |share: usize| told.sent_away.get(told.sent_away.len() * share / 100).copied().unwrap_or_default();
    place.note(format!(
        "{alone:.0} answers a second alone; of the crowd {} answered, sent away within {:.0} ms (middle), {:.0} ms (99 of 100)",
        told.answered,
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3
    ));
    place.happened(told.sent_away.len() as u64, "sent away with 503")?;
    if at(99) > QUICK {
        return Err(format!("one in a hundred waited longer than {QUICK:?} to be sent away"));
    }
    if told.late > QUICK {
        return Err(format!("the crowd came up to {:?} late: this was no open loop", told.late));
    }
    place.calm()
}

fn loris(setting: &Setting, place: &Place) -> Res<()> {
    let (port, key) = place.door();
    let head = format!(
        "POST /v1/integrations/score/decisions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: 40\r\n\
         content-type: application/json\r\n\r\n{{\"input\""
    );
    let mut held = Vec::new();
    for number in 0..300 {
        let text = match number % 3 {
            0 => "",
            1 => "POST /v1/integrations/score/decisions HTTP/1.1\r\nhost: x\r\n",
            _ => head.as_str(),
        };
        held.push(load::hold(port, text).map_err(|error| format!("connection {number}: {error}"))?);
    }
    place.answers(if setting.long { 5_000 } else { 300 })?;
    let ready = place.state();
    let mut open = 0;
    for connection in &held {
        connection.set_nonblocking(true).map_err(|error| format!("a held connection: {error}"))?;
        let left = std::io::Read::read(&mut &*connection, &mut [0; 1]);
        open += u64::from(left.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
    }
    drop(held);
    place.happened(open, "of 300 were still open at the end")?;
    if ready != "ready" {
        return Err(format!("with 300 idle connections readiness says `{ready}`"));
    }
    place.calm()
}

fn cache(setting: &Setting, place: &Place) -> Res<()> {
    for _ in 0..if setting.long { 10 } else { 2 } {
        place.answers(60)?;
        place.redis(false)?;
        place.until("readiness tells of the cache", || Ok(place.state() == "degraded"))?;
        place.answers(60)?;
        place.redis(true)?;
        place.calm()?;
        rest(Duration::from_millis(1));
    }
    let recalled = place.metric("tendon_recall_total{integration=\"score\",result=\"hit\"}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter of a short run")]
    place.happened(recalled as u64, "answers recalled")
}
