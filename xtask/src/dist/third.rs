//! The licences of everything that is compiled into the program, with their texts: most ask that they travel along.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value as Json;

use crate::run::{capture, cargo};

/// Beginnings of the names of files that hold a licence.
const NAMES: &[&str] = &["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE", "UNLICENSE"];

/// One text: the list of packages, then each licence text with those that carry it.
pub(super) fn licences() -> Result<String, String> {
    let metadata = capture(cargo(&["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Json = serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let linked = linked(&metadata)?;
    let mut list = String::from("The program holds parts of these packages, under the licences named.\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let id = package["id"].as_str().unwrap_or_default();
        // Packages of this repository have no source; they are under LICENSE.
        if !linked.contains(id) || package["source"].is_null() {
            continue;
        }
        let word = |name: &str| package[name].as_str().unwrap_or("not told");
        let name = format!("{} {}", word("name"), word("version"));
        list.push_str(&format!("{name}: {}\n", word("license")));
        let folder = Path::new(word("manifest_path")).parent().unwrap_or(Path::new("."));
        for text in texts_in(folder)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    for (text, packages) in texts {
        list.push_str(&format!("\n{}\n{}\n\n{}\n", "=".repeat(78), packages.join(", "), text.trim()));
    }
    Ok(list)
}

/// Ids of the packages that the program is linked from: what only builds or tests it does not travel.
fn linked(metadata: &Json) -> Result<BTreeSet<&str>, String> {
    let nodes = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    let by_id: BTreeMap<&str, &Json> = nodes.filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let program =
        packages.clone().find(|package| package["name"] == "tendon").and_then(|package| package["id"].as_str());
    let mut open = vec![program.ok_or("cargo metadata names no package tendon")?];
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !found.insert(id) {
            continue;
        }
        for needed in by_id.get(id).and_then(|node| node["deps"].as_array()).into_iter().flatten() {
            let kinds = needed["dep_kinds"].as_array().into_iter().flatten();
            if kinds.into_iter().any(|kind| kind["kind"].is_null()) {
                open.extend(needed["pkg"].as_str());
            }
        }
    }
    Ok(found)
}

fn texts_in(folder: &Path) -> Result<Vec<String>, String> {
    let failed = |error| format!("{} could not be listed: {error}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin)) {
            found.extend(fs::read_to_string(&path));
        }
    }
    found.sort();
    Ok(found)
}
