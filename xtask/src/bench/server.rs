//! One server under measurement: Zooid, Apache ZooKeeper or the bare echo, with the same
//! configuration, its time from start to first answer, its memory and its processor time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::echo;
use crate::{target, zooid};

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Zooid,
    Java,
    /// It knows only frames: the limit.
    Echo,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Zooid => "zooid",
            Kind::Java => "java",
            Kind::Echo => "echo",
        }
    }
}

/// Longest start: five million nodes in Java.
const START: Duration = Duration::from_secs(300);

/// How long a server that starts may keep silent before it is asked anew: Java takes connections before
/// it serves, and never answers some of them.
const UNANSWERED: Duration = Duration::from_millis(100);

/// Between two attempts to reach a server that starts.
const STEP: Duration = Duration::from_millis(1);

/// What is the same for all servers. Sessions outlive pauses of a full machine; the backlog holds
/// a storm of connections, which Java's own 50 would not.
const CONFIGURATION: &str = "tickTime=2000
4lw.commands.whitelist=*
admin.enableServer=false
maxClientCnxns=0
maxSessionTimeout=600000
clientPortListenBacklog=4096
";

/// What a server is started with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings<'a> {
    /// Lines of `zoo.cfg` beyond those that all have.
    pub(crate) lines: &'a [&'a str],
    /// Options of the Java machine.
    pub(crate) java: &'a [&'a str],
}

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// From the start of the process to the first answer.
    pub(crate) start: Duration,
}

impl Server {
    /// Starts a server on a folder, whose `data` is kept if it is there.
    pub(crate) fn start(kind: Kind, folder: &Path, settings: Settings<'_>) -> Result<Server> {
        std::fs::create_dir_all(folder)?;
        if kind == Kind::Echo {
            return Server::start_echo();
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let file = folder.join("zoo.cfg");
        let mut text = format!(
            "dataDir={}\nclientPort={port}\n{CONFIGURATION}",
            folder.join("data").display()
        );
        for line in settings.lines {
            text.push_str(line);
            text.push('\n');
        }
        std::fs::write(&file, text)?;
        let mut command = match kind {
            Kind::Java => java(settings.java),
            _ => {
                let mut command = Command::new(zooid());
                command.args(["serve", "--config"]);
                command
            }
        };
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("server.log"))?;
        command
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let begin = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", kind.name()))?;
        let mut server = Server {
            child,
            address: format!("127.0.0.1:{port}"),
            start: Duration::ZERO,
        };
        while !server
            .word_within("srvr", UNANSWERED)
            .is_ok_and(|answer| answer.contains("version:"))
        {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended with {status}: {}", kind.name(), folder.display());
            }
            if begin.elapsed() > START {
                bail!("{} does not answer: {}", kind.name(), folder.display());
            }
            std::thread::sleep(STEP);
        }
        server.start = begin.elapsed();
        Ok(server)
    }

    fn start_echo() -> Result<Server> {
        let mut child = Command::new(echo())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the bare echo")?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut address)?;
        Ok(Server {
            child,
            address: address.trim().to_owned(),
            start: Duration::ZERO,
        })
    }

    /// The answer to a four-letter word.
    fn word(&self, word: &str) -> Result<String> {
        self.word_within(word, Duration::from_secs(30))
    }

    fn word_within(&self, word: &str, patience: Duration) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(word.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// A line of `mntr`; 0 if it is not there, as with Java before its first value.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let answer = self.word("mntr")?;
        let value = answer
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(found, _)| *found == name);
        Ok(value.map_or(Ok(0.0), |(_, value)| value.trim().parse())?)
    }

    /// Resident memory, bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let words = line.context("no VmRSS")?;
        let kib: u64 = words.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Ends it as an operator would, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        // The echo ends with its standard input.
        if self.child.stdin.take().is_none() {
            Command::new("kill").args(["-TERM", &pid]).status()?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has been waited for is not there any more: that is no error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn java(flags: &[&str]) -> Command {
    let library = target().join("interop/oracle/lib");
    let library = std::env::var_os("INTEROP_OUT")
        .map_or(library, |out| PathBuf::from(out).join("oracle/lib"));
    let mut command = Command::new("java");
    command
        .args(flags)
        .arg("-Dzookeeper.admin.enableServer=false")
        .arg("-cp")
        .arg(format!("{0}:{0}/*", library.display()))
        .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
    command
}
