//! The edge cases of the client protocol, one check each, with the values that must come.
//!
//! A check is named by its line in section 29 of the specification of the client protocol
//! (`29.055`), or by the table row that it shows (`2.03`, `26.3.1`). All but those of 26.3 run
//! against both kinds of servers.

mod client;
mod handshake;
mod malformed;
mod multis;
mod nodes;
mod requests;
mod safe;
mod sessions;
mod watches;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::allowed::{SUPER, SUPER_FLAG};
use crate::server::{Kind, Server};
use client::Client;

/// Fails unless a value is the one wanted, and says both.
macro_rules! is {
    ($got:expr, $want:expr) => {
        match (&$got, &$want) {
            (got, want) => {
                let text = stringify!($got)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ");
                anyhow::ensure!(
                    *got == *want,
                    "line {}: {text} is {got:?} instead of {want:?}",
                    line!()
                );
            }
        }
    };
}
pub(crate) use is;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The server that is asked
    #[arg(long, default_value = "zooid")]
    server: Kind,
    /// Only checks whose name contains this
    #[arg(long)]
    only: Option<String>,
}

/// Checks that share a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Long ticks, extended types.
    Main,
    /// Short ticks, containers are swept all the time.
    Quick,
    /// Everything off that can be off, three connections per address.
    Narrow,
    /// Quotas are enforced.
    Quota,
    /// No ACL counts.
    Open,
    /// Nobody without an identity.
    Enforced,
}

impl Group {
    const ALL: &[Group] = &[
        Group::Main,
        Group::Quick,
        Group::Narrow,
        Group::Quota,
        Group::Open,
        Group::Enforced,
    ];

    fn start(self, kind: Kind) -> Result<Server> {
        let never = "-Dznode.container.checkIntervalMs=100000000";
        let (cfg, flags): (&[&str], &[&str]) = match self {
            Group::Main => (&["extendedTypesEnabled=true"], &[SUPER_FLAG, never]),
            Group::Quick => (
                &[
                    "extendedTypesEnabled=true",
                    "tickTime=200",
                    "maxSessionTimeout=60000",
                ],
                &[SUPER_FLAG, "-Dznode.container.checkIntervalMs=100"],
            ),
            Group::Narrow => (&["maxClientCnxns=3"], &[SUPER_FLAG, never]),
            Group::Quota => (&["enforceQuota=true"], &[SUPER_FLAG, never]),
            Group::Open => (&["skipACL=yes"], &[SUPER_FLAG, never]),
            Group::Enforced => (
                &["enforce.auth.enabled=true", "enforce.auth.schemes=digest"],
                &[SUPER_FLAG, never],
            ),
        };
        Server::start(kind, cfg, flags)
    }
}

/// One check.
struct Check {
    /// Number and what it shows.
    name: &'static str,
    group: Group,
    run: fn(&mut Bench) -> Result<()>,
}

/// What a check works with.
struct Bench {
    server: Server,
    /// A node of its own, open to all.
    base: String,
}

impl Bench {
    fn port(&self) -> u16 {
        self.server.port
    }

    /// A path below the check's own node.
    fn at(&self, tail: &str) -> String {
        format!("{}{tail}", self.base)
    }

    /// A client with a new session.
    fn client(&self) -> Result<Client> {
        Client::new(self.port(), 30_000)
    }

    fn superuser(&self) -> Result<Client> {
        let mut client = self.client()?;
        client.ask(&requests::auth("digest", SUPER))?.ok()?;
        Ok(client)
    }

    /// The answer to a four-letter word.
    fn word(&self, word: &str) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port()))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(word.as_bytes())?;
        let mut text = String::new();
        stream
            .read_to_string(&mut text)
            .with_context(|| format!("no answer to {word}"))?;
        Ok(text)
    }
}

/// Asks again until the answer is yes, or too late.
fn until(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done()? {
        anyhow::ensure!(Instant::now() < deadline, "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Lines of section 29 that no standalone server can show, and where they are shown.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "29.049 version after 2^31-1",
        "needs 2^31 changes: unit test of the tree",
    ),
    ("29.072 multi on a moved session", "ensemble: issue 6"),
    ("29.094 session attached elsewhere", "ensemble: issue 6"),
    (
        "29.096 local session, upgrading off or on",
        "ensemble: issue 6",
    ),
    (
        "29.097 one upgrade for several creates",
        "ensemble: issue 6",
    ),
    ("29.098 read-only server, operations", "ensemble: issue 6"),
    ("29.099 read-only server, handshake", "ensemble: issue 6"),
    (
        "29.112 throttled operation",
        "needs a stalled pipeline: unit test of the throttle",
    ),
    ("29.113 eager ACL check on a follower", "ensemble: issue 6"),
];

/// Runs the checks; answers how many passed and failed.
pub(crate) fn run(options: &Options) -> Result<(usize, usize)> {
    let lists = [
        handshake::CHECKS,
        malformed::CHECKS,
        nodes::CHECKS,
        multis::CHECKS,
        watches::CHECKS,
        sessions::CHECKS,
        safe::CHECKS,
    ];
    let chosen = |name: &str| {
        options
            .only
            .as_deref()
            .is_none_or(|only| name.contains(only))
    };
    let judged = |name: &str| options.server == Kind::Zooid || !name.starts_with("26.3");
    let mut checks: Vec<&Check> = lists.concat_refs();
    checks.retain(|check| chosen(check.name) && judged(check.name));
    let (mut passed, mut failed) = (0, 0);
    for group in Group::ALL {
        let mut bench = None;
        for check in checks.iter().filter(|check| check.group == *group) {
            let result = run_one(check, options.server, &mut bench);
            match result {
                Ok(()) => {
                    passed += 1;
                    println!("ok {}", check.name);
                }
                Err(error) => {
                    failed += 1;
                    println!("FAIL {}: {error:#}", check.name);
                    // What it left behind must not fail the others.
                    bench = None;
                }
            }
        }
    }
    for (name, place) in ELSEWHERE.iter().filter(|(name, _)| chosen(name)) {
        println!("elsewhere {name}: {place}");
    }
    Ok((passed, failed))
}

fn run_one(check: &Check, kind: Kind, bench: &mut Option<Bench>) -> Result<()> {
    if bench.is_none() {
        let server = check.group.start(kind)?;
        *bench = Some(Bench {
            server,
            base: String::new(),
        });
    }
    let bench = bench.as_mut().expect("made above");
    let number = check.name.split(' ').next().unwrap_or_default();
    bench.base = format!("/n{}", number.replace('.', "_"));
    if check.name != handshake::FRESH {
        let mut client = bench.superuser()?;
        client.ask(&requests::create(&bench.base, "", 0))?.ok()?;
        client.ask(&requests::close())?.ok()?;
    }
    (check.run)(bench)
}

trait ConcatRefs {
    fn concat_refs(&self) -> Vec<&'static Check>;
}

impl ConcatRefs for [&'static [Check]] {
    fn concat_refs(&self) -> Vec<&'static Check> {
        self.iter().flat_map(|list| list.iter()).collect()
    }
}
