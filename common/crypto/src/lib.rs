//! Ed25519 and SHA3-256 exactly as the network uses them.
#![forbid(unsafe_code)]
