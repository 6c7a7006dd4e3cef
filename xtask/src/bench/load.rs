//! One run of `zooid bench`, and what it printed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::server::Server;
use super::succeed;
use crate::zooid;

/// What a run printed.
#[derive(Debug, Clone)]
pub(crate) struct Figures(Value);

impl Figures {
    /// A number by its way through the JSON: `latency_us/p99.9`.
    pub(crate) fn get(&self, way: &str) -> Result<f64> {
        let value = way.split('/').fold(&self.0, |value, name| &value[name]);
        value
            .as_f64()
            .with_context(|| format!("zooid bench prints no {way}: {}", self.0))
    }
}

/// Runs `zooid bench` with these words against a server. An error in any reply is a failure.
pub(crate) fn bench(server: &Server, words: &str) -> Result<Figures> {
    // What the load before left to be written would slow the syncs of this one.
    succeed(&mut Command::new("sync"))?;
    let output = command(server, words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("zooid bench {words} ended with {}", output.status);
    }
    Ok(Figures(serde_json::from_slice(&output.stdout)?))
}

/// A run that holds its sessions and watches until it is dropped.
pub(crate) struct Held {
    child: Child,
    pub(crate) figures: Figures,
}

impl Held {
    pub(crate) fn start(server: &Server, words: &str) -> Result<Held> {
        let mut child = command(server, words)
            .arg("--hold")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        if line.is_empty() {
            bail!("zooid bench {words} ended with {}", child.wait()?);
        }
        Ok(Held {
            child,
            figures: Figures(serde_json::from_str(&line)?),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its sessions need no goodbye: the server ends next.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(server: &Server, words: &str) -> Command {
    let mut command = Command::new(zooid());
    command
        .args(["bench", "--json", "--server", &server.address])
        .args(words.split_whitespace());
    command
}
