//! Connections and the core of one server together, without a socket, a thread, a disk or a clock:
//! bytes go in, frames come out, and a transaction is on disk when the test says so.

mod driver;
mod malformed;
mod order;
mod oversized;
mod random;
mod sessions;
mod workload;
