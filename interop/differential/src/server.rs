//! Starting and ending the servers, by `interop/server.sh`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::rng::Rng;

/// Lines of a log that tell why a server ended.
const LAST_LINES: usize = 40;

/// How long a server may take for the answer to a four-letter word.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lines of members. Nobody loses its leader because the machine stands still for seconds.
const MEMBERS: [&str; 2] = ["initLimit=150", "syncLimit=100"];

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

    /// The kinds of an ensemble by their letters, like zjz.
    pub(crate) fn of_letters(letters: &str) -> Result<Vec<Kind>> {
        let kind = |letter| match letter {
            'z' => Ok(Kind::Zooid),
            'j' => Ok(Kind::Java),
            _ => bail!("{letter} in {letters}: expected z or j"),
        };
        letters.chars().map(kind).collect()
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
    /// The rest of its ensemble, if it is a member of one.
    others: Vec<Server>,
}

impl Server {
    /// Starts a server on an empty directory.
    pub(crate) fn start(kind: Kind, cfg: &[&str], flags: &[&str]) -> Result<Server> {
        let mut server = Server::prepare(kind, cfg, flags)?;
        server.boot()?;
        Ok(server)
    }

    /// Starts an ensemble on empty directories; answers its first member of a kind. The last
    /// member leads, if it can be had.
    pub(crate) fn member_of(
        kinds: &[Kind],
        kind: Kind,
        cfg: &[&str],
        flags: &[&str],
    ) -> Result<Server> {
        let ports = free_ports(2 * kinds.len())?;
        let mut lines: Vec<String> = cfg.iter().map(|line| line.to_string()).collect();
        lines.extend(MEMBERS.map(String::from));
        for (at, ports) in ports.chunks(2).enumerate() {
            lines.push(format!(
                "server.{}=127.0.0.1:{}:{}",
                at + 1,
                ports[0],
                ports[1]
            ));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut members = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            let member = Server::prepare(*kind, &lines, flags)?;
            let data = member.dir.join("data");
            std::fs::create_dir_all(&data)?;
            std::fs::write(data.join("myid"), format!("{}\n", at + 1))?;
            members.push(member);
        }
        // A start ends when the member serves, and none does alone.
        members.reverse();
        let (first, rest) = members.split_at_mut(kinds.len() / 2 + 1);
        for some in [first, rest] {
            std::thread::scope(|scope| {
                let starts: Vec<_> = some
                    .iter_mut()
                    .map(|member| scope.spawn(|| member.boot()))
                    .collect();
                starts
                    .into_iter()
                    .try_for_each(|start| start.join().expect("starting does not panic"))
            })?;
        }
        members.reverse();
        let at = kinds.iter().position(|each| *each == kind);
        let mut member =
            members.remove(at.with_context(|| format!("no {} in the ensemble", kind.name()))?);
        member.others = members;
        Ok(member)
    }

    fn prepare(kind: Kind, cfg: &[&str], flags: &[&str]) -> Result<Server> {
        Ok(Server {
            kind,
            port: 0,
            dir: fresh_dir()?,
            cfg: cfg.iter().map(|line| line.to_string()).collect(),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
            keep: false,
            others: Vec::new(),
        })
    }

    /// The epoch of the ensemble: how many leaders it had.
    pub(crate) fn epoch(&self) -> Result<i64> {
        let said = self.word("srvr")?;
        let zxid = said
            .lines()
            .find_map(|line| line.strip_prefix("Zxid: 0x"))
            .with_context(|| format!("srvr has no zxid: {said}"))?;
        Ok(i64::from_str_radix(zxid, 16)? >> 32)
    }

    /// Why the members of the ensemble do not have the same tree, if they do not: each compares
    /// its digest with the leader's at every transaction and counts what is wrong, and each tells
    /// its digest of some.
    pub(crate) fn apart(&self) -> Result<Option<String>> {
        if self.others.is_empty() {
            return Ok(None);
        }
        let members: Vec<&Server> = [self].into_iter().chain(&self.others).collect();
        let mut told: Vec<Vec<(i64, String)>> = Vec::new();
        for member in &members {
            let said = member.word("mntr")?;
            let wrong = said
                .lines()
                .find_map(|line| line.strip_prefix("zk_digest_mismatches_count\t"));
            if wrong != Some("0") {
                let (kind, port) = (member.kind.name(), member.port);
                return Ok(Some(format!("{kind} at {port}: wrong digests {wrong:?}")));
            }
            let digests = member.word("hash")?;
            let digest = |line: &str| {
                let (zxid, digest) = line.split_once(':')?;
                let zxid = zxid.trim().trim_start_matches("0x");
                let zxid = i64::from_str_radix(zxid, 16).ok()?;
                Some((zxid, digest.trim().to_string()))
            };
            told.push(digests.lines().filter_map(digest).collect());
        }
        for (member, theirs) in members.iter().zip(&told).skip(1) {
            for (zxid, digest) in theirs {
                if let Some((_, mine)) = told[0].iter().find(|(z, d)| z == zxid && d != digest) {
                    let (kind, port) = (member.kind.name(), member.port);
                    return Ok(Some(format!(
                        "at zxid {zxid:#x}: digest {digest} of {kind} at {port}, {mine} of {} at {}",
                        self.kind.name(),
                        self.port
                    )));
                }
            }
        }
        Ok(None)
    }

    /// The answer to a four-letter word.
    fn word(&self, word: &str) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(word.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn boot(&mut self) -> Result<()> {
        // A port that was free a moment ago can be taken by another suite meanwhile.
        let mut last = String::new();
        for _ in 0..3 {
            self.port = free_ports(1)?[0];
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

/// Ports that nobody has, below those that the system gives to clients: a port of a server that is
/// not started yet, or is away, must not go to one of them.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let start = now ^ u64::from(std::process::id()) << 40;
    let mut rng = Rng::new(start, NEXT.fetch_add(1, Ordering::Relaxed));
    let mut found: Vec<u16> = Vec::new();
    for _ in 0..10_000 {
        if found.len() == count {
            return Ok(found);
        }
        let port = 10_000 + rng.below(22_000) as u16;
        if !found.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            found.push(port);
        }
    }
    bail!("no free ports")
}

fn fresh_dir() -> Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!(
        "zooid-diff-{}-{}-{next}",
        std::process::id(),
        now.as_nanos()
    );
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
