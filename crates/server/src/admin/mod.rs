//! What operators ask a running server.

pub mod fourletter;
