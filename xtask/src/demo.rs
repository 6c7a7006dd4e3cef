//! Demonstrations on real programs, their output passed through.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{repo, target, tools, zooid};

/// A real Kafka on Zooid: topics, messages, a server killed and restarted, a broker that takes over.
pub(crate) fn kafka() -> Result<bool> {
    for tool in ["java", "mvn"] {
        if let Err(reason) = tools::provide(tool) {
            bail!("{reason}");
        }
    }
    if std::env::var_os("ZOOID").is_none() {
        println!("building the server");
        succeed(Command::new("cargo").args(["build", "--release", "--package", "zooid-cli"]))?;
    }
    println!("fetching Apache Kafka (about 60 MB the first time)");
    let suite = repo().join("interop/kafka");
    for step in ["install", "run"] {
        succeed(
            Command::new(suite.join(step))
                .env("SERVER", "zooid")
                .env("ZOOID", zooid())
                .env("INTEROP_OUT", target().join("interop")),
        )?;
    }
    Ok(true)
}

fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .current_dir(repo())
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(())
}
