//! What a login may do beyond what is declared. The connector refuses such fields by itself; a login that has no such right
//! is the wall behind it, should a connector or a person with its password go astray.

use std::collections::BTreeSet;

use tendon_kernel::{
    schema::{Catalog, Privileges},
    sockets::connector::Allowed,
};

use crate::finding::{Findings, Mark};

/// Places named in one finding; of the others, the number.
const NAMED: usize = 5;

/// Warns of a login that may do more than is declared.
pub(super) fn check(system: &str, mark: Mark, allowed: &Allowed, catalog: &Catalog, findings: &mut Findings) {
    let Some(privileges) = &catalog.privileges else { return };
    let excess = excess(privileges, allowed, catalog);
    if excess.is_empty() {
        return;
    }
    let more = excess.len().saturating_sub(NAMED);
    let mut named = excess.into_iter().take(NAMED).collect::<Vec<_>>().join("; ");
    if more > 0 {
        named.push_str(&format!("; and {more} more"));
    }
    let message = format!("the login of system {system} may do more than is declared: {named}");
    let suggestion = format!("a login with the rights that `tendon systems access {system}` prints");
    findings.add(mark, "login_may_more", message, |finding| finding.suggest(Some(suggestion)).warning());
}

fn excess(privileges: &Privileges, allowed: &Allowed, catalog: &Catalog) -> Vec<String> {
    let mut found = Vec::new();
    for (resource, rights) in &privileges.whole {
        let rights: BTreeSet<&str> = rights.iter().map(String::as_str).collect();
        let rights = rights.into_iter().collect::<Vec<_>>().join(", ");
        found.push(if resource.is_empty() { rights } else { format!("{rights} on {resource}") });
    }
    for (resource, rights) in &privileges.fields {
        for (right, fields) in rights {
            let beyond: Vec<&str> = fields
                .iter()
                .map(String::as_str)
                .filter(|field| !wanted(right, resource, field, allowed, catalog))
                .collect();
            let Some(first) = beyond.first() else { continue };
            let others = beyond.len() - 1;
            let more = if others > 0 { format!(" and {others} more") } else { String::new() };
            found.push(format!("{right} on {resource} ({first}{more})"));
        }
    }
    found
}

/// Whether a right on a field follows from what is declared: what is written is read back, and the key with it.
fn wanted(right: &str, resource: &str, field: &str, allowed: &Allowed, catalog: &Catalog) -> bool {
    let lists = |lists: &std::collections::BTreeMap<String, Vec<String>>| {
        lists.get(resource).is_some_and(|fields| fields.iter().any(|name| name == field))
    };
    let known = allowed.read.contains_key(resource) || allowed.write.contains_key(resource);
    match right {
        "SELECT" => {
            let key = catalog.resource(resource).is_some_and(|found| found.key.iter().any(|name| name == field));
            lists(&allowed.read) || lists(&allowed.write) || (known && key)
        }
        "UPDATE" => lists(&allowed.write),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tendon_kernel::{
        Type,
        schema::{Field, Resource, Schema},
    };

    use super::*;

    #[test]
    fn only_what_goes_beyond_is_told() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let schema = Schema::new(["id", "age", "score"].map(|name| Field::new(name, Type::Int)).into());
        let mut catalog = Catalog::default();
        catalog.resources.push(Resource { name: "leads".to_owned(), key: names(&["id"]), schema });
        let allowed = Allowed {
            read: [("leads".to_owned(), names(&["age"]))].into(),
            write: [("leads".to_owned(), names(&["score"]))].into(),
        };
        let mut rights = Privileges::default();
        for (field, right) in [("id", "SELECT"), ("age", "SELECT"), ("score", "SELECT"), ("score", "UPDATE")] {
            rights.add("leads", Some(field), right);
        }
        let told = |rights: &Privileges| {
            let mut findings = Findings::of("tendon.yaml");
            let catalog = Catalog { privileges: Some(rights.clone()), ..catalog.clone() };
            check("crm", Mark { line: 3, column: 1 }, &allowed, &catalog, &mut findings);
            findings.list.into_iter().map(|one| one.message).collect::<Vec<_>>()
        };
        assert_eq!(told(&rights), Vec::<String>::new());
        rights.add("leads", Some("age"), "UPDATE");
        rights.add("leads", Some("id"), "INSERT");
        rights.add("leads", Some("age"), "INSERT");
        rights.add("orders", Some("id"), "SELECT");
        rights.add("leads", None, "DELETE");
        rights.add("", None, "SUPERUSER");
        assert_eq!(
            told(&rights),
            [
                "the login of system crm may do more than is declared: SUPERUSER; DELETE on leads; INSERT on leads (id and 1 more); \
              UPDATE on leads (age); SELECT on orders (id)"
            ]
        );
    }
}
