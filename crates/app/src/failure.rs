//! Why a command failed, as it is shown in a terminal or sent through the control socket.

use std::process::ExitCode;

use tendon_kernel::Error;

/// A failure with its advice. Carries public halves only, except `private`, which goes to logs.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Failure {
    /// Stable code.
    pub(crate) code: String,
    /// What was attempted, on what.
    pub(crate) message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// Whether trying again may help.
    pub(crate) retryable: bool,
    /// Exit code of the command.
    #[serde(default = "one")]
    pub(crate) exit: u8,
}

fn one() -> u8 {
    1
}

/// What a command ends with.
pub(crate) type Outcome = Result<ExitCode, Failure>;

impl Failure {
    /// A failure that a retry will not mend.
    pub(crate) fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        Self { code: code.to_owned(), message: message.into(), hint, retryable: false, exit: 1 }
    }

    /// The command could not run at all.
    pub(crate) fn could_not_run(mut self) -> Self {
        self.exit = 2;
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Some(detail) = error.private_detail() {
            tracing::debug!(code = error.code(), detail, "{error}");
        }
        let mut message = error.message().to_owned();
        if let Some(pointer) = error.pointer().filter(|pointer| !pointer.is_empty()) {
            message.push_str(&format!(" at {pointer}"));
        }
        for (key, value) in error.context() {
            message.push_str(&format!("; {key}: {value}"));
        }
        let hint = error.hint_text().map(str::to_owned);
        Self { code: error.code().to_owned(), message, hint, retryable: error.retryable(), exit: 1 }
    }
}

/// Reading or writing a file of the project failed.
pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new("file_failed", format!("{what} {} failed: {error}", path.display()), "")
}
