//! From a project on disk to a plan: configuration, facts of systems and models, and the pure function that judges them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    schema::Catalog,
    sockets::{
        connector::{Build, Connector},
        secrets::Secrets,
    },
};
use tendon_plan::{Facts, Outcome, Outline, Sources};
use tendon_platform::ProjectSecrets;

use crate::{
    certificates,
    facts::{self, ModelFiles},
    failure::Failure,
    project::Project,
    registry::View,
};

/// Longest wait for a system's catalog; a system that is slower counts as down, and what it said last time is used.
const CATALOG_WAIT: Duration = Duration::from_secs(5);

/// A project, read and judged.
pub(crate) struct Assembled {
    pub(crate) sources: Sources,
    pub(crate) facts: Facts,
    pub(crate) models: BTreeMap<String, ModelFiles>,
    pub(crate) outcome: Outcome,
    /// Systems that did not answer, and why; with whether an earlier catalog was used.
    pub(crate) unreachable: Vec<(String, Error, bool)>,
}

/// Reads everything and makes the plan; `view`: with which aliases.
///
/// # Errors
/// When the project's files cannot be read. What is wrong in them stands in the findings.
pub(crate) async fn assemble(
    project: &Project,
    context: &Context,
    secrets: &Arc<dyn Secrets>,
    view: &View,
) -> Result<Assembled, Failure> {
    let sources = Sources(project.sources()?);
    let outline = tendon_plan::outline(&sources);
    let models = load_models(project, &outline, view);
    let mut catalogs = BTreeMap::new();
    let mut unreachable = Vec::new();
    for (name, kind, config) in &outline.systems {
        match catalog(project, context, secrets, name, kind, config).await {
            Ok(Some(found)) => {
                if let Err(failure) = facts::keep_catalog(&project.state(), name, &found) {
                    tracing::warn!(system = %name, "{}", failure.message);
                }
                catalogs.insert(name.clone(), found);
            }
            Ok(None) => {}
            Err(error) => {
                let kept = facts::kept_catalog(&project.state(), name);
                unreachable.push((name.clone(), error, kept.is_some()));
                catalogs.extend(kept.map(|kept| (name.clone(), kept)));
            }
        }
    }
    let facts = Facts { catalogs, models: facts::model_facts(&models) };
    let mut outcome = tendon_plan::plan(&sources, &facts, tendon_connectors::ALL);
    certificates::judge(project, context, &outline, &mut outcome);
    Ok(Assembled { sources, facts, models, outcome, unreachable })
}

/// Reads and judges a project for a command that opens nothing of it.
///
/// # Errors
/// As [`assemble`].
pub(crate) async fn read(project: &Project) -> Result<Assembled, Failure> {
    let context = tendon_platform::context(&project.state()).map_err(|error| Failure::from(error).could_not_run())?;
    let secrets: Arc<dyn Secrets> = Arc::new(ProjectSecrets::new(&project.folder));
    let view = View::at(&project.state()).await.map_err(|error| Failure::from(error).could_not_run())?;
    assemble(project, &context, &secrets, &view).await.map_err(Failure::could_not_run)
}

/// Loads the project's models, without looking at anything else.
///
/// # Errors
/// When the project's files cannot be read.
pub(crate) async fn read_models(project: &Project) -> Result<BTreeMap<String, ModelFiles>, Failure> {
    let view = View::at(&project.state()).await?;
    Ok(load_models(project, &tendon_plan::outline(&Sources(project.sources()?)), &view))
}

fn load_models(project: &Project, outline: &Outline, view: &View) -> BTreeMap<String, ModelFiles> {
    let read = |(name, path): &(String, String)| (name.clone(), facts::read_model(&project.folder, name, path, view));
    outline.models.iter().map(read).collect()
}

/// What a system says of itself; `None` when its settings are wrong, which the plan reports with a place.
async fn catalog(
    project: &Project,
    context: &Context,
    secrets: &Arc<dyn Secrets>,
    name: &str,
    kind: &str,
    config: &serde_json::Value,
) -> Result<Option<Catalog>> {
    let Some(kind) = tendon_connectors::find(kind) else { return Ok(None) };
    if (kind.validate)(config).is_err() {
        return Ok(None);
    }
    let connector = (kind.build)(Build {
        system: name.to_owned(),
        config: config.clone(),
        allowed: tendon_kernel::sockets::connector::Allowed::default(),
        folder: project.folder.clone(),
        context: context.clone(),
        secrets: secrets.clone(),
    })?;
    ask_catalog(&connector).await.map(Some)
}

/// Asks a connector for its catalog, with a limit on the wait.
pub(crate) async fn ask_catalog(connector: &Arc<dyn Connector>) -> Result<Catalog> {
    match tokio::time::timeout(CATALOG_WAIT, connector.catalog()).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(ErrorKind::Unavailable, "system_slow", "the system did not tell its catalog in time")
            .with("seconds waited", CATALOG_WAIT.as_secs())),
    }
}
