//! What operators ask a running server.
//!
//! - [`commands`]: the table of commands; the four-letter words derive from it
//! - [`fourletter`]: who may ask, and how an answer travels
//! - [`metrics`]: the table of metrics; `mntr` derives from it
//! - [`connections`], [`environment`]: longer texts; [`java`]: how Java writes numbers and dates

pub mod commands;
pub mod connections;
pub mod environment;
pub mod fourletter;
pub mod java;
pub mod metrics;

#[cfg(test)]
mod testing;
