//! Addresses under `/console` that are none.

use futures_util::future::FutureExt as _;
use tendon_kernel::{Error, ErrorKind};

use crate::console::page::{May, Page};

/// Everything else.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/{*rest}",
    name: None,
    may: May::Anyone,
    show: |_| {
        // The address is not repeated: it may hold whom it was meant to be about.
        let error = Error::new(ErrorKind::NotFound, "no_page", "the console has no page at this address");
        async { Err(error) }.boxed()
    },
    changes: &[],
};
