//! Connections and sessions as `cons`, `stat` and `dump` show them.

use crate::admin::commands::{Ask, line};
use crate::admin::java;
use crate::state::Server;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};
use zooid_node::Link;
use zooid_node::link::{NO_OPERATION, SESSION_OPENED};
use zooid_proto::OpCode;

/// All connections, the oldest first.
pub fn sorted(server: &Server) -> Vec<Arc<Link>> {
    let mut links: Vec<_> = server.shared.links.read().values().cloned().collect();
    links.sort_unstable_by_key(|link| link.id);
    links
}

/// Session of a connection, 0 before it has one.
pub fn session(link: &Link) -> String {
    format!("0x{:x}", link.counters.session.load(Ordering::Relaxed))
}

/// A line of `stat`. Java shows the interest set of its selector: 1 for a connection that is read
/// from, 0 for the one that asks, which has left the selector.
pub fn brief(link: &Link, asking: &Link) -> String {
    let c = &link.counters;
    format!(
        " {}[{}](queued={},recved={},sent={})",
        java::address(link.peer),
        i32::from(link.id != asking.id),
        count(&c.outstanding),
        count(&c.received),
        count(&c.sent)
    )
}

/// A line of `cons`.
pub fn full(link: &Link, asking: &Link) -> String {
    let c = &link.counters;
    let mut out = brief(link, asking);
    if number(&c.session) == 0 {
        return out;
    }
    out.pop();
    let more = |out: &mut String| {
        write!(out, ",sid={}", session(link))?;
        write!(out, ",lop={}", operation(&c.last_op))?;
        write!(out, ",est={}", link.since_ms)?;
        write!(out, ",to={}", c.timeout_ms.load(Ordering::Relaxed))?;
        let xid = number(&c.last_xid);
        if xid >= 0 {
            write!(out, ",lcxid=0x{xid:x}")?;
        }
        write!(out, ",lzxid=0x{:x}", number(&c.last_zxid))?;
        write!(out, ",lresp={}", number(&c.last_reply_ms))?;
        write!(out, ",llat={}", number(&c.last_latency_ms))?;
        let min = number(&c.min_latency_ms);
        write!(out, ",minlat={}", if min == i64::MAX { 0 } else { min })?;
        let (sum, count) = (number(&c.latency_sum_ms), number(&c.latency_count));
        write!(out, ",avglat={}", sum.checked_div(count).unwrap_or(0))?;
        write!(out, ",maxlat={})", number(&c.max_latency_ms))
    };
    more(&mut out).expect("a string takes all");
    out
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn number(counter: &AtomicI64) -> i64 {
    counter.load(Ordering::Relaxed)
}

/// The short name of an operation (`FinalRequestProcessor`). Java shows `null` on a connection
/// that has done nothing but take over a session.
fn operation(last_op: &AtomicI32) -> &'static str {
    let op = match last_op.load(Ordering::Relaxed) {
        NO_OPERATION => return "null",
        SESSION_OPENED => return "SESS",
        op => op,
    };
    match OpCode::from_i32(op) {
        Some(OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
            "CREA"
        }
        Some(OpCode::Delete | OpCode::DeleteContainer) => "DELE",
        Some(OpCode::Exists) => "EXIS",
        Some(OpCode::GetData) => "GETD",
        Some(OpCode::SetData) => "SETD",
        Some(OpCode::GetAcl) => "GETA",
        Some(OpCode::SetAcl) => "SETA",
        Some(OpCode::GetChildren | OpCode::GetChildren2) => "GETC",
        Some(OpCode::GetAllChildrenNumber) => "GETACN",
        Some(OpCode::GetEphemerals) => "GETE",
        Some(OpCode::Sync) => "SYNC",
        Some(OpCode::Ping) => "PING",
        Some(OpCode::Check) => "CHEC",
        Some(OpCode::Multi) => "MULT",
        Some(OpCode::MultiRead) => "MLTR",
        Some(OpCode::Reconfig) => "RECO",
        Some(OpCode::SetWatches) => "SETW",
        Some(OpCode::SetWatches2) => "STW2",
        Some(OpCode::AddWatch) => "ADDW",
        Some(OpCode::CheckWatches) => "CHKW",
        Some(OpCode::RemoveWatches) => "REMW",
        Some(OpCode::WhoAmI) => "HOMI",
        Some(OpCode::CloseSession) => "CLOS",
        Some(OpCode::Auth | OpCode::Sasl) | None => "NA",
    }
}

