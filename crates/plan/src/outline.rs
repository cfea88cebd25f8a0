//! What a configuration names before any facts are known: where the systems and the models are, so that the app can gather
//! the facts that the plan is then checked against. Wrong parts are left out; the plan reports them with their place.

use std::collections::BTreeMap;

use tendon_kernel::sockets::connector::Allowed;

use crate::{
    build::{Sources, read_project},
    finding::{Findings, Mark},
    yaml::{At, Ordered},
};

/// Systems and models of a project, as far as they can be read.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// Name, connector kind and the kind's settings.
    pub systems: Vec<(String, String, serde_json::Value)>,
    /// What is declared under `read` and `write`, by system.
    pub allowed: BTreeMap<String, Allowed>,
    /// Name and path.
    pub models: Vec<(String, String)>,
    /// Where the certificate of the listener is named.
    pub tls: Option<Mark>,
    /// Where the certificates that outgoing calls trust are named.
    pub outgoing_ca: Option<Mark>,
}

/// Reads `tendon.yaml` just far enough.
pub fn outline(sources: &Sources) -> Outline {
    let mut outline = Outline::default();
    let mut findings = Findings::default();
    let Some((_, text)) = sources.0.first() else { return outline };
    let Some((node, raw)) = read_project(text, &mut findings) else { return outline };
    let nodes = node.get("systems").map(|entry| &entry.value);
    for (name, system) in raw.systems.iter() {
        let entry = nodes.and_then(|nodes| nodes.get(name.text()));
        let (Some(entry), Some(kind)) = (entry, &system.kind) else { continue };
        let mut config = entry.value.to_json();
        if let Some(settings) = config.as_object_mut() {
            settings.retain(|key, _| !crate::build::COMMON.contains(&key.as_str()));
        }
        let declared = |lists: &Ordered<Vec<At<String>>>| {
            let names = |fields: &[At<String>]| fields.iter().map(|field| field.text().to_owned()).collect();
            lists.iter().map(|(resource, fields)| (resource.text().to_owned(), names(fields))).collect()
        };
        let allowed = Allowed { read: declared(&system.read), write: declared(&system.write) };
        outline.allowed.insert(name.text().to_owned(), allowed);
        outline.systems.push((name.text().to_owned(), kind.text().to_owned(), config));
    }
    outline.tls = raw.server.as_ref().and_then(|server| Some(server.tls.as_ref()?.cert.as_ref()?.mark));
    outline.outgoing_ca = raw.outgoing.as_ref().and_then(|outgoing| Some(outgoing.ca.as_ref()?.mark));
    for (name, model) in raw.models.iter() {
        if let Some(path) = &model.path {
            outline.models.push((name.text().to_owned(), path.text().to_owned()));
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_can_be_read_and_leaves_out_the_rest() {
        let text = "project: p\nsystems:\n  crm: { kind: sqlite, path: crm.db, read: { leads: [id] } }\n  \
                    erp: { path: x }\nmodels:\n  m: { path: models/m }\n  n: {}\nwrong: 1\n";
        let outline = outline(&Sources(vec![("tendon.yaml".into(), text.into())]));
        assert_eq!(outline.systems, [("crm".into(), "sqlite".into(), serde_json::json!({ "path": "crm.db" }))]);
        assert_eq!(outline.allowed["crm"].read["leads"], ["id"]);
        assert_eq!(outline.models, [("m".into(), "models/m".into())]);
    }
}
