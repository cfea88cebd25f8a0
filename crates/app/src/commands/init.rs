//! `tendon init`: a folder in which a first integration can be made.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::json;

use crate::{
    cli::Format,
    failure::{self, Failure, Outcome},
    joining::{schema_files, write_new},
    output,
    project::MAIN,
};

/// Where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The project's folder; made when it is not there. Default: the current one.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Name of the project; default: the folder's.
    #[arg(long)]
    name: Option<String>,
}

/// Runs it. What is there stays as it is.
///
/// # Errors
/// When the folder is a project already, or cannot be written.
pub(crate) fn run(args: &Args, format: Format) -> Outcome {
    let dir = &args.dir;
    let io = |error: std::io::Error| failure::io("making the project's folder", dir, &error).could_not_run();
    fs::create_dir_all(dir).map_err(io)?;
    let folder = dir.canonicalize().map_err(io)?;
    if folder.join(MAIN).exists() {
        return Err(Failure::new(
            "project_there",
            format!("{} is a project already, and nothing is overwritten", dir.display()),
            "look at it with `tendon check`, or choose another folder",
        ));
    }
    let name = name_of(&folder, args.name.as_deref())?;
    for part in ["integrations", "models"] {
        fs::create_dir_all(folder.join(part)).map_err(io)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(".tendon")).map_err(io)?;
    schema_files(&folder.join(".tendon"))?;
    let mut written = Vec::new();
    for (file, text) in [(".gitignore", IGNORE.to_owned()), (MAIN, main_file(&name))] {
        if write_new(&folder.join(file), text.as_bytes())? {
            written.push(file);
        }
    }
    let next = next();
    let document = json!({ "project": name, "folder": folder, "written": written, "next": next });
    output::document(format, &document, |_| format!("project {name} in {}\n", dir.display()));
    if format == Format::Text {
        let enter = if dir == Path::new(".") { String::new() } else { format!("  cd {}\n", dir.display()) };
        output::say(&format!("\nNext: say which model answers for which table of which system:\n{enter}  {next}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What to type next, with a kind of system that this program has.
fn next() -> String {
    let reach = match tendon_connectors::find("postgres") {
        Some(_) => "--kind postgres --url '${env:CRM_URL}'",
        None => "--kind sqlite --path crm.db",
    };
    format!("tendon new integration NAME --model FILE --table crm.TABLE {reach}")
}

const IGNORE: &str = "# What Tendon keeps: ledger, keys, facts. Back it up; do not publish it.\n/.tendon/\n# Files that hold secrets.\n/secrets/\n*.key\n";

fn name_of(folder: &Path, given: Option<&str>) -> Result<String, Failure> {
    let fits = |name: &str| {
        name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    if let Some(given) = given {
        return if fits(given) {
            Ok(given.to_owned())
        } else {
            let hint = "1 to 64 of a-z, A-Z, 0-9, - and _, starting with a letter or digit";
            Err(Failure::new("bad_name", format!("{given} cannot be the name of a project"), hint))
        };
    }
    let own = folder.file_name().unwrap_or_default().to_string_lossy();
    let name: String =
        own.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect();
    let name: String = name.trim_start_matches(['-', '_']).chars().take(64).collect();
    Ok(if name.is_empty() { "project".to_owned() } else { name })
}

fn main_file(name: &str) -> String {
    let name = tendon_assist::compose::scalar(name);
    let kind = match tendon_connectors::find("postgres") {
        Some(_) => "kind: postgres\n#     url: ${env:CRM_URL}",
        None => "kind: sqlite\n#     path: crm.db",
    };
    format!(
        "# yaml-language-server: $schema=.tendon/schema/tendon.json
# The project: which systems the business runs, what may be touched there, and which models answer questions.
# `tendon check` says what is wrong, with its place; integrations stand in integrations/, one file each.
project: {name}

# A system is described once, and any integration uses it. Only the fields named under read and write are ever touched.
# Secrets stay outside: ${{env:NAME}} is a variable of the environment, ${{file:secrets/crm}} a file of this folder.
# `tendon systems discover NAME --kind … --write` asks a system what it holds and writes its block here.
#
# systems:
#   crm:
#     {kind}
#     read:  {{ leads: [id, age, job, updated_at] }}
#     write: {{ leads: [score, score_band, scored_at] }}
#     limits: {{ concurrency: 4, rate: 500 }}

# A model is a folder with one file per version; the newest is the champion, until one is promoted (`tendon models promote`).
#
# models:
#   lead-score: {{ path: models/lead-score }}
"
    )
}
