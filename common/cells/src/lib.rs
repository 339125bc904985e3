//! Cells: values, encoding, hashes.
#![forbid(unsafe_code)]
