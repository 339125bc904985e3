//! The Etch store.
