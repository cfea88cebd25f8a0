//! The first wall: which fields of which resources may be touched, decided before anything reaches the system.
//! A kind may have a second one inside its driver (`sqlite::authorizer`).

use tendon_kernel::{Error, ErrorKind, Result, sockets::connector::Allowed};

/// What a plan allows on one system.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// Name of the system, for errors.
    pub(crate) system: String,
    /// The fields.
    pub(crate) allowed: Allowed,
}

impl Guard {
    /// Whether anything of the resource is allowed.
    pub(crate) fn knows(&self, resource: &str) -> bool {
        self.allowed.read.contains_key(resource) || self.allowed.write.contains_key(resource)
    }

    /// Whether a field is listed under `read`.
    pub(crate) fn reads(&self, resource: &str, field: &str) -> bool {
        self.allowed.read.get(resource).is_some_and(|fields| fields.iter().any(|name| name == field))
    }

    /// Whether a field is listed under `write`.
    pub(crate) fn writes(&self, resource: &str, field: &str) -> bool {
        self.allowed.write.get(resource).is_some_and(|fields| fields.iter().any(|name| name == field))
    }

    /// Refuses fields that are neither listed under `read` nor, where given, part of the resource's own key.
    ///
    /// # Errors
    /// `Forbidden`, code `field_not_allowed`, naming the field.
    pub(crate) fn check_read<'a>(
        &self,
        resource: &str,
        fields: impl IntoIterator<Item = &'a String>,
        key: &[String],
    ) -> Result<()> {
        for field in fields {
            let of_key = self.knows(resource) && key.contains(field);
            if !of_key && !self.reads(resource, field) {
                return Err(self.refusal(resource, field, "read"));
            }
        }
        Ok(())
    }

    /// Refuses fields that are not listed under `write`.
    ///
    /// # Errors
    /// `Forbidden`, code `field_not_allowed`, naming the field.
    pub(crate) fn check_write<'a>(&self, resource: &str, fields: impl IntoIterator<Item = &'a String>) -> Result<()> {
        for field in fields {
            if !self.writes(resource, field) {
                return Err(self.refusal(resource, field, "write"));
            }
        }
        Ok(())
    }

    /// Refuses a resource of which nothing is listed.
    ///
    /// # Errors
    /// `Forbidden`, code `field_not_allowed`, naming the resource.
    pub(crate) fn check_resource(&self, resource: &str) -> Result<()> {
        if self.knows(resource) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Forbidden, "field_not_allowed", "nothing of this resource may be touched")
            .with("system", &self.system)
            .with("resource", resource)
            .hint("list the resource and its fields under `read` or `write` of the system"))
    }

    fn refusal(&self, resource: &str, field: &str, how: &str) -> Error {
        Error::new(ErrorKind::Forbidden, "field_not_allowed", format!("to {how} this field is not allowed"))
            .with("system", &self.system)
            .with("resource", resource)
            .with("field", field)
            .hint(format!("list the field under `{how}` of the system"))
    }
}
