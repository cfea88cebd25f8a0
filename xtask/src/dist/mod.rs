//! What is handed to others: `cargo xtask dist` makes an archive, a Debian package and the chart of this version in
//! `target/dist`, with their digests. The same commit and toolchain give the same bytes: times come from the commit.

mod debian;
mod third;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Outcome,
    run::{capture, cargo, command, root, status, target},
};

/// What all parts are made from.
struct Release {
    version: String,
    /// Seconds since 1970 of the commit.
    epoch: String,
    /// The program as it was built.
    program: PathBuf,
    /// Where results go.
    out: PathBuf,
}

/// Makes all parts. `--binary FILE` takes a program that is built already.
pub(crate) fn dist(args: &[String]) -> Outcome {
    let given = match args {
        [] => None,
        [flag, file] if flag == "--binary" => Some(PathBuf::from(file)),
        _ => return Err("usage: cargo xtask dist [--binary FILE]".to_owned()),
    };
    let binary = if let Some(file) = given {
        file
    } else {
        status(cargo(&["build", "--release", "--locked", "-p", "tendon"]))?;
        target().join("release/tendon")
    };
    let out = target().join("dist");
    clear(&out)?;
    let version = capture(command(&binary, &["--version"]))?;
    let version = version.trim().trim_start_matches("tendon ").to_owned();
    let epoch = capture(command("git", &["log", "-1", "--format=%ct"]))?.trim().to_owned();
    let release = Release { version, epoch, program: binary, out };
    let tree = release.out.join("tree");
    tree::make(&release, &tree)?;
    let mut made = [archive(&release, &tree)?, debian::package(&release, &tree)?, chart(&release)?];
    made.sort();
    fs::remove_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    let names: Vec<&str> = made.iter().map(String::as_str).collect();
    let mut sums = command("sha256sum", &names);
    sums.current_dir(&release.out);
    let sums = capture(sums)?;
    write(&release.out.join("SHA256SUMS"), &sums)?;
    print!("{sums}");
    Ok(())
}

/// The tree as one archive, for hosts without a package manager of ours.
fn archive(release: &Release, tree: &Path) -> Result<String, String> {
    let machine = capture(command("uname", &["-m"]))?;
    let stem = format!("tendon-{}-linux-{}", release.version, machine.trim());
    pack(release, tree, &format!("{stem}.tar.gz"), &stem)
}

/// The chart, with this version.
fn chart(release: &Release) -> Result<String, String> {
    let chart = release.out.join("chart");
    copy(&root().join("packages/helm/tendon"), &chart)?;
    let file = chart.join("Chart.yaml");
    let text = read(&file)?;
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some((name @ ("version" | "appVersion"), _)) => format!("{name}: {}\n", release.version),
        _ => format!("{line}\n"),
    });
    write(&file, &lines.collect::<String>())?;
    let name = pack(release, &chart, &format!("tendon-chart-{}.tgz", release.version), "tendon")?;
    fs::remove_dir_all(&chart).map_err(|error| format!("{}: {error}", chart.display()))?;
    Ok(name)
}

/// Packs a folder under another name: sorted, owned by root, with the commit's time.
fn pack(release: &Release, folder: &Path, name: &str, inside: &str) -> Result<String, String> {
    let tar = release.out.join("packed.tar");
    status(command(
        "tar",
        &[
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            &format!("--mtime=@{}", release.epoch),
            &format!("--transform=s,^\\.,{inside},"),
            "-cf",
            &text(&tar),
            "-C",
            &text(folder),
            ".",
        ],
    ))?;
    status(command("gzip", &["-9nf", &text(&tar)]))?;
    let packed = release.out.join("packed.tar.gz");
    fs::rename(&packed, release.out.join(name)).map_err(|error| format!("{name}: {error}"))?;
    Ok(name.to_owned())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} could not be read: {error}", path.display()))
}

/// Writes a file and the folders above it.
fn write(path: &Path, text: &str) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{} could not be written: {error}", path.display()))
}

/// Makes the folder anew, empty.
fn clear(folder: &Path) -> Outcome {
    let failed = |error| format!("{} could not be emptied: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)
}

/// Copies a folder with all below it.
fn copy(from: &Path, to: &Path) -> Outcome {
    let failed = |error| format!("{} could not be copied: {error}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}
