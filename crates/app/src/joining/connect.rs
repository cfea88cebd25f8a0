//! A connection to a system that the project may not know yet. An address that holds a secret is used, but never written:
//! the project's file names the environment variable that holds it.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value as Json};
use tendon_kernel::{
    Result,
    context::Context,
    schema::Catalog,
    sockets::{
        connector::{Allowed, Build, Connector, ConnectorKind},
        secrets::{Secret, Secrets},
    },
};
use tendon_plan::Sources;
use tendon_platform::ProjectSecrets;

use crate::{assemble, failure::Failure, project::Project};

/// How to reach a system, as it can be typed.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Given {
    /// Connector kind, for a system that the project does not have yet.
    #[arg(long, value_name = "K")]
    pub(crate) kind: Option<String>,
    /// Address of the system, best as a reference: '${env:CRM_URL}'. A plain one is used now and never written.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// File or folder of the system, relative to the project.
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Another setting of the kind.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
}

/// A system that answers.
pub(crate) struct Connection {
    pub(crate) name: String,
    pub(crate) kind: &'static ConnectorKind,
    /// The settings as they are to be written; empty when the project has the system already.
    pub(crate) settings: Vec<(String, String)>,
    /// Whether the project's file names it.
    pub(crate) known: bool,
    /// Environment variable that must be set for the settings to work.
    pub(crate) needs: Option<String>,
    pub(crate) catalog: Catalog,
    config: Json,
    folder: std::path::PathBuf,
    context: Context,
    secrets: Arc<dyn Secrets>,
}

/// The project's secrets, and what was typed for this run only.
struct Typed {
    project: ProjectSecrets,
    values: BTreeMap<String, String>,
}

impl Secrets for Typed {
    fn resolve(&self, text: &str) -> Result<Secret> {
        match self.values.get(text) {
            Some(value) => Ok(Secret::new(value)),
            None => self.project.resolve(text),
        }
    }
}

impl Connection {
    /// Reaches a system: the project's own of this name, or the one described.
    ///
    /// # Errors
    /// When it is described wrongly or does not answer.
    pub(crate) async fn open(project: &Project, name: &str, given: &Given) -> Result<Self, Failure> {
        let outline = tendon_plan::outline(&Sources(project.sources()?));
        let known = outline.systems.into_iter().find(|(system, ..)| system == name);
        let mut values = BTreeMap::new();
        let (kind, config, settings, needs) = match (&known, &given.kind) {
            (Some((_, kind, config)), None) => (kind.clone(), config.clone(), Vec::new(), None),
            (Some(_), Some(_)) => {
                let message = format!("tendon.yaml has a system {name} already");
                return Err(Failure::new(
                    "system_there",
                    message,
                    "leave --kind out to use it, or choose another name",
                ));
            }
            (None, None) => return Err(unknown(name)),
            (None, Some(kind)) => {
                let settings = settings_of(name, given, &mut values)?;
                let config =
                    settings.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect::<Map<_, _>>();
                let needs = values.keys().next().map(|reference| variable_in(reference).to_owned());
                (kind.clone(), Json::Object(config), settings, needs)
            }
        };
        let kind = kind_of(&kind)?;
        if let Err(errors) = (kind.validate)(&config)
            && let Some(error) = errors.into_iter().next()
        {
            let mut failure = Failure::from(error);
            failure.hint =
                Some(format!("{}{}", failure.hint.map(|hint| format!("{hint}; ")).unwrap_or_default(), takes(kind)));
            return Err(failure);
        }
        let context = tendon_platform::context(&project.state())?;
        let secrets = Arc::new(Typed { project: ProjectSecrets::new(&project.folder), values });
        let (known, folder) = (known.is_some(), project.folder.clone());
        let mut made = Self {
            name: name.to_owned(),
            kind,
            settings,
            known,
            needs,
            catalog: Catalog::default(),
            config,
            folder,
            context,
            secrets,
        };
        made.catalog = assemble::ask_catalog(&made.connector(Allowed::default())?).await?;
        Ok(made)
    }

    /// A connector that may touch what is named here.
    ///
    /// # Errors
    /// The kind's.
    pub(crate) fn connector(&self, allowed: Allowed) -> Result<Arc<dyn Connector>> {
        (self.kind.build)(Build {
            system: self.name.clone(),
            config: self.config.clone(),
            allowed,
            folder: self.folder.clone(),
            context: self.context.clone(),
            secrets: self.secrets.clone(),
        })
    }
}

/// What was typed as settings; a secret becomes a reference, with its value kept for this run.
fn settings_of(
    name: &str,
    given: &Given,
    values: &mut BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, Failure> {
    let mut settings = Vec::new();
    settings.extend(given.url.iter().map(|url| ("url".to_owned(), url.clone())));
    settings.extend(given.path.iter().map(|path| ("path".to_owned(), path.clone())));
    for setting in &given.settings {
        let Some((key, value)) = setting.split_once('=') else {
            return Err(Failure::new("setting_form", format!("--set {setting} has no `=`"), "write --set name=value"));
        };
        settings.push((key.trim().to_owned(), value.to_owned()));
    }
    for (key, value) in &mut settings {
        let secret = value.contains("://") || ["url", "password", "token", "secret"].contains(&key.as_str());
        if secret && !value.contains("${") {
            let reference = format!("${{env:{}_{}}}", variable(name), variable(key));
            values.insert(reference.clone(), std::mem::replace(value, reference));
        }
    }
    Ok(settings)
}

fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn variable_in(reference: &str) -> &str {
    reference.trim_start_matches("${env:").trim_end_matches('}')
}

fn kind_of(name: &str) -> Result<&'static ConnectorKind, Failure> {
    tendon_connectors::find(name).ok_or_else(|| {
        let kinds: Vec<&str> = tendon_connectors::ALL.iter().map(|kind| kind.name).collect();
        Failure::new(
            "kind_unknown",
            format!("there is no kind of system called {name}"),
            format!("kinds are: {}", kinds.join(", ")),
        )
    })
}

/// The settings that a kind cannot do without.
fn takes(kind: &ConnectorKind) -> String {
    let schema = (kind.schema)();
    let names: Vec<String> =
        schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).map(flag).collect();
    format!("a {} system needs {}", kind.name, names.join(" and "))
}

fn flag(setting: &str) -> String {
    if matches!(setting, "url" | "path") { format!("--{setting}") } else { format!("--set {setting}=…") }
}

fn unknown(name: &str) -> Failure {
    let kinds: Vec<String> = tendon_connectors::ALL
        .iter()
        .map(|kind| {
            let schema = (kind.schema)();
            let needs = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).map(flag);
            let needs: Vec<String> = needs.collect();
            format!("--kind {} {} …", kind.name, needs.join(" … "))
        })
        .collect();
    let hint = format!("say what it is and where: {}", kinds.join(", or "));
    Failure::new("system_not_found", format!("the project has no system called `{name}`"), hint)
}
