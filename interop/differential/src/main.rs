//! The same requests to two servers, or to the members of two ensembles, every answer compared.
//!
//! - [`fuzz`]: random streams, [`generate`] makes them, [`pair`] plays them, [`norm`] maps away
//!   what may differ, [`difference`] tells the rest, [`shrink`] shortens what shows it, [`allowed`]
//!   lists what is left out and why, [`expiry`] ends the cases of ensembles
//! - [`checklist`]: edge cases with the values that must come
//! - [`link`], [`item`], [`server`]: connections, steps, processes

mod allowed;
mod checklist;
mod difference;
mod expiry;
mod fuzz;
mod generate;
mod item;
mod link;
mod norm;
mod pair;
mod rng;
mod server;
mod shrink;
mod variant;
mod vocabulary;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Compares a server with Apache ZooKeeper")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Random streams of requests to two servers
    Fuzz(fuzz::Options),
    /// The edge cases of the protocol, one by one
    Checklist(checklist::Options),
}

fn main() -> Result<ExitCode> {
    let (passed, failed) = match Cli::parse().command {
        Command::Fuzz(options) => fuzz::run(&options)?,
        Command::Checklist(options) => checklist::run(&options)?,
    };
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
