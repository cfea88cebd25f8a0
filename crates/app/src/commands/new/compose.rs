//! The files of a new integration: `tendon.yaml` with the system, the model and the fields it needs, and the integration's
//! own file. All of it is checked as a whole before any of it is written.

use std::{collections::BTreeMap, sync::Arc};

use tendon_assist::{
    compose::{self, IntegrationText, SystemText, scalar},
    edit,
    mapping::reference,
};
use tendon_engine::{
    Runtime, Slot,
    preview::{PreviewRow, preview_alone},
};
use tendon_kernel::{Type, context::Clock as _};
use tendon_plan::Plan;

use super::{Scene, bands, columns::Set, mapping::Mapping, model::Chosen};
use crate::{commands::discover::by_hand, failure::Failure, joining::Draft, output, project::Project, table::harmless};

/// Reference to the schema from a file in `integrations/`.
const SCHEMA: &str = "../.tendon/schema/integration.json";

/// What will be written.
pub(super) struct Made {
    pub(super) draft: Draft,
    pub(super) set: Set,
    pub(super) bands: bands::Bands,
}

/// Makes the files.
///
/// # Errors
/// When `tendon.yaml` cannot be changed, or the project would not be right.
pub(super) fn make(
    project: &Project,
    mut draft: Draft,
    scene: &Scene<'_>,
    model: &Chosen,
    mapping: &Mapping,
    mut set: Set,
) -> Result<Made, Failure> {
    let connection = &scene.connection;
    draft.knows(&connection.name, &connection.catalog);
    draft.facts.models.insert(model.name.clone(), model.facts.clone());
    if let Some(path) = &model.path {
        let entry = format!("  {}: {{ path: {path} }}\n", model.name);
        draft.main = edit::add_entry(&draft.main, "models", &entry).ok_or_else(|| by_hand("models", &entry))?;
    }
    if let Some((name, bytes)) = &model.file {
        draft.add_model(name, bytes.clone());
    }
    system(project, &mut draft, scene, mapping, &set)?;
    let file = format!("integrations/{}.yaml", scene.args.name);
    let (chosen, note) = match &scene.args.bands {
        Some(said) => (bands::said(said)?, "As said when the integration was made.".to_owned()),
        None => {
            // With any bands first: the scores of the sampled rows tell which ones fit.
            let (first, note) = bands::proposed(Vec::new(), tendon_kernel::sockets::model::OutputKind::Probability);
            draft.add(&file, text(scene, model, mapping, &set, &first, &note));
            bands::proposed(scores(draft.plan()?.0, scene, model)?, model.signature().output)
        }
    };
    if chosen.is_empty() {
        set.retain(|(_, cel)| cel != "band");
    }
    draft.add(&file, text(scene, model, mapping, &set, &chosen, &note));
    Ok(Made { draft, set, bands: chosen })
}

/// The system's block, or the fields that the block lacks.
fn system(
    project: &Project,
    draft: &mut Draft,
    scene: &Scene<'_>,
    mapping: &Mapping,
    set: &Set,
) -> Result<(), Failure> {
    let connection = &scene.connection;
    let table = &scene.resource.name;
    let read = fields_used(scene, mapping);
    let write: Vec<String> = set.iter().map(|(field, _)| field.clone()).collect();
    if !connection.known {
        let read = [(table.clone(), read)];
        let (name, kind, settings) = (connection.name.as_str(), connection.kind.name, connection.settings.as_slice());
        let block = compose::system(&SystemText { name, kind, settings, read: &read, personal: &[] });
        draft.main = edit::add_entry(&draft.main, "systems", &block).ok_or_else(|| by_hand("systems", &block))?;
    } else {
        add(draft, scene, "read", read, allowed(project, scene, draft, "read")?)?;
    }
    let there = if connection.known { allowed(project, scene, draft, "write")? } else { Vec::new() };
    add(draft, scene, "write", write, there)
}

/// Adds the fields that are not listed yet.
fn add(
    draft: &mut Draft,
    scene: &Scene<'_>,
    verb: &str,
    mut fields: Vec<String>,
    there: Vec<String>,
) -> Result<(), Failure> {
    fields.retain(|field| !there.contains(field));
    let (system, table) = (&scene.connection.name, &scene.resource.name);
    let by_hand = || {
        let message = format!(
            "tendon.yaml has {system}'s {verb} list in a form that is not changed by a program; nothing was written"
        );
        let hint = format!(
            "add these to systems.{system}.{verb}.{table} yourself, then run the command again: {}",
            fields.join(", ")
        );
        Failure::new("by_hand", message, hint)
    };
    draft.main = edit::add_fields(&draft.main, system, verb, table, &fields).ok_or_else(by_hand)?;
    Ok(())
}

/// What the project allows on the table now. Read from the plan, so the project has to be right.
fn allowed(project: &Project, scene: &Scene<'_>, draft: &Draft, verb: &str) -> Result<Vec<String>, Failure> {
    let as_it_is = Draft::new(project, draft.facts.clone())?;
    let (plan, _) = as_it_is.plan()?;
    let system = plan.systems.get(scene.connection.name.as_str());
    let lists = system.map(|system| if verb == "read" { &system.allowed.read } else { &system.allowed.write });
    Ok(lists.and_then(|lists| lists.get(&scene.resource.name)).cloned().unwrap_or_default())
}

