//! doors: see ARCHITECTURE.md.
