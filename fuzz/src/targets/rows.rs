//! Files of rows, csv and jsonl, as the connector `files` reads them: every row has a value per field asked for, pages follow each other,
//! and what is not well formed names its row and tells none of its values.

use std::{path::PathBuf, sync::Arc};

use tendon_connectors::files::KIND;
use tendon_kernel::sockets::connector::{Allowed, Build, Connector, Scan};
use tendon_testkit::TestSecrets;
use tokio::runtime::Runtime;

use super::{Run, Target, Verdict, about, kind, path::runtime, proper};

const WORDS: &[&str] = &[
    "\"",
    "\"\"",
    ",",
    "\r\n",
    "\n",
    "{\"id\":",
    "\"name\":",
    "null",
    "true",
    "1e400",
    "\u{feff}",
    "\\u0000",
    "id,name\n",
    ",,,",
    "9223372036854775808",
    "2026-05-17T10:00:00Z",
    "[1]",
    "\0",
    "é",
];
const MEMORY: (usize, usize) = (8 << 20, 1000);

pub(super) const CSV: Target = Target {
    name: "rows-csv",
    about: "csv files, as rows",
    words: WORDS,
    memory: MEMORY,
    short: 1500,
    open: || Box::new(Rows::open("csv")),
};
pub(super) const JSONL: Target = Target {
    name: "rows-jsonl",
    about: "jsonl files, as rows",
    words: WORDS,
    memory: MEMORY,
    short: 1500,
    open: || Box::new(Rows::open("jsonl")),
};

struct Rows {
    runtime: Runtime,
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Rows {
    fn open(ending: &str) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}"));
        let file = folder.path().join(format!("people.{ending}"));
        Self { runtime: runtime(), folder, file }
    }

    fn system(&self) -> tendon_kernel::Result<Arc<dyn Connector>> {
        let fields = ["id", "name", "mail", "age"].map(str::to_owned).to_vec();
        let mut allowed = Allowed::default();
        allowed.read.insert("people".to_owned(), fields);
        (KIND.build)(Build {
            system: "files".into(),
            config: serde_json::json!({ "path": "." }),
            allowed,
            folder: self.folder.path().to_owned(),
            context: tendon_platform::context(&self.folder.path().join("state"))?,
            secrets: Arc::new(TestSecrets::new([])),
        })
    }
}

impl Run for Rows {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        std::fs::write(&self.file, input).map_err(|error| format!("the file cannot be written: {error}"))?;
        self.runtime.block_on(async {
            let system = self.system().map_err(|error| format!("no system: {error}"))?;
            let catalog = match system.catalog().await {
                Ok(catalog) => catalog,
                Err(error) => {
                    proper(&error)?;
                    return Ok(Verdict { kind: kind(&[&error.code()]), taken: false });
                }
            };
            let Some(resource) = catalog.resource("people") else { return Ok(Verdict { kind: 1, taken: false }) };
            let fields: Vec<String> = resource.schema.fields.iter().map(|field| field.name.to_string()).collect();
            let fields: Vec<String> =
                fields.into_iter().filter(|name| ["id", "name", "mail", "age"].contains(&name.as_str())).collect();
            let (mut after, mut rows, mut ends) = (Vec::new(), 0_usize, Vec::new());
            // A row that is not well formed ends a page, is an error of its own, and the scan goes on behind it.
            for _ in 0..64 {
                let scan = Scan {
                    resource: "people".into(),
                    key: resource.key.clone(),
                    fields: fields.clone(),
                    after: after.clone(),
                    limit: 50,
                };
                match system.scan(scan).await {
                    Ok(page) if page.is_empty() => break,
                    Ok(page) => {
                        if page.len() > 50
                            || page
                                .iter()
                                .any(|row| row.values.len() != fields.len() || row.key.len() != resource.key.len())
                        {
                            return Err(format!("a page of {} rows is not as it was asked for", page.len()));
                        }
                        let last = page.last().map(|row| row.key.clone()).unwrap_or_default();
                        if last == after {
                            return Err("a page came again".to_owned());
                        }
                        rows += page.len();
                        after = last;
                    }
                    Err(error) => {
                        proper(&error)?;
                        ends.push(error.code());
                        break;
                    }
                }
            }
            let types: Vec<_> = resource.schema.fields.iter().map(|field| format!("{:?}", field.kind)).collect();
            let shape = &types[..types.len().min(5)].join(" ");
            Ok(Verdict { kind: kind(&[shape, &ends, &about(rows)]), taken: rows > 0 })
        })
    }
}
