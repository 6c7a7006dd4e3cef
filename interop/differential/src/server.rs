//! Starting and ending the servers, by `interop/server.sh`.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// Lines of a log that tell why a server ended.
const LAST_LINES: usize = 40;

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The binary in `$ZOOID`.
    Zooid,
    /// Apache ZooKeeper.
    Java,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Zooid => "zooid",
            Kind::Java => "java",
        }
    }
}

/// A running server with a directory of its own; dropping it ends the process and removes the
/// directory.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    dir: PathBuf,
    cfg: Vec<String>,
    flags: Vec<String>,
    keep: bool,
}

impl Server {
    /// Starts a server on an empty directory.
    pub(crate) fn start(kind: Kind, cfg: &[&str], flags: &[&str]) -> Result<Server> {
        let mut server = Server {
            kind,
            port: 0,
            dir: fresh_dir()?,
            cfg: cfg.iter().map(|line| line.to_string()).collect(),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
            keep: false,
        };
        server.boot()?;
        Ok(server)
    }

    fn boot(&mut self) -> Result<()> {
        // A port that was free a moment ago can be taken by another suite meanwhile.
        let mut last = String::new();
        for _ in 0..3 {
            self.port = free_port()?;
            let port = self.port.to_string();
            let mut words = vec!["start", self.kind.name(), &port];
            let dir = self.dir.to_string_lossy().into_owned();
            words.push(&dir);
            words.extend(self.cfg.iter().map(String::as_str));
            let output = script(&words, &self.flags.join(" "))?;
            if output.status.success() {
                return Ok(());
            }
            last = String::from_utf8_lossy(&output.stderr).into_owned();
        }
        self.keep = true;
        bail!("{} does not start: {last}", self.kind.name())
    }

    /// Ends the server like a crash and starts it again on its data.
    pub(crate) fn crash_and_restart(&mut self) -> Result<()> {
        self.end("kill");
        self.boot()
    }

    /// The end of the log if the server does not take connections any more.
    pub(crate) fn last_words(&self) -> Option<String> {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
            return None;
        }
        let log = std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(LAST_LINES).collect();
        Some(lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    fn end(&self, how: &str) {
        if let Err(error) = script(&[how, &self.dir.to_string_lossy()], "") {
            eprintln!("{error:#}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end("kill");
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn script(words: &[&str], flags: &str) -> Result<std::process::Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server.sh");
    Command::new(&script)
        .args(words)
        .env("JVMFLAGS", flags)
        .output()
        .with_context(|| format!("cannot run {}", script.display()))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn fresh_dir() -> Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let name = format!("zooid-diff-{}-{}", std::process::id(), now.as_nanos());
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
