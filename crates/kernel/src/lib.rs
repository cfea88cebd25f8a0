//! The nouns, the sockets and the schema of Tendon. No I/O happens here, and no clock is read.

pub mod context;
pub mod decision;
pub mod error;
pub mod id;
pub mod metrics;
pub mod schema;
pub mod sockets;
pub mod time;
pub mod trace;
pub mod value;

pub use error::{Error, ErrorKind, Result, Retry};
pub use id::Id;
pub use time::Timestamp;
pub use value::{Record, Type, Value};
