//! Files under test: a folder of csv (semicolons, quotes, CRLF, byte order mark) or jsonl files that the test writes itself.

use std::{any::Any, cell::RefCell, collections::BTreeMap, fmt::Write as _, fs, path::PathBuf, sync::Arc};

use tendon_kernel::{
    Error, Value,
    schema::Resource,
    sockets::connector::{Allowed, Build, Capability, Connector, Row, Scan},
};
use tendon_testkit::{Sim, TestSecrets};

use crate::{
    fixture::{Fixture, refusal, wait},
    sample::names,
};

/// See the module.
pub(crate) struct FilesFixture {
    folder: tempfile::TempDir,
    csv: bool,
    keys: RefCell<BTreeMap<String, Vec<String>>>,
    rows: RefCell<BTreeMap<String, Vec<Vec<Value>>>>,
}

impl FilesFixture {
    /// Of csv files.
    pub(crate) fn csv() -> Self {
        Self::new(true)
    }

    /// Of jsonl files.
    pub(crate) fn jsonl() -> Self {
        Self::new(false)
    }

    fn new(csv: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("exports")).unwrap();
        Self { folder, csv, keys: RefCell::default(), rows: RefCell::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("exports")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), content).unwrap();
    }

    fn build(&self, allowed: Allowed) -> Arc<dyn Connector> {
        let kind = tendon_connectors::find("files").unwrap();
        let config = serde_json::json!({"path": "exports", "delimiter": ";", "key": *self.keys.borrow()});
        (kind.validate)(&config).unwrap();
        (kind.build)(Build {
            system: "exports".to_owned(),
            config,
            allowed,
            folder: self.folder.path().to_owned(),
            context: Sim::new(1).context(),
            secrets: Arc::new(TestSecrets::default()),
        })
        .unwrap()
    }
}

fn csv_text(resource: &Resource, rows: &[Vec<Value>]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let header: Vec<String> = resource.schema.fields.iter().map(|field| quoted(&field.name)).collect();
    let mut text = format!("\u{feff}{}\r\n", header.join(";"));
    for row in rows {
        let cells = row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::Text(text) => quoted(text),
            other => other.to_string(),
        });
        let _ = write!(text, "{}\r\n", cells.collect::<Vec<_>>().join(";"));
    }
    text
}

fn jsonl_text(resource: &Resource, rows: &[Vec<Value>]) -> String {
    let mut text = String::new();
    for row in rows {
        let fields = resource.schema.fields.iter().zip(row);
        let object: serde_json::Map<_, _> =
            fields.map(|(field, value)| (field.name.to_string(), value.to_json())).collect();
        let _ = writeln!(text, "{}\n", serde_json::Value::Object(object));
    }
    text
}

struct Back {
    from: PathBuf,
    to: PathBuf,
}

impl Drop for Back {
    fn drop(&mut self) {
        fs::rename(&self.from, &self.to).unwrap();
    }
}

impl Fixture for FilesFixture {
    fn kind(&self) -> &'static str {
        "files"
    }

    fn capability(&self) -> Capability {
        tendon_connectors::find("files").unwrap().capability
    }

    fn create(&self, resource: &Resource, rows: &[Vec<Value>]) {
        if self.csv {
            self.write(&format!("{}.csv", resource.name), csv_text(resource, rows));
        } else {
            self.write(&format!("{}.jsonl", resource.name), jsonl_text(resource, rows));
        }
        self.keys.borrow_mut().insert(resource.name.clone(), resource.key.clone());
        self.rows.borrow_mut().insert(resource.name.clone(), rows.to_vec());
    }

    fn dump(&self, resource: &Resource) -> Vec<Vec<Value>> {
        let mut rows = self.rows.borrow()[&resource.name].clone();
        let key: Vec<usize> = resource.key.iter().map(|name| resource.schema.position(name).unwrap()).collect();
        rows.sort_by_key(|row| {
            let part = |at: &usize| match &row[*at] {
                Value::Int(number) => (*number, String::new()),
                other => (0, other.to_string()),
            };
            key.iter().map(part).collect::<Vec<_>>()
        });
        rows
    }

    fn change(&self, _: &Resource, _: &Value, _: &str, _: &Value) {
        unreachable!("files are not watched")
    }

    fn refuse(&self, _: &Resource, _: &Value) {
        unreachable!("files are not written")
    }

    fn lock(&self) -> Box<dyn Any> {
        unreachable!("files are not written")
    }

    fn vanish(&self) -> Box<dyn Any> {
        let (to, from) = (self.path(), self.path().with_extension("away"));
        fs::rename(&to, &from).unwrap();
        Box::new(Back { from, to })
    }

    fn updates(&self, _: &Resource) -> u64 {
        0
    }

    fn tells_required(&self) -> bool {
        false
    }

    fn tested(&self) -> Option<String> {
        Some(if self.csv { "CSV files" } else { "JSON Lines files" }.to_owned())
    }

    fn connect(&self, allowed: Allowed) -> Arc<dyn Connector> {
        self.build(allowed)
    }
}

