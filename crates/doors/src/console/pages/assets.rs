//! What pages look like and what they do by themselves: parts of the program, no other address is ever contacted.

use futures_util::future::FutureExt as _;

use crate::console::page::{May, Page, Reply};

/// How pages look; the design tokens stand at its top.
pub(in crate::console) static STYLE: Page = Page {
    path: "/console/style.css",
    name: None,
    may: May::Anyone,
    show: |_| async { Ok(Reply::Asset("text/css; charset=utf-8", include_str!("../assets/style.css"))) }.boxed(),
    changes: &[],
};

/// What pages do by themselves.
pub(in crate::console) static SCRIPT: Page = Page {
    path: "/console/script.js",
    name: None,
    may: May::Anyone,
    show: |_| async { Ok(Reply::Asset("text/javascript; charset=utf-8", include_str!("../assets/script.js"))) }.boxed(),
    changes: &[],
};

/// The mark in a browser's tab.
pub(in crate::console) static ICON: Page = Page {
    path: "/console/icon.svg",
    name: None,
    may: May::Anyone,
    show: |_| async { Ok(Reply::Asset("image/svg+xml", include_str!("../assets/icon.svg"))) }.boxed(),
    changes: &[],
};
