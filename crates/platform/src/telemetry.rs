//! Logs: to standard error, for people or as JSON lines. `TENDON_LOG` sets the level (`debug`, or a filter such as
//! `info,tendon_ledger=trace`), `TENDON_LOG_FORMAT` the format (`text`, `json`).

use std::io::{self, IsTerminal as _};

use tendon_kernel::error::{Error, ErrorKind, Result};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// The format that `TENDON_LOG_FORMAT` asks for; text when it is not set.
    ///
    /// # Errors
    /// `Config` for another word.
    pub fn from_env() -> Result<Self> {
        match std::env::var("TENDON_LOG_FORMAT").as_deref() {
            Err(_) | Ok("" | "text") => Ok(Self::Text),
            Ok("json") => Ok(Self::Json),
            Ok(_) => Err(Error::new(ErrorKind::Config, "log_format", "TENDON_LOG_FORMAT names no format")
                .hint("use `text` or `json`")),
        }
    }
}

/// The filter that a text asks for.
fn filter(text: &str) -> Result<EnvFilter> {
    EnvFilter::builder().parse(text).map_err(|error| {
        Error::new(ErrorKind::Config, "log_level", "TENDON_LOG holds no filter")
            .hint("use error, warn, info, debug or trace, or a list such as `info,tendon_ledger=debug`")
            .private(error)
    })
}

/// Starts logging for the process. `default` is the filter when `TENDON_LOG` is not set.
///
/// # Errors
/// `Config` when the filter cannot be read; `Internal` when logging was started before.
pub fn init(format: LogFormat, default: &str) -> Result<()> {
    let text = std::env::var("TENDON_LOG").ok().filter(|text| !text.is_empty());
    let filter = filter(text.as_deref().unwrap_or(default))?;
    let base = registry().with(filter);
    let started = match format {
        LogFormat::Text => {
            base.with(fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal())).try_init()
        }
        LogFormat::Json => base.with(fmt::layer().json().flatten_event(true).with_writer(io::stderr)).try_init(),
    };
    started.map_err(|error| Error::new(ErrorKind::Internal, "log_started", "logging was started twice").private(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_or_explained() {
        for good in ["info", "warn,tendon_ledger=trace", "off"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        let error = filter("tendon=loud").unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "log_level"));
    }

    #[test]
    fn logging_starts_once() {
        init(LogFormat::Json, "off").unwrap();
        assert_eq!(init(LogFormat::Text, "off").unwrap_err().code(), "log_started");
    }
}
