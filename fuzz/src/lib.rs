//! What the fuzz targets share: values made from the fuzzer's bytes, operations to try on whatever was accepted, and files
//! in memory.
#![forbid(unsafe_code)]

pub mod disk;
pub mod exercise;
pub mod ground;
pub mod hostile;
pub mod make;
pub mod program;
pub mod store;
