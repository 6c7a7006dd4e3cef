//! Sockets.

pub mod clients;
