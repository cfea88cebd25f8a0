//! What handlers know of the caller: the gate recognised it before they were called.

use std::sync::Arc;

use axum::http::Extensions;
use tendon_kernel::{Error, ErrorKind, Result};

use crate::trust::Known;

/// The caller of this request.
///
/// # Errors
/// `Internal` on a route that asks for no caller: a defect of the table of routes.
pub(super) fn caller(extensions: &Extensions) -> Result<Arc<Known>> {
    extensions.get::<Arc<Known>>().cloned().ok_or_else(|| {
        Error::new(ErrorKind::Internal, "no_caller", "a handler asks for the caller on a route that recognises none")
    })
}
