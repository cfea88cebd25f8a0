//! Addresses under `/console` that are none, and those that are one but for a stroke at their end.

use futures_util::future::FutureExt as _;
use tendon_kernel::{Error, ErrorKind, Result};

use crate::console::page::{May, Page, Reply, Visit};

/// The console's own address as some type it.
pub(in crate::console) static ROOT: Page = Page {
    path: "/console/",
    name: None,
    may: May::Anyone,
    show: |visit| async move { Ok(Reply::Go(beside(&visit, "/console"), None)) }.boxed(),
    changes: &[],
};

/// Everything else.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/{*rest}",
    name: None,
    may: May::Anyone,
    show: |visit| async move { missing(&visit) }.boxed(),
    changes: &[],
};

fn missing(visit: &Visit) -> Result<Reply> {
    // Only what our own addresses are made of: nobody is led anywhere else.
    let own = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let names = |rest: &str| rest.split('/').all(|name| !name.is_empty() && name.bytes().all(own));
    match visit.part(0).strip_suffix('/') {
        Some(rest) if names(rest) => Ok(Reply::Go(beside(visit, &format!("/console/{rest}")), None)),
        // The address is not repeated: it may hold whom it was meant to be about.
        _ => Err(Error::new(ErrorKind::NotFound, "no_page", "the console has no page at this address")),
    }
}

/// An address with what stood behind the `?`.
fn beside(visit: &Visit, path: &str) -> String {
    if visit.query.is_empty() { path.to_owned() } else { format!("{path}?{}", visit.query.with("", "")) }
}
