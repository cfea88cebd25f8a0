//! The groups of the OpenAPI document's operations, by which its readers find their way: one for each integration, and those
//! that are the same for every project.

use serde_json::{Map, Value as Json, json};

/// Puts every operation that has no group into one by its address; gives the groups' descriptions.
pub(super) fn grouped(paths: &mut Map<String, Json>) -> Vec<Json> {
    for (path, item) in paths.iter_mut() {
        let group = match path.as_str() {
            path if path.starts_with("/v1/decisions") => "decisions",
            path if path.starts_with("/v1/") || path == "/graphql" => "project",
            _ => "service",
        };
        for method in ["get", "post"] {
            if let Some(operation) = item.get_mut(method).filter(|operation| operation.get("tags").is_none()) {
                operation["tags"] = json!([group]);
            }
        }
    }
    let about = [
        ("decisions", "What was decided, and why."),
        ("project", "What can be asked here, and what stands behind it."),
        ("service", "The process itself. No key is needed."),
    ];
    about.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect()
}
