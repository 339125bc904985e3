//! Speed of hashing and of signature checks, beside the plain libraries.
fn main() {}
