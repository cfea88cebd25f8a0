//! Where the answer goes: the columns that take it, found by name and type. Where there are none, the statement that would
//! add them is printed for the database's owner; nothing here ever changes a structure.

use serde_json::json;
use tendon_assist::names::words;
use tendon_kernel::{Type, schema::Field};

use super::{Scene, mapping::Mapping};
use crate::{cli::Format, failure::Failure, output};

/// Field and CEL.
pub(super) type Set = Vec<(String, String)>;

/// Fields that hold answers, by their names: never a feature.
pub(super) fn of_answers(scene: &Scene<'_>) -> Vec<String> {
    if let Ok(Some(set)) = said(scene) {
        return set.into_iter().map(|(field, _)| field).collect();
    }
    let kinds = [score as fn(&Field) -> u8, band, stamp];
    kinds.iter().filter_map(|likely| best(scene, *likely)).collect()
}

/// Chooses the columns.
///
/// # Errors
/// When there are none; then the statement that adds them was printed.
pub(super) fn choose(scene: &Scene<'_>, mapping: &Mapping, format: Format) -> Result<Set, Failure> {
    if let Some(set) = said(scene)? {
        return Ok(set);
    }
    let used = |field: &String| mapping.sources.iter().any(|one| one.cel == tendon_assist::mapping::reference(field));
    let free = |likely: fn(&Field) -> u8| best(scene, likely).filter(|field| !used(field));
    let output = match &scene.args.score_field {
        Some(field) => {
            let known = scene.resource.schema.field(field);
            Some(known.map(|known| known.name.to_string()).ok_or_else(|| no_field(scene, field))?)
        }
        None => free(score),
    };
    let (band, stamp) = (free(band), free(stamp));
    let mut missing = Vec::new();
    if output.is_none() {
        missing.push(("score".to_owned(), Type::Float));
        if band.is_none() {
            missing.push(("score_band".to_owned(), Type::Text));
        }
    }
    if stamp.is_none() {
        missing.push(("scored_at".to_owned(), Type::Time));
    }
    if let (Some(output), Some(stamp)) = (output, stamp) {
        let mut set = vec![(output, "output".to_owned())];
        set.extend(band.map(|band| (band, "band".to_owned())));
        set.push((stamp, "now".to_owned()));
        return Ok(set);
    }
    Err(columns_missing(scene, &missing, format))
}

fn columns_missing(scene: &Scene<'_>, missing: &[(String, Type)], format: Format) -> Failure {
    let statements = scene.connector.add_columns(&scene.resource.name, missing);
    let what: Vec<String> = missing.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
    let place = &scene.args.table;
    let message =
        format!("{place} has no columns for the answer, and tendon never changes the structure of a database");
    let again = "or name columns that are there: --write FIELD=output,FIELD=band,FIELD=now";
    if statements.is_empty() {
        return Failure::new(
            "columns_missing",
            message,
            format!("have columns added to it: {}; {again}", what.join(", ")),
        );
    }
    output::document(format, &json!({ "statements": statements }), |_| statements.join("\n"));
    Failure::new(
        "columns_missing",
        message,
        format!("run what was printed as the table's owner, then this command again; {again}"),
    )
}

/// What `--write` says.
fn said(scene: &Scene<'_>) -> Result<Option<Set>, Failure> {
    let Some(given) = &scene.args.write else { return Ok(None) };
    let mut set = Set::new();
    for part in split(given) {
        let Some((field, cel)) = part.split_once('=') else {
            return Err(Failure::new(
                "write_form",
                format!("--write {part} has no `=`"),
                "write --write score=output,scored_at=now",
            ));
        };
        let (field, cel) = (field.trim(), cel.trim());
        if scene.resource.schema.field(field).is_none() {
            return Err(no_field(scene, field));
        }
        set.push((field.to_owned(), cel.to_owned()));
    }
    Ok(Some(set))
}

fn no_field(scene: &Scene<'_>, field: &str) -> Failure {
    let names: Vec<&str> = scene.resource.schema.fields.iter().map(|one| one.name.as_ref()).collect();
    let message = format!("{} has no field `{field}`", scene.args.table);
    Failure::new("unknown_field", message, format!("its fields are: {}", names.join(", ")))
}

/// At commas outside brackets and quotes.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth, mut quote) = (Vec::new(), String::new(), 0u32, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn best(scene: &Scene<'_>, likely: fn(&Field) -> u8) -> Option<String> {
    let fields = scene
        .resource
        .schema
        .fields
        .iter()
        .filter(|field| likely(field) > 0 && !scene.key.iter().any(|key| **key == *field.name));
    // The first of the best: the order is the table's.
    fields.rev().max_by_key(|field| likely(field)).map(|field| field.name.to_string())
}

fn has(field: &Field, any: &[&str]) -> bool {
    words(&field.name).iter().any(|word| any.contains(&word.as_str()))
}

fn score(field: &Field) -> u8 {
    if field.kind != Type::Float {
        return 0;
    }
    match () {
        () if words(&field.name) == ["score"] => 3,
        () if has(field, &["score"]) => 2,
        () if has(field, &["prediction", "predicted", "probability", "propensity", "likelihood"]) => 1,
        () => 0,
    }
}

fn band(field: &Field) -> u8 {
    match () {
        () if field.kind != Type::Text => 0,
        () if has(field, &["score", "scoring"])
            && has(field, &["band", "class", "grade", "tier", "level", "color", "colour"]) =>
        {
            2
        }
        () if words(&field.name) == ["band"] => 1,
        () => 0,
    }
}

fn stamp(field: &Field) -> u8 {
    match () {
        () if field.kind != Type::Time => 0,
        () if has(field, &["scored", "predicted"]) => 2,
        () if has(field, &["score", "prediction"]) => 1,
        () => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_known_by_name_and_type() {
        let field = |name: &str, kind| Field::new(name, kind);
        assert!(score(&field("score", Type::Float)) > score(&field("lead_score", Type::Float)));
        assert_eq!(score(&field("score_note", Type::Text)), 0);
        assert!(band(&field("scoreBand", Type::Text)) > 0 && band(&field("husband", Type::Text)) == 0);
        assert!(stamp(&field("scored_at", Type::Time)) > 0 && stamp(&field("updated_at", Type::Time)) == 0);
    }

    #[test]
    fn lists_come_apart_outside_brackets() {
        assert_eq!(split("a=output, b=f(x, 'y,z'),c=now"), ["a=output", " b=f(x, 'y,z')", "c=now"]);
    }
}
