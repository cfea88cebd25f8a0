//! The files of a release, each at its place below `/`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{Release, third, write};
use crate::{
    Outcome,
    run::{capture, command, root, status},
};

/// Files that are taken as they are: place in the repository, place in the tree.
const FILES: &[(&str, &str)] = &[
    ("LICENSE", "usr/share/doc/tendon/copyright"),
    ("README.md", "usr/share/doc/tendon/README.md"),
    ("packages/grafana/tendon.json", "usr/share/doc/tendon/grafana.json"),
    ("packages/prometheus/alerts.yaml", "usr/share/doc/tendon/alerts.yaml"),
    ("packages/systemd/sysusers.conf", "usr/lib/sysusers.d/tendon.conf"),
    ("packages/systemd/tendon.service", "usr/lib/systemd/system/tendon.service"),
    ("packages/systemd/tmpfiles.conf", "usr/lib/tmpfiles.d/tendon.conf"),
];

/// What completes commands: shell, place in the tree.
const SHELLS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/tendon"),
    ("fish", "usr/share/fish/vendor_completions.d/tendon.fish"),
    ("zsh", "usr/share/zsh/vendor-completions/_tendon"),
];

/// Makes the tree.
pub(super) fn make(release: &Release, tree: &Path) -> Outcome {
    let program = tree.join("usr/bin/tendon");
    // Makes the folders above it.
    write(&program, "")?;
    status(command("strip", &["-o", &super::text(&program), &super::text(&release.program)]))?;
    for (from, to) in FILES {
        write(&tree.join(to), &super::read(&root().join(from))?)?;
    }
    for (shell, to) in SHELLS {
        write(&tree.join(to), &capture(command(&program, &["completions", shell]))?)?;
    }
    let pages = tree.join("usr/share/man/man1");
    status(command(&program, &["man", "--dir", &super::text(&pages)]))?;
    let listed = fs::read_dir(&pages).map_err(|error| format!("{}: {error}", pages.display()))?;
    for page in listed.flatten() {
        status(command("gzip", &["-9n", &super::text(&page.path())]))?;
    }
    write(&tree.join("usr/share/doc/tendon/THIRD-PARTY.txt"), &third::licences()?)?;
    modes(tree)
}

/// The same rights for everybody who builds, whatever their umask.
fn modes(path: &Path) -> Outcome {
    let failed = |error| format!("{}: {error}", path.display());
    let open = path.is_dir() || path.ends_with("usr/bin/tendon");
    fs::set_permissions(path, fs::Permissions::from_mode(if open { 0o755 } else { 0o644 })).map_err(failed)?;
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            modes(&entry.map_err(failed)?.path())?;
        }
    }
    Ok(())
}
