//! The Debian package: the tree, what has to happen around it, and what it needs.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{Release, copy, read, text, write};
use crate::run::{capture, command, root, status};

/// Scripts that run around the installation.
const SCRIPTS: &[&str] = &["postinst", "postrm", "prerm"];

/// Makes the package; gives its name.
pub(super) fn package(release: &Release, tree: &Path) -> Result<String, String> {
    let folder = release.out.join("debian");
    copy(tree, &folder)?;
    let about = folder.join("DEBIAN");
    let sums = sums(&folder)?;
    let architecture = capture(command("dpkg", &["--print-architecture"]))?.trim().to_owned();
    let size = capture(command("du", &["-sk", "--apparent-size", &text(&folder)]))?;
    let control = read(&root().join("packages/debian/control"))?
        .replace("@VERSION@", &release.version)
        .replace("@ARCHITECTURE@", &architecture)
        .replace("@SIZE@", size.split_whitespace().next().unwrap_or("0"))
        .replace("@GLIBC@", &glibc(&folder.join("usr/bin/tendon"))?);
    write(&about.join("control"), &control)?;
    write(&about.join("md5sums"), &sums)?;
    for script in SCRIPTS {
        let path = about.join(script);
        write(&path, &read(&root().join("packages/debian").join(script))?)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let name = format!("tendon_{}_{architecture}.deb", release.version);
    let mut build = command(
        "dpkg-deb",
        &["--root-owner-group", "-Zgzip", "--build", &text(&folder), &text(&release.out.join(&name))],
    );
    build.env("SOURCE_DATE_EPOCH", &release.epoch).stdout(std::process::Stdio::null());
    status(build)?;
    fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(name)
}

/// What `dpkg --verify` holds the installed files against.
fn sums(folder: &Path) -> Result<String, String> {
    let mut find = command("sh", &["-c", "find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum"]);
    find.current_dir(folder);
    capture(find)
}

/// The oldest C library that has everything the program asks for.
fn glibc(program: &Path) -> Result<String, String> {
    let symbols = capture(command("objdump", &["-T", &text(program)]))?;
    newest(&symbols).ok_or_else(|| format!("{} asks for no version of the C library", program.display()))
}

fn newest(symbols: &str) -> Option<String> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.').next()?;
        let (major, minor) = version.split_once('.')?;
        let minor = minor.split('.').next()?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    versions.max().map(|(major, minor)| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_compared_by_number() {
        let symbols = "0 DF *UND* 0 (GLIBC_2.9) accept4\n0 DF *UND* 0 (GLIBC_2.34) x\n0 DF *UND* 0 (GLIBC_2.2.5) y\n";
        assert_eq!(newest(symbols).as_deref(), Some("2.34"));
        assert_eq!(newest("nothing"), None);
    }
}
