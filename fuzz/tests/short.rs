//! The short run: what is kept, and a fixed number of inputs of a fixed seed, through every target. `cargo xtask fuzz` runs long.

use std::process::Command;

#[test]
fn nothing_is_found_by_the_short_run() {
    let output = Command::new(env!("CARGO_BIN_EXE_tendon-fuzz")).arg("--short").output();
    let output = output.unwrap_or_else(|error| panic!("the fuzzer: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    println!("{said}");
}