/// One page of a file that is read by row number.
fn page(connector: &dyn Connector, fields: &str, after: i64, limit: usize) -> Result<Vec<Row>, Error> {
    wait(connector.scan(Scan {
        resource: "rows".to_owned(),
        key: names(&["_row"]),
        fields: fields.split(' ').map(str::to_owned).collect(),
        after: if after == 0 { Vec::new() } else { vec![Value::Int(after)] },
        limit,
    }))
}

fn reading(fixture: &FilesFixture, fields: &str) -> Arc<dyn Connector> {
    let fields = fields.split(' ').map(str::to_owned).collect();
    fixture.build(Allowed { read: [("rows".to_owned(), fields)].into(), write: BTreeMap::new() })
}

/// Reads a file to its end, past malformed rows: numbers of good rows, and (row, line) of bad ones.
fn all(connector: &dyn Connector, fields: &str, limit: usize) -> (Vec<i64>, Vec<(String, String)>) {
    let (mut good, mut bad, mut after) = (Vec::new(), Vec::new(), 0);
    loop {
        assert!(good.len() + bad.len() < 10_000, "the scan does not get on");
        match page(connector, fields, after, limit) {
            Ok(rows) if rows.is_empty() => return (good, bad),
            Ok(rows) => {
                for row in &rows {
                    let Value::Int(number) = row.key[0] else { panic!("no row number") };
                    good.push(number);
                    after = number;
                }
            }
            Err(error) => {
                assert_eq!((error.code(), error.retryable()), ("row_malformed", false));
                let of = |name| error.context().iter().find(|(key, _)| *key == name).unwrap().1.clone();
                after = of("row").parse().unwrap();
                bad.push((of("row"), of("line")));
            }
        }
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(row, line)| ((*row).to_owned(), (*line).to_owned())).collect()
}

#[test]
fn csv_rows_that_are_not_well_formed_are_told_one_by_one() {
    let fixture = FilesFixture::csv();
    let content = b"a;b\n1;x\n2\n3;\"two\nlines\"\n4;y;z\n\n5;\xff\n6;z\nmany;z\n";
    fixture.write("rows.csv", content);
    let connector = reading(&fixture, "a b");
    for limit in [1, 2, 3, 100] {
        let (good, bad) = all(connector.as_ref(), "a b", limit);
        assert_eq!(good, [1, 3, 6, 7], "pages of {limit}");
        assert_eq!(bad, pairs(&[("2", "3"), ("4", "6"), ("5", "7")]), "pages of {limit}");
    }
    // A value that does not fit is no malformed row: it shows as text.
    let types = wait(connector.catalog()).unwrap();
    assert_eq!(types.resource("rows").unwrap().key, ["_row"]);
    let row = page(connector.as_ref(), "a b _row", 6, 1).unwrap().remove(0);
    assert_eq!(row.values, [Value::text("many"), Value::text("z"), Value::Int(7)]);
}

#[test]
fn json_rows_that_are_not_well_formed_are_told_one_by_one() {
    let fixture = FilesFixture::jsonl();
    let content = b"\xef\xbb\xbf{\"a\": 1, \"b\": {\"c\": 1}}\n\n[1]\n{\"a\": \n{\"a\": \"\xff\"}\n{\"a\": [1, 2]}\n{}\n{\"a\": 7}";
    fixture.write("rows.jsonl", content);
    let connector = reading(&fixture, "a");
    // Where a list stands in the sample, the field is left out of the catalog.
    let error = refusal(page(connector.as_ref(), "a", 0, 9));
    assert_eq!(error.code(), "field_unknown");
    let mut many = String::new();
    for n in 0..1000 {
        let _ = writeln!(many, "{{\"a\": {n}}}");
    }
    fixture.write("rows.jsonl", [many.as_bytes(), content].concat());
    let (good, bad) = all(connector.as_ref(), "a", 7);
    assert_eq!(good.len(), 1002);
    assert_eq!(bad, pairs(&[("1001", "1001"), ("1002", "1003"), ("1003", "1004"), ("1004", "1005"), ("1005", "1006")]));
    let error = refusal(page(connector.as_ref(), "a", 1004, 9));
    assert_eq!(error.pointer(), Some("/a"));
}

