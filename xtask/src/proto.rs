//! The messages of the gRPC door: Rust structs and a descriptor, made from the `.proto` file by protoc (of the oracles' Python
//! environment) and kept in the repository, so that a build needs no protoc. Compared in every test run.

use std::fs;

use crate::{
    Outcome,
    run::{capture, command, root, status},
    setup,
};

/// Where the `.proto` files and their generator are.
const SOURCE: &str = "crates/doors/proto";
/// The file that is read.
const FILE: &str = "tendon/v1/decisions.proto";
/// Where its messages are kept.
const MESSAGES: &str = "crates/doors/src/grpc/pb.rs";
/// Where its descriptor is kept, which reflection shows.
const DESCRIPTOR: &str = "crates/doors/src/grpc/descriptor.bin";

/// Makes both files, or compares them.
pub(crate) fn proto(check: bool) -> Outcome {
    let folder = root().join(".cache/proto");
    fs::create_dir_all(&folder).map_err(|error| format!("{} could not be made: {error}", folder.display()))?;
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (described, full, messages) = (file("descriptor.bin"), file("full.bin"), file("pb.rs"));
    let protoc = |out: &str, more: &[&str]| {
        let out = format!("--descriptor_set_out={out}");
        let args = ["-m", "grpc_tools.protoc", "-I", SOURCE, "--include_imports", &out, FILE];
        status(command(setup::venv_python(), &[&args, more].concat()))
    };
    protoc(&described, &[])?;
    protoc(&full, &["--include_source_info"])?;
    let text = capture(command(setup::venv_python(), &[&format!("{SOURCE}/generate.py"), &full, FILE]))?;
    fs::write(&messages, text).map_err(|error| format!("{messages} could not be written: {error}"))?;
    status(command("rustfmt", &["--edition", "2024", &messages]))?;
    for (made, kept) in [(described, DESCRIPTOR), (messages, MESSAGES)] {
        let bytes = fs::read(&made).map_err(|error| format!("{made} could not be read: {error}"))?;
        if fs::read(root().join(kept)).is_ok_and(|old| old == bytes) {
            continue;
        }
        if check {
            return Err(format!("{kept} does not follow from {FILE}; run `cargo xtask proto`"));
        }
        fs::write(root().join(kept), bytes).map_err(|error| format!("{kept} could not be written: {error}"))?;
    }
    Ok(())
}
