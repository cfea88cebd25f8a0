//! `tendon systems access`: the statements by which a system's owner gives a login exactly the declared rights, in the
//! system's own language. They are printed for the owner; nothing here runs them.

use serde_json::json;
use tendon_kernel::sockets::{
    connector::{Allowed, Build, Wanted},
    secrets::Secrets as _,
};
use tendon_plan::Sources;
use tendon_platform::ProjectSecrets;

use crate::{
    assemble,
    cli::Format,
    facts,
    failure::{Failure, Outcome},
    output,
    project::Project,
};

/// For whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which system.
    system: String,
    /// Name of the login that gets the rights. The system's owner makes it, and its password, first.
    #[arg(long, default_value = "tendon")]
    login: String,
}

/// Runs it.
///
/// # Errors
/// When the project has no such system, or its kind knows no logins.
pub(crate) async fn run(project: &Project, args: &Args, format: Format) -> Outcome {
    let outline = tendon_plan::outline(&Sources(project.sources()?));
    let name = args.system.as_str();
    let Some((_, kind, config)) = outline.systems.iter().find(|(system, ..)| system == name) else {
        let known: Vec<&str> = outline.systems.iter().map(|(name, ..)| name.as_str()).collect();
        let hint = format!("the project's systems are: {}", known.join(", "));
        return Err(Failure::new("system_not_found", format!("no system is called `{name}`"), hint));
    };
    let Some(kind) = tendon_connectors::find(kind) else {
        return Err(Failure::new(
            "kind_unknown",
            format!("system {name} has the unknown kind {kind}"),
            "`tendon check` helps",
        ));
    };
    let Some(access) = kind.access else {
        let message = format!("systems of kind {} have no logins of their own", kind.name);
        return Err(Failure::new("no_logins", message, "protect its files by the operating system's rights"));
    };
    let allowed = outline.allowed.get(name).cloned().unwrap_or_default();
    if allowed == Allowed::default() {
        let message = format!("nothing is declared under `read` and `write` of system {name}");
        let hint = format!("list the fields; `tendon systems discover {name}` proposes them");
        return Err(Failure::new("nothing_declared", message, hint));
    }
    let secrets = std::sync::Arc::new(ProjectSecrets::new(&project.folder));
    // The keys are a matter of the catalog: today's, or the one of the last time the system could be asked.
    let build = Build {
        system: name.to_owned(),
        config: config.clone(),
        allowed: Allowed::default(),
        folder: project.folder.clone(),
        context: tendon_platform::context(&project.state())?,
        secrets: secrets.clone(),
    };
    let asked = match (kind.build)(build) {
        Ok(connector) => assemble::ask_catalog(&connector).await,
        Err(error) => Err(error),
    };
    let catalog = match asked {
        Ok(catalog) => Some(catalog),
        Err(error) => {
            let kept = facts::kept_catalog(&project.state(), name);
            let then = if kept.is_some() { "what it said last time is used" } else { "its keys are not known" };
            output::say_line(&format!("note: system {name} does not answer ({error}); {then}"));
            kept
        }
    }
    .unwrap_or_default();
    for resource in allowed.read.keys().chain(allowed.write.keys()).filter(|name| catalog.resource(name).is_none()) {
        output::say_line(&format!(
            "note: {resource} is not seen yet: grant its key too, if it is not listed under read"
        ));
    }
    let mut settings = config.clone();
    if let Some(url) = settings.get_mut("url")
        && let Some(Ok(known)) = url.as_str().map(|url| secrets.resolve(url))
    {
        // For the name of the database in it.
        *url = known.reveal().into();
    }
    let statements = access(&settings, &Wanted::new(&args.login, &allowed, &catalog));
    output::document(format, &json!({ "statements": statements }), |_| statements.join("\n"));
    Ok(std::process::ExitCode::SUCCESS)
}
