//! A page that stays open longer than its badges' tokens, in a real browser: the badge asks for another token, by the event, by the
//! property and from its frame, and shows the score again; a page that gives none, an ended one or a late one is asked a few times and
//! no more, and the badge says what to do.

use serde_json::{Value as Json, json};

use super::{SECRET, browser::beside};
use crate::support::{Sandbox, browse, eventually};

/// The words for the reader where no token came.
const NOT_GIVEN: &str =
    "This page has given no token for the badge. Load the page again, or sign in to it again. token_not_given";

#[test]
fn a_token_that_ends_is_renewed_in_a_page_that_stays_open() {
    let sandbox = Sandbox::new(3);
    let (running, host, key) = beside(&sandbox);
    eventually("the page may ask", || {
        let one = super::token("lead-score", "1");
        super::ask(&running, "lead-score/score", &one, &[("origin", &host.origin)]).status == 200
    });
    let seen = browse(&running, "renewal.mjs", &key, "badge-pictures", &[&host.origin, SECRET]);
    renewed(&seen);
    refused(&seen);
    late(&seen);
}

/// What a part saw of the badge of a subject: its states, where it is the first, and how often the page was asked, Tendon was, and refused.
fn saw<'a>(part: &'a Json, subject: &str) -> (&'a Json, [u64; 3]) {
    assert_eq!((&part["stayed"], &part["errors"]), (&json!(true), &json!([])), "{part}");
    (&part["states"], ["asked", "sent", "refused"].map(|what| part[what][subject].as_u64().unwrap_or(0)))
}

/// Where the page gives a token that is good: it is asked once, and the reader sees nothing of it.
fn renewed(seen: &Json) {
    let fresh = json!(["fresh"]);
    assert_eq!(saw(&seen["ended_for_tendon"], "1"), (&fresh, [1, 2, 1]), "{seen}");
    assert_eq!(saw(&seen["ended_for_the_reader"], "1"), (&fresh, [1, 1, 0]), "{seen}");
    assert_eq!(saw(&seen["clock_ahead"], "1"), (&json!(vec!["fresh"; 10]), [0, 10, 0]), "{seen}");
    assert_eq!(saw(&seen["property"], "1"), (&json!(["loading", "fresh"]), [0, 1, 0]), "{seen}");
    let both = &seen["ended_for_the_breakdown"];
    let (states, [asked, ..]) = saw(both, "1");
    assert!(states.as_array().unwrap().iter().all(|state| state == "fresh"), "{both}");
    assert_eq!(asked, 1, "score and breakdown wait for the same token: {both}");
    assert!(both["reasons"].as_u64().unwrap() > 0, "{both}");
    let framed = &seen["framed"];
    assert_eq!(saw(framed, "3").1, [1, 2, 1], "{framed}");
    assert_eq!(framed["wanted"], json!([["token", "3"]]), "{framed}");
    let asleep = &seen["asleep"];
    assert_eq!(asleep["slept"]["sent"], json!({}), "{asleep}");
    for subject in ["1", "2", "3"] {
        assert_eq!(saw(asleep, subject), (&fresh, [1, 1, 0]), "by the reader's clock all have ended: {asleep}");
    }
    assert_eq!(saw(&asleep["moment"], "1").1, [0, 1, 0], "{asleep}");
    assert_eq!(saw(&asleep["moment"], "3").1, [0, 0, 0], "{asleep}");
    let looked_at = &seen["looked_at"];
    assert_eq!(saw(&looked_at["before"], "1"), (&json!([]), [0, 0, 0]), "it is fresh still: {looked_at}");
    assert_eq!(
        saw(looked_at, "1"),
        (&fresh, [1, 1, 0]),
        "by the reader's clock its token has ended as well: {looked_at}"
    );
    assert_eq!(saw(&seen["woken_from_an_error"], "1"), (&json!(["loading", "fresh"]), [1, 1, 0]), "{seen}");
}

/// Where it gives none or an ended one: a bounded number of asks, and words for the reader.
fn refused(seen: &Json) {
    let property = &seen["property"];
    for wrong in ["throws", "rejects", "nothing", "number"] {
        assert!(property["wrong"][wrong].as_str().unwrap().contains(NOT_GIVEN), "{property}");
    }
    saw(&property["after"], "1");
    for part in ["ended_again", "ended_by_attribute"] {
        let part = &seen[part];
        let (states, [asked, ..]) = saw(part, "1");
        assert_eq!((asked, states.as_array().unwrap().last().unwrap()), (3, &json!("error")), "{part}");
        assert!(states.as_array().unwrap().iter().all(|state| state == "loading" || state == "error"), "{part}");
    }
    let again = &seen["ended_again"];
    let words = again["words"].as_str().unwrap();
    assert!(words.contains("The token has ended. Load the page again, or sign in to it again;"), "{words}");
    assert!(words.contains("token_expired"), "{words}");
    assert_eq!(saw(&again["later"], "1").1, [1, 1, 1], "after a minute it may be asked again: {again}");
    assert!(again["reasons"].as_u64().unwrap() > 0, "{again}");
    let (states, [asked, ..]) = saw(&seen["ended_by_attribute"]["after"], "1");
    assert_eq!((states.as_array().unwrap().last().unwrap(), asked), (&json!("fresh"), 3), "{seen}");
    let nothing = seen["none"]["all"].as_array().unwrap();
    assert_eq!(nothing.len(), 2);
    for none in nothing {
        assert_eq!(
            (saw(none, "1").1, &none["sent"]),
            ([3, 0, 0], &json!({})),
            "nothing is sent without a token: {none}"
        );
        for words in ["words", "framed"] {
            assert!(none[words].as_str().unwrap().contains(NOT_GIVEN), "{none}");
        }
        assert!(none["reasons"].as_u64().unwrap() > 0 && none["framed_reasons"].as_u64().unwrap() > 0, "{none}");
        assert_eq!(none["kept"], "dialog", "who reads by keyboard stays in the panel: {none}");
    }
}

/// Where it takes longer than the badge waits.
fn late(seen: &Json) {
    let part = &seen["late"];
    assert_eq!(saw(part, "1"), (&json!(["loading", "error", "loading", "fresh"]), [1, 1, 0]), "{part}");
    assert_eq!(saw(part, "3").1, [1, 1, 0], "{part}");
    let part = &seen["too_late"];
    assert_eq!(saw(part, "2"), (&json!(["fresh"]), [0, 1, 0]), "{part}");
    assert_eq!((saw(part, "1").1, &part["sub"]), ([0, 0, 0], &json!("2")), "{part}");
}
