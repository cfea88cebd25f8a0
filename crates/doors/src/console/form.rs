//! What a form sends, and what stands behind the `?` of an address: names and values.

use tendon_kernel::{Error, ErrorKind, Result};

use crate::api::query::{decoded, encoded};

/// Names and values, decoded. Names that nobody asks for are passed over: an old bookmark still opens its page.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// `Invalid` when it is none.
    pub(super) fn read(text: &str) -> Result<Self> {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decoded(name)?, decoded(value)?))
        };
        let pairs: Option<Vec<_>> = text.split('&').filter(|part| !part.is_empty()).map(pair).collect();
        pairs.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "form_unreadable", "what the form sent cannot be read")
                .hint("go back, and send the form of the page as it is")
        })
    }

    /// A value without the space around it; an empty one counts as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// A value as it was sent, also an empty one.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether nothing is given.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, value)| value.trim().is_empty())
    }

    /// The same without some names.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(known, _)| !names.contains(&known.as_str())).cloned().collect())
    }

    /// The same with another value of one name, as it stands behind a `?`; an empty one leaves it out.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(known, _)| known != name);
        let all = others.map(|(name, value)| (name.as_str(), value.as_str())).chain([(name, value)]);
        let pairs = all.filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written() {
        let form = Form::read("subject=a%26b+%3C%C3%A9%3E&since=&limit=5").unwrap();
        assert_eq!((form.text("subject"), form.text("since")), (Some("a&b <é>"), None));
        let next = Form::read(&form.with("cursor", "x.y")).unwrap();
        assert_eq!((next.text("subject"), next.text("cursor")), (Some("a&b <é>"), Some("x.y")));
        assert!(next.with("cursor", "").ends_with("limit=5"));
        assert_eq!(Form::read("a=%zz").unwrap_err().code(), "form_unreadable");
    }
}
