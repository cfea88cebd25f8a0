//! flows: see ARCHITECTURE.md.
