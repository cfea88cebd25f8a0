//! A crowd: an open loop of questions, each sent at its own moment, whatever became of those before. Callers who wait for an
//! answer before they ask again would come slower the more is shed, and hide what a crowd does.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::json;
use tendon_testkit::Rng;

use crate::{
    Res,
    load::{Log, Question},
    place::{Place, rest, rest_until},
};

/// Requests that can be under way at once. More than an answer within a second needs, so that nobody waits for a free hand.
const HANDS: u64 = 256;
/// The first of the numbers by which the crowd's hands are told from other callers.
const FIRST: u64 = 1000;

/// What became of a crowd.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) answered: u64,
    /// How long each waited who was sent away, from the moment it was due.
    pub(crate) sent_away: Vec<Duration>,
    /// The latest that a question left after it was due.
    pub(crate) late: Duration,
}

impl Told {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.sent_away.extend(other.sent_away);
        self.late = self.late.max(other.late);
    }
}

/// Sends so many questions at so many a second. Who is sent away does not come back.
pub(crate) fn come(place: &Place, count: u64, per_second: f64) -> Res<Told> {
    let next = &AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let hand = |number| move || one_hand(place, FIRST + number, || due(next, count, begun, per_second));
        let hands: Vec<_> = (0..HANDS).map(|number| scope.spawn(hand(number))).collect();
        let mut all = Told::default();
        for hand in hands {
            all.add(hand.join().unwrap_or_else(|_| Err("a caller broke".to_owned()))?);
        }
        all.sent_away.sort();
        Ok(all)
    })
}

/// When the next question is due; nothing once all have been asked.
fn due(next: &AtomicU64, count: u64, begun: Instant, per_second: f64) -> Option<Instant> {
    let number = next.fetch_add(1, Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a crowd has far fewer than 2^53 questions")]
    let after = Duration::from_secs_f64(number as f64 / per_second);
    (number < count).then(|| begun + after)
}

fn one_hand(place: &Place, number: u64, mut due: impl FnMut() -> Option<Instant>) -> Res<Told> {
    let mut log = Log::create(place, &number.to_string())?;
    let mut rng = Rng::new(place.seed * 100_000 + number);
    let mut told = Told::default();
    let mut count = 0;
    while let Some(due) = due() {
        count += 1;
        let question = Question::new(place, number, count, 0, &mut rng);
        rest_until(due);
        log.write(&question.asked())?;
        told.late = told.late.max(due.elapsed());
        loop {
            match question.ask(place) {
                Ok(answer) if answer.status == 200 && answer.whole => {
                    log.keep(place, &question.key, &answer.json())?;
                    told.answered += 1;
                    break;
                }
                Ok(answer) if answer.status == 503 && answer.whole && answer.json()["code"] == "overloaded" => {
                    told.sent_away.push(due.elapsed());
                    log.write(&json!({ "what": "shed", "key": question.key }))?;
                    break;
                }
                // Neither taken nor sent away: it may be recorded or not, and the same key asks which.
                Ok(answer) if answer.status == 429 || answer.status >= 500 || !answer.whole => {}
                Ok(answer) => return Err(format!("refused with {}: {}", answer.status, answer.json())),
                Err(_) => {}
            }
            if due.elapsed() > place.patience {
                return Err(format!("the question {} was neither answered nor sent away", question.key));
            }
            rest(Duration::from_millis(5));
        }
    }
    Ok(told)
}
