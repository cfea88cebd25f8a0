//! The messages of the gRPC door: Rust structs and a descriptor, made from the `.proto` files by protoc (of the oracles' Python
//! environment) and kept in the repository, so that a build needs no protoc. Compared in every test run.

use std::fs;

use crate::{
    Outcome,
    run::{capture, command, root, status},
    setup,
};

/// Where the `.proto` files and their generator are.
const SOURCE: &str = "crates/doors/proto";
/// The service's file, which needs the others.
const FILE: &str = "tendon/v1/decisions.proto";
/// The files, and where the messages of each are kept.
const MESSAGES: [(&str, &str); 2] =
    [("tendon/v1/parts.proto", "crates/doors/src/grpc/pb_parts.rs"), (FILE, "crates/doors/src/grpc/pb.rs")];
/// Where the descriptor of all is kept, which reflection shows.
const DESCRIPTOR: &str = "crates/doors/src/grpc/descriptor.bin";

/// Makes both files, or compares them.
pub(crate) fn proto(check: bool) -> Outcome {
    let folder = root().join(".cache/proto");
    fs::create_dir_all(&folder).map_err(|error| format!("{} could not be made: {error}", folder.display()))?;
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (described, full) = (file("descriptor.bin"), file("full.bin"));
    let protoc = |out: &str, more: &[&str]| {
        let out = format!("--descriptor_set_out={out}");
        let args = ["-m", "grpc_tools.protoc", "-I", SOURCE, "--include_imports", &out, FILE];
        status(command(setup::venv_python(), &[&args, more].concat()))
    };
    protoc(&described, &[])?;
    protoc(&full, &["--include_source_info"])?;
    let mut all = vec![(described, DESCRIPTOR)];
    for (source, kept) in MESSAGES {
        let made = file(kept.rsplit('/').next().unwrap_or(kept));
        let text = capture(command(setup::venv_python(), &[&format!("{SOURCE}/generate.py"), &full, source]))?;
        fs::write(&made, text).map_err(|error| format!("{made} could not be written: {error}"))?;
        status(command("rustfmt", &["--edition", "2024", &made]))?;
        all.push((made, kept));
    }
    for (made, kept) in all {
        let bytes = fs::read(&made).map_err(|error| format!("{made} could not be read: {error}"))?;
        if fs::read(root().join(kept)).is_ok_and(|old| old == bytes) {
            continue;
        }
        if check {
            return Err(format!("{kept} does not follow from {SOURCE}; run `cargo xtask proto`"));
        }
        fs::write(root().join(kept), bytes).map_err(|error| format!("{kept} could not be written: {error}"))?;
    }
    Ok(())
}
