//! Secrets as references: `${env:NAME}` and `${file:path}`. Resolved last, right before use; errors name the reference and
//! never a value. `$${` stands for a plain `${`.

use std::path::{Path, PathBuf};

use tendon_kernel::{
    error::{Error, ErrorKind, Result},
    sockets::secrets::{Secret, Secrets},
};

/// Where secrets of a scheme come from.
pub struct SecretKind {
    /// The part before the colon.
    pub scheme: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// Fetches the value for the part after the colon, given the project's folder.
    fetch: fn(&Path, &str) -> Result<String>,
}

/// All schemes, sorted.
pub const SECRETS: &[SecretKind] = &[
    SecretKind { scheme: "env", summary: "an environment variable of the process: ${env:CRM_TOKEN}", fetch: from_env },
    SecretKind {
        scheme: "file",
        summary: "a file, relative to the project's folder, without its last line break: ${file:secrets/crm}",
        fetch: from_file,
    },
];

/// Resolves references for a project.
#[derive(Debug)]
pub struct ProjectSecrets {
    folder: PathBuf,
}

impl ProjectSecrets {
    /// Secrets of the project in this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    fn fetch(&self, reference: &str) -> Result<String> {
        let known = || SECRETS.iter().map(|kind| kind.scheme).collect::<Vec<_>>().join(", ");
        let Some((scheme, rest)) = reference.split_once(':') else {
            return Err(Error::new(ErrorKind::Config, "secret_form", "a reference has no scheme")
                .with("reference", format!("${{{reference}}}"))
                .hint(format!("write ${{scheme:name}}; known schemes: {}", known())));
        };
        let Some(kind) = SECRETS.iter().find(|kind| kind.scheme == scheme) else {
            return Err(Error::new(ErrorKind::Config, "secret_scheme", "a reference has an unknown scheme")
                .with("reference", format!("${{{reference}}}"))
                .hint(format!("known schemes: {}", known())));
        };
        (kind.fetch)(&self.folder, rest).map_err(|error| error.with("reference", format!("${{{reference}}}")))
    }
}

impl Secrets for ProjectSecrets {
    fn resolve(&self, text: &str) -> Result<Secret> {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                resolved.push_str(before);
                resolved.push_str("${");
                rest = after;
                continue;
            }
            resolved.push_str(before);
            let Some((reference, after)) = after.split_once('}') else {
                return Err(Error::new(ErrorKind::Config, "secret_form", "a reference `${` has no closing brace")
                    .hint("write ${env:NAME}, or $${ for a plain ${"));
            };
            resolved.push_str(&self.fetch(reference)?);
            rest = after;
        }
        resolved.push_str(rest);
        Ok(Secret::new(resolved))
    }
}

fn from_env(_: &Path, name: &str) -> Result<String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        Ok(_) | Err(std::env::VarError::NotPresent) => {
            Err(Error::new(ErrorKind::Config, "secret_missing", "an environment variable is not set")
                .hint("set it for the process that runs Tendon"))
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::new(ErrorKind::Config, "secret_form", "an environment variable is not UTF-8 text"))
        }
    }
}

fn from_file(folder: &Path, path: &str) -> Result<String> {
    let mut text = std::fs::read_to_string(folder.join(path)).map_err(|error| {
        Error::new(ErrorKind::Config, "secret_missing", "a secret's file could not be read")
            .hint("paths start at the project's folder; the file must hold UTF-8 text")
            .private(error)
    })?;
    for end in ['\n', '\r'] {
        if text.ends_with(end) {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (tempfile::TempDir, ProjectSecrets) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("secrets")).unwrap();
        std::fs::write(folder.path().join("secrets/crm"), "hunter2\r\n").unwrap();
        std::fs::write(folder.path().join("lines"), "one\ntwo\n\n").unwrap();
        std::fs::write(folder.path().join("nested"), "${env:PATH}").unwrap();
        let secrets = ProjectSecrets::new(folder.path());
        (folder, secrets)
    }

    #[test]
    fn references_are_replaced_wherever_they_stand() {
        let (_folder, secrets) = secrets();
        let resolve = |text: &str| secrets.resolve(text).unwrap().reveal().to_owned();
        assert_eq!(resolve("plain $ text {}"), "plain $ text {}");
        assert_eq!(
            resolve("postgres://u:${file:secrets/crm}@h/${file:secrets/crm}?"),
            "postgres://u:hunter2@h/hunter2?"
        );
        assert_eq!(resolve("${env:PATH}"), std::env::var("PATH").unwrap());
        assert_eq!(resolve("${file:lines}"), "one\ntwo\n");
        assert_eq!(resolve("a $${file:x} b"), "a ${file:x} b");
        assert_eq!(resolve("${file:nested}"), "${env:PATH}", "values are not resolved again");
    }

    #[test]
    fn errors_name_the_reference_and_what_is_known() {
        let (_folder, secrets) = secrets();
        for (text, code, part) in [
            ("x ${vault:a/b}", "secret_scheme", "known schemes: env, file"),
            ("x ${NAME}", "secret_form", "${NAME}"),
            ("x ${env:NAME", "secret_form", "closing brace"),
            ("x ${env:TENDON_SURELY_NOT_SET}", "secret_missing", "${env:TENDON_SURELY_NOT_SET}"),
            ("hunter2 ${file:nowhere}", "secret_missing", "${file:nowhere}"),
        ] {
            let error = secrets.resolve(text).unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Config, code), "{text}");
            assert!(error.to_string().contains(part), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(SECRETS.is_sorted_by_key(|kind| kind.scheme));
    }
}