/// The text of `dump`.
pub fn dump(ask: &Ask<'_>) -> String {
    let mut out = String::new();
    let zone = TimeZone::system();
    let date = |mono_ms: i64| java::date(ask.now.wall_ms + mono_ms - ask.now.mono_ms, &zone);
    line!(out, "SessionTracker dump:");
    tracked(ask, &mut out, date);
    ephemerals(ask, &mut out);
    line!(out, "Connections dump:");
    out.push_str("Connections ");
    sets(&mut out, connections(ask), date);
    out
}

/// Sessions with the times at which they end, as far as this server is the one to end them
/// (`LeaderSessionTracker` and `LearnerSessionTracker` in Java).
fn tracked(ask: &Ask<'_>, out: &mut String, date: impl Fn(i64) -> String) {
    let shared = &ask.server.shared;
    let local_too = shared.settings.local_sessions;
    if local_too {
        out.push_str("Local Session ");
        sets(out, sessions(ask, true), &date);
    }
    if shared.is_learning() || shared.is_read_only() {
        let mut all = shared.sessions.all();
        all.retain(|session| !session.is_local());
        all.sort_unstable_by_key(|session| session.id);
        line!(out, "Global Sessions({}):", all.len());
        for session in all {
            line!(out, "0x{:x}\t{}ms", session.id, session.timeout_ms());
        }
        return;
    }
    out.push_str(if local_too {
        "Global Session "
    } else {
        "Session "
    });
    sets(out, sessions(ask, false), date);
}

/// Elements by the monotonic time at which they end.
type Sets = BTreeMap<i64, Vec<String>>;

fn sets(out: &mut String, sets: Sets, date: impl Fn(i64) -> String) {
    let elements: usize = sets.values().map(Vec::len).sum();
    line!(out, "Sets ({})/({elements}):", sets.len());
    for (expiry, elements) in sets {
        line!(out, "{} expire at {}:", elements.len(), date(expiry));
        for element in elements {
            line!(out, "\t{element}");
        }
    }
}

fn sessions(ask: &Ask<'_>, local: bool) -> Sets {
    let mut all = ask.server.shared.sessions.all();
    all.sort_unstable_by_key(|session| session.id);
    let mut sets = Sets::new();
    for session in all
        .iter()
        .filter(|session| !session.is_closing() && session.is_local() == local)
    {
        let set = sets.entry(session.expires_at_ms()).or_default();
        set.push(format!("0x{:x}", session.id));
    }
    sets
}

fn ephemerals(ask: &Ask<'_>, out: &mut String) {
    let tree = ask.server.shared.tree.read();
    let mut owners: Vec<_> = tree.ephemeral_sessions().collect();
    owners.sort_unstable();
    line!(out, "ephemeral nodes dump:");
    line!(out, "Sessions with Ephemerals ({}):", owners.len());
    for owner in owners {
        line!(out, "0x{owner:x}:");
        let mut paths: Vec<_> = tree.ephemerals(owner).collect();
        paths.sort_unstable();
        for path in paths {
            line!(out, "\t{path}");
        }
    }
}

/// A connection ends with its session, and without one when its patience is over. Java puts both
/// into steps of that patience.
fn connections(ask: &Ask<'_>) -> Sets {
    let server = ask.server;
    let step_ms = i64::try_from(server.config.sessionless_timeout_ms).unwrap_or(i64::MAX);
    let to_mono = ask.now.mono_ms - ask.now.wall_ms;
    let mut sets = Sets::new();
    for link in sorted(server) {
        let session = link.counters.session.load(Ordering::Relaxed);
        let end = match server.shared.sessions.get(session) {
            Some(session) => session.expires_at_ms(),
            None => (link.since_ms + to_mono).saturating_add(step_ms),
        };
        let steps = end.div_euclid(step_ms.max(1)).saturating_add(1);
        sets.entry(steps.saturating_mul(step_ms))
            .or_default()
            .push(format!(
                "ip: {} sessionId: 0x{session:x}",
                java::address(link.peer)
            ));
    }
    sets
}
