//! Names as GraphQL allows them, made of names as projects and systems spell them: letters, digits and `_`, no digit first, no
//! `__` first. Two names never become one.

use std::collections::BTreeSet;

/// Hands out names; each once.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A name for a field: its own wherever GraphQL allows that.
    pub(super) fn field(&mut self, own: &str) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let name: String = own.chars().map(plain).collect();
        let name = match name.strip_prefix("__") {
            // What begins so is GraphQL's own.
            Some(_) => format!("x{name}"),
            None => name,
        };
        let first = name.chars().next();
        self.free(if first.is_none_or(|first| first.is_ascii_digit()) { format!("_{name}") } else { name })
    }

    /// A name for a type or mutation: `lead-score` becomes `LeadScore`.
    pub(super) fn words(&mut self, own: &str) -> String {
        let word = |word: &str| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        };
        let name: String = own.split(|letter: char| !letter.is_ascii_alphanumeric()).map(word).collect();
        self.free(name)
    }

    /// The name, or with a number behind it when it is taken.
    fn free(&mut self, name: String) -> String {
        let dash = if name.ends_with('_') { "" } else { "_" };
        let others = (2..).map(|number: u32| format!("{name}{dash}{number}"));
        let free = std::iter::once(name.clone()).chain(others).find(|name| !self.0.contains(name));
        let name = free.unwrap_or(name);
        self.0.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_stay_where_they_can() {
        let mut names = Names::default();
        for (own, name) in [
            ("age", "age"),
            ("default", "default"),
            ("last contact", "last_contact"),
            ("last.contact", "last_contact_2"),
            ("2nd", "_2nd"),
            ("__type", "x__type"),
            ("größe", "gr__e"),
            ("", "_"),
            ("-", "_2"),
        ] {
            assert_eq!(names.field(own), name, "{own}");
        }
        let mut names = Names::default();
        for (own, name) in [("lead-score", "LeadScore"), ("lead_score", "LeadScore_2"), ("2nd-look", "2ndLook")] {
            assert_eq!(names.words(own), name, "{own}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_allowed_and_none_is_given_twice(all in proptest::collection::vec(".{0,6}", 0..20)) {
            let mut names = Names::default();
            let given: Vec<String> = all.iter().map(|own| names.field(own)).collect();
            for name in &given {
                prop_assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'));
                prop_assert!(!name.is_empty() && !name.starts_with("__") && !name.starts_with(|c: char| c.is_ascii_digit()));
            }
            prop_assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
        }
    }
}
