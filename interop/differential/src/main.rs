//! interop/differential
fn main() {}
