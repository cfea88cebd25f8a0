//! The ranges of an input's numbers: onto the fields, where the form checks them and the interface's description shows them.

use tendon_kernel::{
    Type,
    schema::{Field, Schema},
};

use super::{Work, input::Candidates};
use crate::{
    finding::{Mark, plain},
    yaml::{At, Ordered},
};

fn is_number(field: &Field) -> bool {
    matches!(field.kind, Type::Int | Type::Float)
}

impl Work<'_> {
    /// Gives the fields their ranges. The first entry that fits a field counts.
    pub(super) fn ranges(&mut self, raw: &Ordered<At<Vec<f64>>>, candidates: &mut Candidates) {
        let mut given = vec![false; candidates.schema.fields.len()];
        for (name, range) in raw.iter() {
            let places = match name.text().strip_suffix('*') {
                Some(start) => self.beginning(start, name.mark, &candidates.schema),
                None => self.named(name, candidates),
            };
            let Some(range) = self.range(range) else { continue };
            for place in places {
                let (Some(field), Some(given)) = (candidates.schema.fields.get_mut(place), given.get_mut(place)) else {
                    continue;
                };
                if !*given {
                    (field.range, *given) = (Some(range), true);
                }
            }
        }
    }

    fn beginning(&mut self, start: &str, mark: Mark, schema: &Schema) -> Vec<usize> {
        let fits =
            |(place, field): (usize, &Field)| (is_number(field) && field.name.starts_with(start)).then_some(place);
        let places: Vec<usize> = schema.fields.iter().enumerate().filter_map(fits).collect();
        if places.is_empty() {
            let numbers: Vec<&str> =
                schema.fields.iter().filter(|field| is_number(field)).map(|field| field.name.as_ref()).collect();
            let message = format!("no number of the input begins with {start}");
            self.findings.add(mark, "unknown_field", message, |finding| finding.allow(numbers.join(", ")));
        }
        places
    }

    fn named(&mut self, name: &At<String>, candidates: &Candidates) -> Vec<usize> {
        let Some(place) = candidates.schema.position(name.text()) else {
            self.no_field(name.mark, name.text(), candidates);
            return Vec::new();
        };
        let field = candidates.schema.fields.get(place);
        if let Some(field) = field.filter(|field| !is_number(field)) {
            let message = format!("{}: a range is a rule for numbers, not for a {}", name.text(), field.kind);
            self.findings.add(name.mark, "rule_does_not_fit", message, plain);
            return Vec::new();
        }
        vec![place]
    }
}
