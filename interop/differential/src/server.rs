//! Starting and ending the servers, by `interop/server.sh`.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

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
    /// How many wrong digests it counted beyond those of the leader when it had started.
    wrong_at_start: i64,
}

impl Server {
    /// Starts a server on an empty directory.
    pub(crate) fn start(kind: Kind, cfg: &[&str], flags: &[&str]) -> Result<Server> {
        let mut server = Server::prepare(kind, cfg, flags)?;
        server.boot()?;
        Ok(server)
    }

    /// Starts the members of an ensemble on empty directories. The last one leads, if it wins the
    /// election.
    pub(crate) fn ensemble(kinds: &[Kind], cfg: &[&str], flags: &[&str]) -> Result<Vec<Server>> {
        let ports = free_ports(2 * kinds.len())?;
        let mut lines: Vec<String> = cfg.iter().map(|line| line.to_string()).collect();
        lines.extend(MEMBERS.map(String::from));
        for (at, ports) in ports.chunks(2).enumerate() {
            let id = at + 1;
            lines.push(format!("server.{id}=127.0.0.1:{}:{}", ports[0], ports[1]));
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
        let quorum = kinds.len() / 2 + 1;
        let (rest, first) = members.split_at_mut(kinds.len() - quorum);
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
        Ok(members)
    }

    fn prepare(kind: Kind, cfg: &[&str], flags: &[&str]) -> Result<Server> {
        Ok(Server {
            kind,
            port: 0,
            dir: fresh_dir()?,
            cfg: cfg.iter().map(|line| line.to_string()).collect(),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
            keep: false,
            wrong_at_start: 0,
        })
    }

    /// The epoch of the ensemble, which is how many leaders it had, and whether this member leads.
    pub(crate) fn epoch(&self) -> Result<(i64, bool)> {
        let said = self.word("srvr")?;
        let zxid = said
            .lines()
            .find_map(|line| line.strip_prefix("Zxid: 0x"))
            .with_context(|| format!("srvr has no zxid: {said}"))?;
        let leads = said.lines().any(|line| line == "Mode: leader");
        Ok((i64::from_str_radix(zxid, 16)? >> 32, leads))
    }

    /// Why the members of an ensemble do not have the same tree, if they do not: each compares its
    /// digest with the leader's at every transaction and counts those that differ, and each tells
    /// its digest of every 128th. A Java leader sends some digests that are not even that of its own
    /// tree; then all members count as many.
    pub(crate) fn apart(members: &[Server]) -> Result<Option<String>> {
        let leader = members.last().context("an ensemble without members")?;
        let counted = leader.wrong_digests()?;
        if leader.kind == Kind::Zooid && counted != 0 {
            return Ok(Some(format!(
                "the leader itself counts {counted} wrong digests"
            )));
        }
        let mut told: Vec<HashMap<i64, String>> = Vec::new();
        for (at, member) in members.iter().enumerate() {
            let name = format!("member {} ({})", at + 1, member.kind.name());
            let wrong = member.wrong_digests()?;
            if wrong - member.wrong_at_start != counted {
                return Ok(Some(format!(
                    "{name} counts {wrong} wrong digests, {} of them at its start; the leader {counted}",
                    member.wrong_at_start
                )));
            }
            let digests = member.word("hash")?;
            let digest = |line: &str| {
                let (zxid, digest) = line.split_once(':')?;
                let zxid = i64::from_str_radix(zxid.trim(), 16).ok()?;
                Some((zxid, digest.trim().to_string()))
            };
            let digests: Option<HashMap<i64, String>> = digests.lines().map(digest).collect();
            told.push(digests.with_context(|| format!("{name}: no answer to hash"))?);
        }
        for (at, (member, theirs)) in members.iter().zip(&told).enumerate() {
            for (zxid, digest) in theirs {
                let other = told[..at]
                    .iter()
                    .position(|d| d.get(zxid).is_some_and(|d| d != digest));
                if let Some(other) = other {
                    return Ok(Some(format!(
                        "at zxid {zxid:#x}: digest {digest} of {} {}, {} of {} {}",
                        member.kind.name(),
                        at + 1,
                        told[other][zxid],
                        members[other].kind.name(),
                        other + 1,
                    )));
                }
            }
        }
        Ok(None)
    }

    /// How often the digest that came with a transaction was not that of the tree behind it.
    fn wrong_digests(&self) -> Result<i64> {
        let said = self.word("mntr")?;
        let line = "zk_digest_mismatches_count\t";
        let count = said.lines().find_map(|said| said.strip_prefix(line));
        let count =
            count.with_context(|| format!("{} does not count digests", self.kind.name()))?;
        Ok(count.parse()?)
    }

    /// Takes the wrong digests that members count now as those that they have to count.
    pub(crate) fn excuse_digests(members: &mut [Server]) -> Result<()> {
        let leader = members.last().context("an ensemble without members")?;
        let counted = leader.wrong_digests()?;
        for member in members {
            member.wrong_at_start = member.wrong_digests()? - counted;
        }
        Ok(())
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
        self.port = free_ports(1)?[0];
        let port = self.port.to_string();
        let dir = self.dir.to_string_lossy().into_owned();
        let mut words = vec!["start", self.kind.name(), &port, &dir];
        words.extend(self.cfg.iter().map(String::as_str));
        let output = script(&words, &self.flags.join(" "))?;
        if output.status.success() {
            return Ok(());
        }
        self.keep = true;
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{} does not start: {why}", self.kind.name())
    }

    /// Ends the server like a crash and starts it again on its data.
    pub(crate) fn crash_and_restart(&mut self) -> Result<()> {
        self.end("kill");
        self.boot()
    }

    /// The end of the log if the server does not take connections any more, or is a member of an
    /// ensemble, which may have left it.
    pub(crate) fn last_words(&self) -> Option<String> {
        let member = self.cfg.iter().any(|line| line.starts_with("server."));
        if !member && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
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

/// Ports that nobody else gets: that of a server that is not started yet, or is away, stays its own.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ports.sh");
    let output = Command::new(&script).arg(count.to_string()).output();
    let output = output.with_context(|| format!("cannot run {}", script.display()))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let ports: Vec<u16> = printed.lines().flat_map(str::parse).collect();
    if ports.len() != count {
        bail!("ports.sh: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(ports)
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
