//! Reconfigurations: the transaction, and what makes one acceptable.

use std::collections::{BTreeMap, BTreeSet};

use zooid_proto::ErrorCode;
use zooid_proto::jute::{Jute, Reader};
use zooid_proto::members::{Member, Membership, Role};
use zooid_proto::txn::{LogEntry, Txn, TxnHeader};

use crate::io::{Proposal, Sid};
use crate::quorum::Verifier;

/// The kind of the transaction.
const RECONFIG: i32 = 16;

/// What a client asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReconfigRequest<'a> {
    /// `server.N=…` of those that join or change, separated by commas.
    pub joining: Option<&'a str>,
    /// Numbers of those that leave, separated by commas.
    pub leaving: Option<&'a str>,
    /// All members instead, separated by commas or as lines.
    pub members: Option<&'a str>,
    /// The version that must be in force, -1 for any.
    pub version: i64,
}

/// The header of a transaction; `None` if the bytes are too short for one, or of another zxid.
pub(crate) fn header(proposal: &Proposal) -> Option<TxnHeader> {
    let header = TxnHeader::read(&mut Reader::new(&proposal.bytes)).ok()?;
    (header.zxid == proposal.zxid).then_some(header)
}

/// Whether a transaction changes the members.
pub(crate) fn is_reconfig(proposal: &Proposal) -> bool {
    header(proposal).is_some_and(|header| header.kind == RECONFIG)
}

/// The configuration that such a transaction makes.
pub(crate) fn config_of(proposal: &Proposal) -> Result<Verifier, String> {
    let entry = LogEntry::decode(&proposal.bytes).map_err(|error| error.to_string())?;
    let Txn::Reconfig(txn) = &entry.txn else {
        return Err(format!("transaction kind {}", entry.header.kind));
    };
    let text = String::from_utf8_lossy(txn.data.as_deref().unwrap_or_default());
    Verifier::parse(&text).map_err(|error| error.to_string())
}

/// Checks a request in the order of `PrepRequestProcessor`, and makes the configuration.
///
/// `synced`: the participants that are up to date, this server among them if it votes.
pub(crate) fn check(
    request: &ReconfigRequest<'_>,
    committed: &Verifier,
    seen: Option<&Verifier>,
    standalone_enabled: bool,
    synced: &BTreeSet<Sid>,
    zxid: i64,
) -> Result<Verifier, ErrorCode> {
    if seen.is_some_and(|seen| seen.version() != committed.version()) {
        return Err(ErrorCode::ReconfigInProgress);
    }
    if request.version != -1 && request.version != committed.version() {
        return Err(ErrorCode::BadVersion);
    }
    let mut membership = match request.members.filter(|text| !text.is_empty()) {
        Some(text) => Membership::parse(&text.replace(',', "\n"), true)
            .map_err(|_| ErrorCode::BadArguments)?,
        None => changed(request, committed.membership())?,
    };
    membership.version = zxid;
    let config = Verifier::new(membership);
    let fewest = if standalone_enabled { 2 } else { 1 };
    if config.voters().len() < fewest {
        return Err(ErrorCode::BadArguments);
    }
    if !config.contains_quorum(synced) {
        return Err(ErrorCode::NewConfigNoQuorum);
    }
    Ok(config)
}

/// Takes members out and puts others in.
fn changed(request: &ReconfigRequest<'_>, before: &Membership) -> Result<Membership, ErrorCode> {
    if before.hierarchical {
        return Err(ErrorCode::BadArguments);
    }
    let mut members: BTreeMap<Sid, Member> = before.members.clone();
    for sid in parts(request.leaving) {
        let sid: Sid = sid.parse().map_err(|_| ErrorCode::BadArguments)?;
        members.remove(&sid);
    }
    for line in parts(request.joining) {
        let (key, value) = line.split_once('=').ok_or(ErrorCode::BadArguments)?;
        let sid = key.trim().strip_prefix("server.");
        let sid: Sid = sid
            .and_then(|sid| sid.parse().ok())
            .ok_or(ErrorCode::BadArguments)?;
        let member = Member::parse(sid, value.trim(), true).map_err(|_| ErrorCode::BadArguments)?;
        if member.client.is_none() {
            return Err(ErrorCode::BadArguments);
        }
        members.remove(&sid);
        if members.values().any(|other| clash(other, &member)) {
            return Err(ErrorCode::BadArguments);
        }
        members.insert(sid, member);
    }
    Ok(Membership {
        members,
        ..before.clone()
    })
}

fn parts(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// Whether two members claim one address; wildcards and loopback are of each machine.
fn clash(a: &Member, b: &Member) -> bool {
    let everywhere = |host: &str| {
        host == "localhost"
            || host
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_unspecified() || ip.is_loopback())
    };
    let mut ports = BTreeSet::new();
    for address in &a.addresses {
        ports.insert((address.host.as_str(), address.quorum_port));
        ports.insert((address.host.as_str(), address.election_port));
    }
    if let Some(client) = &a.client {
        ports.insert((client.host.as_str(), client.port));
    }
    let own = b.addresses.iter().flat_map(|address| {
        [
            (address.host.as_str(), address.quorum_port),
            (address.host.as_str(), address.election_port),
        ]
    });
    let client = b
        .client
        .iter()
        .map(|client| (client.host.as_str(), client.port));
    own.chain(client)
        .any(|(host, port)| !everywhere(host) && ports.contains(&(host, port)))
}

/// Whether a member votes.
pub(crate) fn votes(member: &Member) -> bool {
    member.role == Role::Participant
}