/// Fields that the integration reads, in the table's order.
fn fields_used(scene: &Scene<'_>, mapping: &Mapping) -> Vec<String> {
    let mentions = |field: &str| mapping.sources.iter().any(|one| mentions(&one.cel, &reference(field)));
    let wanted = |field: &str| {
        scene.key.iter().any(|key| key == field) || scene.events && scene.watermark.as_deref() == Some(field)
    };
    let names = scene.resource.schema.fields.iter().map(|field| field.name.as_ref());
    names.filter(|field| wanted(field) || mentions(field)).map(str::to_owned).collect()
}

/// Whether an expression uses a field: `input.age` is not in `input.age_group`.
fn mentions(cel: &str, field: &str) -> bool {
    cel.match_indices(field).any(|(at, _)| {
        let after = cel.get(at + field.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn text(scene: &Scene<'_>, model: &Chosen, mapping: &Mapping, set: &Set, bands: &bands::Bands, note: &str) -> String {
    let args = scene.args;
    let same = |feature: &str, cel: &str| cel == format!("input.{feature}");
    let features: Vec<(String, String, Option<f64>)> = mapping
        .sources
        .iter()
        .filter(|one| !same(&one.feature, &one.cel))
        .map(|one| (one.feature.clone(), one.cel.clone(), one.confidence))
        .collect();
    let personal: Vec<String> = fields_used(scene, mapping)
        .into_iter()
        .filter(|field| scene.table.field(field).is_some_and(|known| known.personal.is_some()))
        .collect();
    let own_key = scene.resource.key == scene.key;
    let purpose =
        args.purpose.clone().unwrap_or_else(|| format!("answer {} for each row of {}", model.name, args.table));
    let owner = args.owner.clone().or_else(|| std::env::var("USER").ok()).filter(|owner| !owner.is_empty());
    compose::integration(&IntegrationText {
        name: &args.name,
        purpose: &purpose,
        owner: owner.as_deref().unwrap_or("whoever made this project"),
        model: &format!("{}@champion", model.name),
        subject: subject(scene),
        from: &args.table,
        features: &features,
        personal: &personal,
        bands,
        bands_note: note,
        events: scene.events,
        key: if own_key { &[] } else { &scene.key },
        watermark: scene.watermark.as_deref().filter(|name| *name != "updated_at"),
        set,
        schema: SCHEMA,
    })
}

/// The key as text: by it a person's decisions are found again and erased.
fn subject(scene: &Scene<'_>) -> Option<String> {
    let part = |field: &String| {
        let text = scene.resource.schema.field(field).is_some_and(|known| known.kind == Type::Text);
        let input = reference(field);
        if text { input } else { format!("string({input})") }
    };
    let known = |field: &&String| scene.resource.schema.field(field).is_some();
    let parts: Vec<String> = scene.key.iter().filter(known).map(part).collect();
    (!parts.is_empty()).then(|| parts.join(" + '/' + "))
}

/// What the model says of the sampled rows.
fn scores(plan: Plan, scene: &Scene<'_>, model: &Chosen) -> Result<Vec<f64>, Failure> {
    let plan = Arc::new(plan);
    let Some(integration) = plan.integrations.get(scene.args.name.as_str()).cloned() else { return Ok(Vec::new()) };
    let slot = Slot { reference: model.reference.clone(), model: model.loaded.clone() };
    let version = model.reference.version.to_string();
    let models = BTreeMap::from([((model.name.clone(), version), slot)]);
    let aliases = BTreeMap::from([(model.name.clone(), model.facts.aliases.clone())]);
    let runtime = Runtime::new(plan, models, &aliases)?;
    let places: Vec<Option<usize>> =
        integration.input.schema.fields.iter().map(|field| scene.resource.schema.position(&field.name)).collect();
    let rows = scene.rows.iter().map(|row| PreviewRow {
        key: row.key.clone(),
        values: places.iter().map(|at| at.and_then(|at| row.values.get(at)).cloned().unwrap_or_default()).collect(),
    });
    let now = tendon_platform::runtime::SystemClock::new().now();
    let previews = preview_alone(&runtime, &integration.name, now, rows.collect())?;
    if let Some(error) = previews.iter().find_map(|one| one.error.as_ref()) {
        let failed = previews.iter().filter(|one| one.error.is_some()).count();
        output::say(&format!(
            "note: {failed} of {} rows looked at have no answer, for example: {}",
            previews.len(),
            error.message
        ));
    }
    Ok(previews.into_iter().filter_map(|one| one.output).collect())
}

/// What a person wants to see of it.
pub(super) fn summary(made: &Made) -> String {
    let set: Vec<String> = made.set.iter().map(|(field, cel)| format!("{field} = {cel}")).collect();
    let bands: Vec<String> = made.bands.iter().map(|(name, test)| format!("{} {test}", scalar(name))).collect();
    let mut text = String::new();
    if !set.is_empty() {
        text.push_str(&format!("\nwritten back: {}\n", harmless(&set.join(", "))));
    }
    if !bands.is_empty() {
        text.push_str(&format!("bands: {}\n", harmless(&bands.join(", "))));
    }
    text
}
