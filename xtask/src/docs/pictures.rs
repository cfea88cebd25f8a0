//! The pictures on the pages: taken by the browser tests, copied from their last run. They show times and counts of that run, so no
//! check compares them.

use std::fs;

use crate::{
    Outcome,
    run::{root, target},
};

/// What the tests called it, and what the pages call it.
const PICTURES: &[(&str, &str)] = &[
    ("badge-pictures/badge-1280-light.png", "docs/badge/panel-light.png"),
    ("console-pictures/decision-1440-light.png", "docs/console/decision-light.png"),
    ("console-pictures/overview-1440-light.png", "docs/console/overview-light.png"),
    ("console-pictures/overview-360-dark.png", "docs/console/overview-phone.png"),
    ("console-pictures/review-1440-dark.png", "docs/console/review-dark.png"),
];

/// Copies them.
pub(super) fn copy() -> Outcome {
    for (taken, shown) in PICTURES {
        let (from, to) = (target().join(taken), root().join(shown));
        let folder = to.parent().map_or(Ok(()), fs::create_dir_all);
        folder.and_then(|()| fs::copy(&from, &to)).map_err(|error| {
            format!("{}: {error}; `cargo test --workspace --test e2e pages browser` takes the pictures", from.display())
        })?;
        eprintln!("docs: {shown} is of the last run");
    }
    Ok(())
}
