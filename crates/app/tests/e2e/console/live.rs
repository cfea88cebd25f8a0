//! Pages that say *Live*: all that changes on them is brought up to date, also for somebody who stands in it.

use serde_json::json;

use super::Visitor;
use crate::support::{Sandbox, browse, eventually};

#[test]
fn what_a_live_page_shows_is_refreshed_and_the_reader_keeps_their_place() {
    let sandbox = Sandbox::new(3);
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let ada = Visitor::new(&running, &key);
    eventually("three can be undone", || ada.page("/console/deliveries").matches(">Delivered<").count() == 3);
    let seen = browse(&running, "live.mjs", &key, "console-pictures", &[]);
    let wanted = json!({
        "live": ["Overview", "Map", "Deliveries", "Systems", "Ledger"],
        "still": [],
        // A link that somebody stands on, a menu that they have opened, a row that went away under them.
        "link": { "renewed": true, "same": true },
        "menu": { "renewed": true, "same": true, "open": 1 },
        "gone": { "renewed": true, "part": "outcomes" },
    });
    assert_eq!(seen, wanted);
}
