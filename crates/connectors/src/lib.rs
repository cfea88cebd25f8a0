//! connectors: see ARCHITECTURE.md.
