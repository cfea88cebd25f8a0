//! The section of one operation: what it is for, who may, what is sent, what is answered.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::{Operation, phrase, slug, words};

/// Headers of every answer, which are described once for all.
pub(super) const ALWAYS: [&str; 4] = ["x-request-id", "server-timing", "ratelimit", "ratelimit-policy"];

/// Writes the section.
pub(super) fn section(spec: &Value, one: &Operation<'_>) -> Result<String, String> {
    let mut text = format!("\n### {}\n\n{}.", one.title(), words::line(&one.told["summary"]).trim_end_matches('.'));
    if let Some(more) = one.told["description"].as_str() {
        let _ = write!(text, " {}", words::line(&Value::from(more)));
    }
    let _ = writeln!(text, "\n\nWho may: {}.", who(one.rule)?);
    text.push_str(&parameters(one));
    text.push_str(&body(&one.told["requestBody"]));
    text.push_str(&answers(spec, one)?);
    Ok(text)
}

/// A rule of the door in words.
fn who(rule: &str) -> Result<&'static str, String> {
    Ok(match rule {
        "open" => "everybody, without credentials",
        "known" => "every caller with credentials; it is shown what it may see",
        "decide" => "callers with the scope `decide:…` of the integration, or `admin`",
        "read" => "callers with the scope `read`, which `operate` and `admin` include",
        "review" => "callers with the scope `review:…` of the integration, or `admin`",
        "operate" => "callers with the scope `operate`, which `admin` includes",
        "holder" => "whoever holds a token of the integration's badge, and nobody else",
        other => return Err(format!("`{other}` is a rule that xtask/src/docs/http/operation.rs has no words for")),
    })
}

fn parameters(one: &Operation<'_>) -> String {
    let lists = [&one.item["parameters"], &one.told["parameters"]];
    let all: Vec<&Value> = lists.into_iter().filter_map(Value::as_array).flatten().collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = "\n| parameter | in | type | meaning |\n|---|---|---|---|\n".to_owned();
    for given in all {
        let name = given["name"].as_str().unwrap_or_default();
        let place = given["in"].as_str().unwrap_or_default();
        let (kind, about) = (words::kind(&given["schema"]), words::line(&given["description"]));
        let _ = writeln!(text, "| `{name}` | {place} | {kind} | {about} |");
    }
    text
}

/// What is sent, in each of its forms.
fn body(sent: &Value) -> String {
    let mut text = String::new();
    for (kind, content) in sent["content"].as_object().into_iter().flatten() {
        let needed = if sent["required"] == true { "" } else { ", or nothing" };
        let _ = write!(text, "\nBody: `{kind}`{needed}");
        text.push_str(&match words::fields(&content["schema"]) {
            Some(table) => format!(".\n\n{table}"),
            None => format!(". {}\n", words::line(&content["schema"]["description"])),
        });
        if content["example"].is_object() {
            let _ = writeln!(text, "\n```json\n{}\n```", example(&content["example"]));
        }
    }
    text
}

/// An example in lines that are not much longer than a phone is wide.
fn example(value: &Value) -> String {
    let whole = value.to_string();
    if whole.len() < 60 { whole } else { format!("{value:#}") }
}

fn answers(spec: &Value, one: &Operation<'_>) -> Result<String, String> {
    let responses = one.told["responses"].as_object().ok_or_else(|| format!("{} has no answers", one.title()))?;
    let mut text = "\n| answer | body | meaning | headers |\n|---|---|---|---|\n".to_owned();
    let (mut problems, mut headers) = (Vec::new(), BTreeMap::new());
    for (status, response) in responses {
        if response["$ref"].is_string() {
            problems.push(format!("[{status}](#{})", slug(&phrase(status))));
            continue;
        }
        let own = response["headers"].as_object().into_iter().flatten();
        let own: Vec<_> = own.filter(|(name, _)| !ALWAYS.contains(&name.as_str())).collect();
        let names: Vec<String> = own.iter().map(|(name, _)| format!("`{}`", name.to_lowercase())).collect();
        for (name, header) in own {
            let way = header["$ref"].as_str().and_then(|way| way.strip_prefix('#'));
            let header = way.and_then(|way| spec.pointer(way)).unwrap_or(header);
            headers.insert(name.to_lowercase(), words::line(&header["description"]));
        }
        let contents = response["content"].as_object().into_iter().flatten();
        let bodies: Vec<String> =
            contents.map(|(kind, content)| format!("`{kind}`{}", of(&content["schema"]))).collect();
        let (bodies, about) = (bodies.join("; "), words::line(&response["description"]));
        let _ = writeln!(text, "| {status} | {bodies} | {about} | {} |", names.join(", "));
    }
    if !headers.is_empty() {
        text.push('\n');
    }
    for (name, about) in headers {
        let _ = writeln!(text, "- `{name}`: {about}");
    }
    if !problems.is_empty() {
        let _ = writeln!(text, "\nProblems: {}.", problems.join(", "));
    }
    Ok(text)
}

/// What a body holds: its schema by name, its fields, or nothing that its media type does not say.
fn of(schema: &Value) -> String {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields: Vec<String> = fields.map(|(name, field)| format!("`{name}` ({})", words::kind(field))).collect();
    match (fields.is_empty(), schema["type"].as_str()) {
        (false, _) => format!(" with {}", fields.join(", ")),
        (true, Some("string")) if schema["description"].is_string() => {
            format!(": {}", words::line(&schema["description"]))
        }
        (true, Some("string" | "object")) => String::new(),
        _ => format!(": {}", words::kind(schema)),
    }
}
