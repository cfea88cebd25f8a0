//! Settings of a kind, from JSON to its config struct: every finding at once, each with a JSON pointer, what is allowed and
//! the nearest known name. The struct is the documentation; its schema is the list of what is known.

use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use tendon_kernel::{Error, ErrorKind};

/// Reads settings. The struct must refuse unknown keys itself too, so that its schema says so.
///
/// # Errors
/// Unknown keys, missing keys and the first value of a wrong type, each `Config` with a pointer.
pub(crate) fn parse<T: DeserializeOwned + JsonSchema>(
    kind: &str,
    settings: &serde_json::Value,
) -> Result<T, Vec<Error>> {
    let Some(given) = settings.as_object() else {
        let error =
            Error::new(ErrorKind::Config, "settings_not_a_map", format!("settings of a {kind} system must be a map"));
        return Err(vec![error.at("")]);
    };
    let schema = schema_for!(T).to_value();
    let known: Vec<&str> =
        schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let mut findings = Vec::new();
    let mut accepted = serde_json::Map::new();
    for (name, value) in given {
        if known.contains(&name.as_str()) {
            accepted.insert(name.clone(), value.clone());
        } else {
            findings.push(unknown(kind, name, &known));
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(|name| name.as_str()) {
        if !given.contains_key(name) {
            let message = format!("a {kind} system needs the setting `{name}`");
            let about = schema["properties"][name]["description"].as_str().unwrap_or_default().to_owned();
            findings.push(Error::new(ErrorKind::Config, "setting_missing", message).at(pointer(name)).hint(about));
        }
    }
    match serde_path_to_error::deserialize(serde_json::Value::Object(accepted)) {
        Ok(config) if findings.is_empty() => Ok(config),
        Ok(_) => Err(findings),
        Err(error) => {
            // A missing key is reported above, with its explanation.
            let path = error.path().clone();
            if path.iter().next().is_some() {
                let at: String = path.iter().map(|part| pointer(&part.to_string())).collect();
                let message = format!("setting of a {kind} system has the wrong form");
                findings.push(
                    Error::new(ErrorKind::Config, "setting_wrong", message).at(at).hint(error.into_inner().to_string()),
                );
            }
            Err(findings)
        }
    }
}

/// The nearest of `known` to `name`, if it is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// What to do about an unknown name.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known are: {}", known.join(", ")),
    }
}

fn unknown(kind: &str, name: &str, known: &[&str]) -> Error {
    Error::new(ErrorKind::Config, "setting_unknown", format!("a {kind} system has no setting `{name}`"))
        .at(pointer(name))
        .hint(suggestion(name, known))
}

/// One step of a JSON pointer (RFC 6901).
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, JsonSchema, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its form matters")]
    struct Config {
        /// Where it is.
        path: String,
        /// How long.
        #[serde(default)]
        busy_timeout: u64,
    }

    #[test]
    fn all_findings_at_once_with_pointer_and_suggestion() {
        let settings = serde_json::json!({"pth": "x", "busy_timeout": "long", "a/b": 1});
        let findings = parse::<Config>("sqlite", &settings).unwrap_err();
        let mut seen: Vec<_> = findings.iter().map(|e| (e.code(), e.pointer().unwrap())).collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            [
                ("setting_missing", "/path"),
                ("setting_unknown", "/a~1b"),
                ("setting_unknown", "/pth"),
                ("setting_wrong", "/busy_timeout"),
            ]
        );
        assert!(findings.iter().any(|e| e.hint_text() == Some("did you mean `path`?")));
    }

    #[test]
    fn settings_must_be_a_map() {
        assert_eq!(parse::<Config>("sqlite", &serde_json::json!([])).unwrap_err()[0].code(), "settings_not_a_map");
        assert!(parse::<Config>("sqlite", &serde_json::json!({"path": "x"})).is_ok());
    }
}