#[test]
fn a_quote_that_is_not_closed_does_not_swallow_memory() {
    let fixture = FilesFixture::csv();
    let mut content = b"a;b\n1;x\n2;\"".to_vec();
    content.resize(40 << 20, b'y');
    fixture.write("rows.csv", content);
    let connector = reading(&fixture, "a b");
    // Types come from what could be read.
    let (good, bad) = all(connector.as_ref(), "a b", 10);
    assert_eq!((good, bad), (vec![1], pairs(&[("2", "3")])));
}

#[test]
fn a_header_that_cannot_be_used_is_told_and_stops_no_other_file() {
    let fixture = FilesFixture::csv();
    fixture.write("good.csv", "a;b\n1;2\n");
    for header in ["a;a", "a;", "_row;a", "a;\u{fffd}"] {
        let bytes =
            if header.contains('\u{fffd}') { b"a;\xff\n1;2\n".to_vec() } else { format!("{header}\n1;2\n").into() };
        fixture.write("rows.csv", bytes);
        let connector = reading(&fixture, "a");
        assert_eq!(refusal(page(connector.as_ref(), "a", 0, 9)).code(), "header_wrong", "{header}");
        let catalog = wait(connector.catalog()).unwrap();
        assert_eq!(catalog.resources.iter().map(|resource| resource.name.as_str()).collect::<Vec<_>>(), ["good"]);
    }
}

#[test]
fn a_file_that_changes_is_read_anew() {
    let fixture = FilesFixture::csv();
    fixture.write("rows.csv", "a\n1\n2\n");
    let connector = reading(&fixture, "a b");
    assert_eq!(all(connector.as_ref(), "a", 1).0, [1, 2]);
    fixture.write("rows.csv", "b;a\nx;1\ny;2\nz;3\n");
    assert_eq!(all(connector.as_ref(), "b a", 1).0, [1, 2, 3]);
    assert_eq!(page(connector.as_ref(), "b", 2, 9).unwrap()[0].values, [Value::text("z")]);
}

#[test]
fn a_declared_key_must_tell_rows_apart() {
    let fixture = FilesFixture::csv();
    fixture.keys.borrow_mut().insert("rows".to_owned(), names(&["a"]));
    let connector = reading(&fixture, "a b");
    for (content, line) in [("a;b\n1;x\n2;y\n1;z\n", "4"), ("a;b\n;x\n", "2"), ("a;b\n1;x\n2\n", "3")] {
        fixture.write("rows.csv", content);
        let error = refusal(wait(connector.read("rows", &names(&["a"]), &names(&["b"]), &[vec![Value::Int(1)]])));
        assert_eq!(error.code(), "row_malformed");
        assert!(error.context().contains(&("line", line.to_owned())), "{error}");
    }
}

#[test]
fn two_files_of_one_name_are_told() {
    let fixture = FilesFixture::csv();
    fixture.write("rows.csv", "a\n1\n");
    fixture.write("rows.jsonl", "{}");
    let connector = reading(&fixture, "a");
    assert_eq!(refusal(wait(connector.catalog())).code(), "resource_ambiguous");
}

#[test]
fn settings_are_checked() {
    let kind = tendon_connectors::find("files").unwrap();
    let settings = serde_json::json!({"path": "", "delimiter": ";;", "key": {"a/b": []}, "pth": 1});
    let unknown = (kind.validate)(&settings).unwrap_err();
    assert_eq!((unknown[0].pointer(), unknown[0].hint_text()), (Some("/pth"), Some("did you mean `path`?")));
    let settings = serde_json::json!({"path": "", "delimiter": ";;", "key": {"a/b": []}});
    let findings = (kind.validate)(&settings).unwrap_err();
    let pointers: Vec<_> = findings.iter().map(|finding| finding.pointer().unwrap()).collect();
    assert_eq!(pointers, ["/path", "/delimiter", "/key/a~1b"]);
}
