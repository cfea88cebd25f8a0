//! Configuration as text, the way a person would have written it: what is said, why it is so, and what can be changed.

use std::fmt::Write as _;

/// A system as it stands below `systems:`.
pub struct SystemText<'a> {
    /// Name in the project.
    pub name: &'a str,
    /// Connector kind.
    pub kind: &'a str,
    /// The kind's settings, secrets as references.
    pub settings: &'a [(String, String)],
    /// Fields that may be read, by resource.
    pub read: &'a [(String, Vec<String>)],
    /// Fields left out because they likely are personal, by resource.
    pub personal: &'a [(String, Vec<String>)],
}

/// The block of a system, with two spaces before each line.
pub fn system(system: &SystemText<'_>) -> String {
    let mut text = format!("  {}:\n    kind: {}\n", system.name, scalar(system.kind));
    for (name, value) in system.settings {
        let _ = writeln!(text, "    {name}: {}", scalar(value));
    }
    if !system.read.is_empty() {
        text.push_str("    # Nothing else is ever read.\n");
        for (resource, fields) in system.personal.iter().filter(|(_, fields)| !fields.is_empty()) {
            let _ = writeln!(text, "    # Left out of {resource}, because likely personal: {}.", fields.join(", "));
        }
        text.push_str("    read:\n");
        for (resource, fields) in system.read {
            let _ = writeln!(text, "      {}: {}", scalar(resource), list(fields));
        }
    }
    text
}

/// An integration's file.
pub struct IntegrationText<'a> {
    /// Name.
    pub name: &'a str,
    /// What it is for.
    pub purpose: &'a str,
    /// Who answers for it.
    pub owner: &'a str,
    /// `model@alias`.
    pub model: &'a str,
    /// CEL: whom a decision is about.
    pub subject: Option<String>,
    /// `system.resource`.
    pub from: &'a str,
    /// Features that are no field of the same name: name, CEL, and how sure that was.
    pub features: &'a [(String, String, Option<f64>)],
    /// Personal fields among the input.
    pub personal: &'a [String],
    /// Bands, and a comment on them.
    pub bands: &'a [(String, String)],
    /// Why the bands are as they are.
    pub bands_note: &'a str,
    /// Whether changes of the table are watched.
    pub events: bool,
    /// Key, where the table has none of its own.
    pub key: &'a [String],
    /// Watermark, where its name is unusual.
    pub watermark: Option<&'a str>,
    /// What is written back: field and CEL.
    pub set: &'a [(String, String)],
    /// Reference to the editor's schema.
    pub schema: &'a str,
}

/// The whole file.
pub fn integration(one: &IntegrationText<'_>) -> String {
    let mut text = format!("# yaml-language-server: $schema={}\n", one.schema);
    let _ =
        writeln!(text, "# One question to one model: for whom, from where, under which rules, through which doors.");
    let _ = writeln!(
        text,
        "integration: {}\npurpose: {}\nowner: {}",
        scalar(one.name),
        scalar(one.purpose),
        scalar(one.owner)
    );
    let _ = writeln!(text, "model: {}", scalar(one.model));
    if let Some(subject) = &one.subject {
        let _ = writeln!(
            text,
            "# Whom a decision is about: by this it is found again, and erased.\nsubject: {}",
            scalar(subject)
        );
    }
    let _ = writeln!(text, "input:\n  from: {}", scalar(one.from));
    if !one.features.is_empty() {
        text.push_str("  # Features of the model that are no field of the same name, and how sure the mapping was.\n  features:\n");
        for (name, cel, sure) in one.features {
            let note = sure.map(|sure| format!("   # {:.0} %", sure * 100.0)).unwrap_or_default();
            let _ = writeln!(text, "    {}: {}{note}", scalar(name), scalar(cel));
        }
    }
    if !one.personal.is_empty() {
        let _ = writeln!(text, "  # Never shown in errors, logs or lists.\n  personal: {}", list(one.personal));
    }
    if !one.bands.is_empty() {
        let bands: Vec<String> =
            one.bands.iter().map(|(name, test)| format!("{}: {}", item(name), item(test))).collect();
        let _ = writeln!(text, "# {}\nbands: {{ {} }}", one.bands_note, bands.join(", "));
    }
    text.push_str("doors:\n  api: {}\n");
    if one.events {
        events(&mut text, one);
    }
    text
}

fn events(text: &mut String, one: &IntegrationText<'_>) {
    let _ = writeln!(text, "  events:\n    from: {}\n    on: [insert, update]", scalar(one.from));
    if !one.key.is_empty() {
        let _ = writeln!(text, "    key: {}", list(one.key));
    }
    if let Some(watermark) = one.watermark {
        let _ = writeln!(text, "    # Grows with each change of a row.\n    watermark: {}", scalar(watermark));
    }
    if !one.set.is_empty() {
        let set: Vec<String> = one.set.iter().map(|(field, cel)| format!("{}: {}", item(field), item(cel))).collect();
        let _ = writeln!(text, "    to: {}\n    set: {{ {} }}", scalar(one.from), set.join(", "));
    }
}

/// `[a, b]`.
pub fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|one| item(one)).collect();
    format!("[{}]", items.join(", "))
}

/// A scalar in a block: plain where YAML reads it as the same text, else quoted.
pub fn scalar(text: &str) -> String {
    let first = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '$');
    let inner = |c: char| {
        c.is_alphanumeric()
            || matches!(c, '_' | '/' | '.' | '$' | '-' | '@' | '{' | '}' | '(' | ')' | '+' | ',' | ' ' | ':')
    };
    let sound = text.starts_with(first)
        && text.chars().all(inner)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #");
    if sound && !special(text) { text.to_owned() } else { quoted(text) }
}

/// A scalar inside `[…]` or `{…}`.
pub fn item(text: &str) -> String {
    let sound = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')'));
    if sound && !special(text) { text.to_owned() } else { quoted(text) }
}

/// What some reader of YAML takes for something else than a text.
fn special(text: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", ".inf", ".nan"];
    let lower = text.to_lowercase();
    words.contains(&lower.as_str()) || text.trim_start_matches(['.', '+']).starts_with(|c: char| c.is_ascii_digit())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_quoted_where_they_must_be() {
        for plain in [
            "crm.leads",
            "${env:CRM_URL}",
            "lead-score@champion",
            "rank leads by score",
            "../crm.db",
            "days(now - input.x)",
        ] {
            assert_eq!(scalar(plain), plain);
        }
        for (text, want) in [
            ("no", "\"no\""),
            ("a: b", "\"a: b\""),
            ("input[\"a b\"]", "\"input[\\\"a b\\\"]\""),
            ("7", "\"7\""),
            (".5", "\".5\""),
        ] {
            assert_eq!(scalar(text), want);
        }
        assert_eq!(list(&["id".into(), "on".into(), "a b".into()]), "[id, \"on\", \"a b\"]");
        assert_eq!(item(">= 0.7"), "\">= 0.7\"");
    }
}
