//! app: see ARCHITECTURE.md.
fn main() {}
