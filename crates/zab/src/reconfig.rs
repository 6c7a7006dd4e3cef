//! Reconfigurations: the transaction, and what makes one acceptable.

use std::collections::{BTreeMap, BTreeSet};

use zooid_proto::ErrorCode;
use zooid_proto::jute::{Jute, Reader};
use zooid_proto::members::{Member, MembersError, Membership, Role};
use zooid_proto::properties;
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
    let mut membership = match request.members {
        Some(text) => whole(&text.replace(',', "\n"), standalone_enabled)?,
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

/// All members at once. What `QuorumPeerConfig` fails on other than with its own exception is a
/// failure of the server in Java, which answers as if the request could not be read.
fn whole(text: &str, standalone_enabled: bool) -> Result<Membership, ErrorCode> {
    let membership = match Membership::parse(text, true) {
        Ok(membership) => membership,
        Err(MembersError::Unweighted(_)) => return Err(ErrorCode::MarshallingError),
        Err(_) if has_wrong_number(text) => return Err(ErrorCode::MarshallingError),
        Err(_) => return Err(ErrorCode::BadArguments),
    };
    let observers = membership.observers() > 0;
    match membership.participants() {
        0 if observers || !standalone_enabled => Err(ErrorCode::MarshallingError),
        1 if observers && standalone_enabled => Err(ErrorCode::MarshallingError),
        _ => Ok(membership),
    }
}

/// Whether the number of a member, a group, a weight or the version is none.
fn has_wrong_number(text: &str) -> bool {
    let is_number = |text: &str| text.parse::<i64>().is_ok();
    let entries = properties::parse_text(text).unwrap_or_default();
    entries.iter().any(|entry| {
        let (key, value) = (entry.key.trim(), entry.value.trim());
        let number = key.split_once('.').map_or(key, |(_, number)| number);
        if key == "version" {
            i64::from_str_radix(value, 16).is_err()
        } else if key.starts_with("server.") {
            !is_number(number)
        } else if key.starts_with("group") {
            !is_number(number) || !value.split(':').all(is_number)
        } else {
            key.starts_with("weight") && !(is_number(number) && is_number(value))
        }
    })
}

/// Takes members out and puts others in.
fn changed(request: &ReconfigRequest<'_>, before: &Membership) -> Result<Membership, ErrorCode> {
    if before.hierarchical {
        return Err(ErrorCode::BadArguments);
    }
    let mut members: BTreeMap<Sid, Member> = before.members.clone();
    for sid in parts(request.leaving) {
        members.remove(&number(sid)?);
    }
    for line in parts(request.joining) {
        let (key, value) = line.split_once('=').ok_or(ErrorCode::BadArguments)?;
        // What stands before the last dot is of no account in Java.
        let key = key.trim();
        let sid = number(key.rsplit_once('.').map_or(key, |(_, sid)| sid))?;
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

/// Java fails on a text that is no number, as on a request that cannot be read.
fn number(text: &str) -> Result<Sid, ErrorCode> {
    text.parse().map_err(|_| ErrorCode::MarshallingError)
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
