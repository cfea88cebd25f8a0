//! What the rest stands on: the real clock, randomness, disk and tasks; stores; secrets and keys; the outgoing
//! HTTP client; TLS; the project's lock; logs. The only room that reads the wall clock and starts threads for the rooms above it. Depends on the kernel alone.

pub mod caches;
pub mod disk;
pub mod http;
pub mod keys;
pub mod lock;
pub mod process;
pub mod runtime;
pub mod secrets;
pub mod stores;
pub mod telemetry;
pub mod tls;
mod validity;

pub use caches::{
    memory::MemoryCache,
    redis::{RedisCache, RedisParts, RedisSettings},
    sealing::forget_shared,
};
pub use disk::RealDisk;
pub use http::{CaReady, OutgoingHttp};
pub use keys::SealedKeys;
pub use lock::ProjectLock;
pub use runtime::{SystemClock, context};
pub use secrets::ProjectSecrets;
pub use stores::{
    copy_store,
    sqlite::{Durability, SqliteStore},
};
pub use tls::{ServerTls, TlsFiles, TlsReady, TlsState};
pub use validity::ends as certificate_ends;

use std::io;

use tendon_kernel::error::{Error, ErrorKind, Retry};

/// An input/output error as the kernel's: whether a retry helps follows from its kind. The path goes into the private half
/// (folders may carry people's names).
pub(crate) fn io_error(code: &'static str, what: &'static str, path: &std::path::Path, error: &io::Error) -> Error {
    let retry = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Retry::Later,
        _ => Retry::Never,
    };
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "check who owns the project's folder `.tendon`",
        io::ErrorKind::StorageFull => "make room on the disk",
        io::ErrorKind::ReadOnlyFilesystem => "the disk is mounted read-only",
        io::ErrorKind::NotFound => "something was removed while Tendon was working",
        _ => "the operating system's message is in the log",
    };
    let private = format!("{}: {error}", path.display());
    Error::new(ErrorKind::Unavailable, code, what).retry(retry).hint(hint).private(private)
}
