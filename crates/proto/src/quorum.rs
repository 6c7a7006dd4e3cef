//! What a leader and its learners say to each other on the quorum port.
//!
//! A connection is one [`QuorumPacket`] after another, without frames around them; [`PacketDecoder`]
//! finds them in what arrives. What a packet means depends on who sent it: [`FromLearner`] and
//! [`FromLeader`] are the packets of either direction, so that a packet in the wrong direction has no
//! value. A transaction inside is opaque here; [`LogEntry`](crate::txn::LogEntry) reads it.
//!
//! Behind [`FromLeader::Snap`] the connection carries a snapshot: [`PacketDecoder::take_rest`] hands
//! over what has arrived of it, and [`SnapshotDecoder`](crate::quorum::SnapshotDecoder) finds its end.

mod decoder;
mod snapshot;

pub use decoder::{Limits, PacketDecoder, StreamError};
pub use snapshot::{
    SnapshotDecoder, SnapshotEncoder, SnapshotItem, SnapshotStreamError, StreamedNode,
};

use crate::jute::{Buf, Jute, List, Reader, Writer};
use crate::records::Id;
use std::borrow::Cow;

/// The version of the protocol ("ZAB 1.0") in [`LearnerInfo`] and LEADERINFO.
pub const PROTOCOL_VERSION: i32 = 0x10000;

/// Kinds of packets, the numbers of `Leader` in Java.
pub mod kind {
    /// A learner forwards a request.
    pub const REQUEST: i32 = 1;
    /// A transaction to log and acknowledge.
    pub const PROPOSAL: i32 = 2;
    /// A transaction, or the initial history, is durable.
    pub const ACK: i32 = 3;
    /// A transaction is committed.
    pub const COMMIT: i32 = 4;
    /// A sign of life; from learners with the sessions that showed one.
    pub const PING: i32 = 5;
    /// Whether a session is still there.
    pub const REVALIDATE: i32 = 6;
    /// The answer to a forwarded sync.
    pub const SYNC: i32 = 7;
    /// A committed transaction, for observers.
    pub const INFORM: i32 = 8;
    /// A reconfiguration is committed.
    pub const COMMIT_AND_ACTIVATE: i32 = 9;
    /// The end of the initial history.
    pub const NEW_LEADER: i32 = 10;
    /// The first packet of a participant.
    pub const FOLLOWER_INFO: i32 = 11;
    /// The learner may serve.
    pub const UP_TO_DATE: i32 = 12;
    /// Synchronisation by missing transactions.
    pub const DIFF: i32 = 13;
    /// Synchronisation by cutting the log.
    pub const TRUNC: i32 = 14;
    /// Synchronisation by a snapshot.
    pub const SNAP: i32 = 15;
    /// The first packet of an observer.
    pub const OBSERVER_INFO: i32 = 16;
    /// The epoch of the leader.
    pub const LEADER_INFO: i32 = 17;
    /// The promise to that epoch.
    pub const ACK_EPOCH: i32 = 18;
    /// A committed reconfiguration, for observers.
    pub const INFORM_AND_ACTIVATE: i32 = 19;

    /// The name that Java's logs have for a kind; `UNKNOWN` for others.
    pub fn name(kind: i32) -> &'static str {
        match kind {
            REQUEST => "REQUEST",
            PROPOSAL => "PROPOSAL",
            ACK => "ACK",
            COMMIT => "COMMIT",
            PING => "PING",
            REVALIDATE => "REVALIDATE",
            SYNC => "SYNC",
            INFORM => "INFORM",
            COMMIT_AND_ACTIVATE => "COMMITANDACTIVATE",
            NEW_LEADER => "NEWLEADER",
            FOLLOWER_INFO => "FOLLOWERINFO",
            UP_TO_DATE => "UPTODATE",
            DIFF => "DIFF",
            TRUNC => "TRUNC",
            SNAP => "SNAP",
            OBSERVER_INFO => "OBSERVERINFO",
            LEADER_INFO => "LEADERINFO",
            ACK_EPOCH => "ACKEPOCH",
            INFORM_AND_ACTIVATE => "INFORMANDACTIVATE",
            _ => "UNKNOWN",
        }
    }
}

records! {
    /// One packet as it travels (at least 20 bytes).
    QuorumPacket<'a> {
        /// See [`kind`].
        kind: i32,
        /// A zxid, or what the kind makes of it.
        zxid: i64,
        /// Body; null and empty mean the same to every reader.
        data: Buf<'a>,
        /// Identities of the client behind a REQUEST.
        authinfo: List<Id<'a>>,
    }

    /// A session that a learner's client has shown life of, and its timeout.
    Touch {
        /// Session.
        session_id: i64,
        /// Its timeout, ms.
        timeout_ms: i32,
    }
}

/// Who connects to a leader, the body of its first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnerInfo {
    /// Its number. `None` for a body without one, which Java numbers itself, from -1 downwards.
    pub sid: Option<i64>,
    /// Its protocol, [`PROTOCOL_VERSION`]; less is older than 3.4.
    pub protocol_version: i32,
    /// Version of its committed configuration; 3.4 sends none, which is like 0.
    pub config_version: Option<i64>,
}

/// A client's request on its way to the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedRequest<'a> {
    /// Session of the client.
    pub session_id: i64,
    /// xid of the request; 0 for sessions that begin or end without one.
    pub cxid: i32,
    /// Its operation, see [`OpCode`](crate::OpCode), or the transaction kinds of sessions.
    pub op: i32,
    /// Its record, empty for closeSession.
    pub body: Cow<'a, [u8]>,
    /// Identities of the client.
    pub authinfo: List<Id<'a>>,
}

/// What a learner sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromLearner<'a> {
    /// FOLLOWERINFO or OBSERVERINFO: its first packet.
    Info {
        /// Whether it is an OBSERVERINFO: what is committed then travels as INFORM.
        observer: bool,
        /// Its acceptedEpoch.
        accepted_epoch: i64,
        /// Who it is.
        info: LearnerInfo,
    },
    /// ACKEPOCH.
    AckEpoch {
        /// Its last zxid.
        last_zxid: i64,
        /// Its currentEpoch; `None` (-1 on the wire) when it had accepted the epoch already: then this
        /// tells its position and is no promise.
        current_epoch: Option<i32>,
    },
    /// ACK.
    Ack {
        /// What is durable: a transaction or, with counter 0, the initial history of an epoch.
        zxid: i64,
    },
    /// PING: the answer to the leader's.
    Ping {
        /// As the leader sent it.
        zxid: i64,
        /// Sessions with signs of life since the last one.
        touched: Vec<Touch>,
    },
    /// REVALIDATE: a client came with a session.
    Revalidate(Touch),
    /// REQUEST.
    Request(ForwardedRequest<'a>),
    /// Any other kind; Java logs and ignores it once a learner is synchronised.
    Other {
        /// The kind as read.
        kind: i32,
    },
}

/// What a leader (or an observer master) sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromLeader<'a> {
    /// LEADERINFO.
    LeaderInfo {
        /// The new epoch.
        epoch: i64,
        /// [`PROTOCOL_VERSION`].
        protocol_version: i32,
    },
    /// DIFF: PROPOSAL and COMMIT of what is missing follow.
    Diff {
        /// The leader's last committed zxid, or the position of a learner that lacks nothing.
        zxid: i64,
    },
    /// TRUNC.
    Trunc {
        /// The last zxid to keep.
        zxid: i64,
    },
    /// SNAP: what follows on the connection is a snapshot, not a packet.
    Snap {
        /// The zxid that the snapshot contains for certain.
        zxid: i64,
    },
    /// NEWLEADER.
    NewLeader {
        /// The epoch, with counter 0.
        zxid: i64,
        /// Text of the newest configuration; 3.4 sends none, nor can a body of one byte be one.
        config: Option<Cow<'a, str>>,
    },
    /// UPTODATE.
    UpToDate,
    /// PROPOSAL.
    Proposal {
        /// Its place.
        zxid: i64,
        /// The transaction with its header and digest.
        txn: Cow<'a, [u8]>,
    },
    /// COMMIT.
    Commit {
        /// What is committed.
        zxid: i64,
    },
    /// COMMITANDACTIVATE.
    CommitAndActivate {
        /// The reconfiguration that is committed.
        zxid: i64,
        /// Who shall lead from now on.
        designated_leader: i64,
    },
    /// INFORM.
    Inform {
        /// Its place.
        zxid: i64,
        /// The transaction with its header and digest.
        txn: Cow<'a, [u8]>,
    },
    /// INFORMANDACTIVATE.
    InformAndActivate {
        /// Its place.
        zxid: i64,
        /// Who shall lead from now on.
        designated_leader: i64,
        /// The reconfiguration with its header and digest.
        txn: Cow<'a, [u8]>,
    },
    /// PING.
    Ping {
        /// The last zxid that was proposed.
        zxid: i64,
    },
    /// REVALIDATE: the answer.
    Revalidated {
        /// Session.
        session_id: i64,
        /// Whether it goes on.
        valid: bool,
    },
    /// SYNC: the oldest sync that this connection forwarded is answered.
    Sync,
    /// Any other kind; Java logs and ignores it.
    Other {
        /// The kind as read.
        kind: i32,
    },
}

/// A packet whose body is not what its kind says. Java closes the connection for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} with a body of {length} bytes, at least {wanted} expected", kind::name(*kind))]
pub struct BodyError {
    /// Kind of the packet.
    pub kind: i32,
    /// Bytes in its body.
    pub length: usize,
    /// Bytes that it needs.
    pub wanted: usize,
}

impl<'a> FromLearner<'a> {
    /// What a packet from a learner says.
    ///
    /// Bytes behind the end of a body are ignored, as in Java.
    ///
    /// # Errors
    /// The body is too short for the kind.
    pub fn read(packet: QuorumPacket<'a>) -> Result<FromLearner<'a>, BodyError> {
        let QuorumPacket {
            kind,
            zxid,
            data,
            authinfo,
        } = packet;
        Ok(match kind {
            kind::FOLLOWER_INFO | kind::OBSERVER_INFO => FromLearner::Info {
                observer: kind == kind::OBSERVER_INFO,
                accepted_epoch: crate::zxid::epoch(zxid),
                info: LearnerInfo::read(data.as_deref()),
            },
            kind::ACK_EPOCH => {
                let epoch = Body::new(kind, data.as_deref(), 4)?.i32();
                FromLearner::AckEpoch {
                    last_zxid: zxid,
                    current_epoch: (epoch != -1).then_some(epoch),
                }
            }
            kind::ACK => FromLearner::Ack { zxid },
            kind::PING => FromLearner::Ping {
                zxid,
                touched: read_touched(data.as_deref().unwrap_or_default())?,
            },
            kind::REVALIDATE => {
                let mut body = Body::new(kind, data.as_deref(), 12)?;
                FromLearner::Revalidate(Touch {
                    session_id: body.i64(),
                    timeout_ms: body.i32(),
                })
            }
            kind::REQUEST => {
                let mut body = Body::new(kind, data.as_deref(), 16)?;
                FromLearner::Request(ForwardedRequest {
                    session_id: body.i64(),
                    cxid: body.i32(),
                    op: body.i32(),
                    body: without_front(data, 16),
                    authinfo,
                })
            }
            _ => FromLearner::Other { kind },
        })
    }

    /// Appends the packet.
    ///
    /// # Panics
    /// For [`FromLearner::Other`], which nobody sends.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            FromLearner::Info {
                observer,
                accepted_epoch,
                info,
            } => {
                let kind = if *observer {
                    kind::OBSERVER_INFO
                } else {
                    kind::FOLLOWER_INFO
                };
                let zxid = crate::zxid::make(*accepted_epoch, 0);
                put(out, kind, zxid, None, |to| info.write(to));
            }
            FromLearner::AckEpoch {
                last_zxid,
                current_epoch,
            } => put(out, kind::ACK_EPOCH, *last_zxid, None, |to| {
                to.i32(current_epoch.unwrap_or(-1));
            }),
            FromLearner::Ack { zxid } => put_empty(out, kind::ACK, *zxid),
            FromLearner::Ping { zxid, touched } => put(out, kind::PING, *zxid, None, |to| {
                touched.iter().for_each(|touch| touch.write(to));
            }),
            FromLearner::Revalidate(touch) => {
                put(out, kind::REVALIDATE, -1, None, |to| touch.write(to));
            }
            FromLearner::Request(request) => {
                let authinfo = request.authinfo.as_deref();
                put(out, kind::REQUEST, -1, authinfo, |to| {
                    to.i64(request.session_id);
                    to.i32(request.cxid);
                    to.i32(request.op);
                    to.raw(&request.body);
                });
            }
            FromLearner::Other { kind } => panic!("packets of kind {kind} are not sent"),
        }
    }

    /// The kind of the packet.
    pub fn kind(&self) -> i32 {
        match self {
            FromLearner::Info { observer: true, .. } => kind::OBSERVER_INFO,
            FromLearner::Info { .. } => kind::FOLLOWER_INFO,
            FromLearner::AckEpoch { .. } => kind::ACK_EPOCH,
            FromLearner::Ack { .. } => kind::ACK,
            FromLearner::Ping { .. } => kind::PING,
            FromLearner::Revalidate(_) => kind::REVALIDATE,
            FromLearner::Request(_) => kind::REQUEST,
            FromLearner::Other { kind } => *kind,
        }
    }

    /// The same packet without borrowed parts.
    pub fn into_owned(self) -> FromLearner<'static> {
        match self {
            FromLearner::Info {
                observer,
                accepted_epoch,
                info,
            } => FromLearner::Info {
                observer,
                accepted_epoch,
                info,
            },
            FromLearner::AckEpoch {
                last_zxid,
                current_epoch,
            } => FromLearner::AckEpoch {
                last_zxid,
                current_epoch,
            },
            FromLearner::Ack { zxid } => FromLearner::Ack { zxid },
            FromLearner::Ping { zxid, touched } => FromLearner::Ping { zxid, touched },
            FromLearner::Revalidate(touch) => FromLearner::Revalidate(touch),
            FromLearner::Request(request) => FromLearner::Request(request.into_owned()),
            FromLearner::Other { kind } => FromLearner::Other { kind },
        }
    }
}

impl<'a> FromLeader<'a> {
    /// What a packet from a leader says.
    ///
    /// Bytes behind the end of a body are ignored, as in Java.
    ///
    /// # Errors
    /// The body is too short for the kind.
    pub fn read(packet: QuorumPacket<'a>) -> Result<FromLeader<'a>, BodyError> {
        let QuorumPacket {
            kind, zxid, data, ..
        } = packet;
        Ok(match kind {
            kind::LEADER_INFO => FromLeader::LeaderInfo {
                epoch: crate::zxid::epoch(zxid),
                protocol_version: Body::new(kind, data.as_deref(), 4)?.i32(),
            },
            kind::DIFF => FromLeader::Diff { zxid },
            kind::TRUNC => FromLeader::Trunc { zxid },
            kind::SNAP => FromLeader::Snap { zxid },
            kind::NEW_LEADER => FromLeader::NewLeader {
                zxid,
                config: data.filter(|text| text.len() > 1).map(utf8),
            },
            kind::UP_TO_DATE => FromLeader::UpToDate,
            kind::PROPOSAL => FromLeader::Proposal {
                zxid,
                txn: data.unwrap_or_default(),
            },
            kind::COMMIT => FromLeader::Commit { zxid },
            kind::COMMIT_AND_ACTIVATE => FromLeader::CommitAndActivate {
                zxid,
                designated_leader: Body::new(kind, data.as_deref(), 8)?.i64(),
            },
            kind::INFORM => FromLeader::Inform {
                zxid,
                txn: data.unwrap_or_default(),
            },
            kind::INFORM_AND_ACTIVATE => FromLeader::InformAndActivate {
                zxid,
                designated_leader: Body::new(kind, data.as_deref(), 8)?.i64(),
                txn: without_front(data, 8),
            },
            kind::PING => FromLeader::Ping { zxid },
            kind::REVALIDATE => {
                let mut body = Body::new(kind, data.as_deref(), 9)?;
                FromLeader::Revalidated {
                    session_id: body.i64(),
                    valid: body.bool(),
                }
            }
            kind::SYNC => FromLeader::Sync,
            _ => FromLeader::Other { kind },
        })
    }

    /// Appends the packet.
    ///
    /// # Panics
    /// For [`FromLeader::Other`], which nobody sends.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            FromLeader::LeaderInfo {
                epoch,
                protocol_version,
            } => {
                let zxid = crate::zxid::make(*epoch, 0);
                put(out, kind::LEADER_INFO, zxid, None, |to| {
                    to.i32(*protocol_version);
                });
            }
            FromLeader::NewLeader {
                zxid,
                config: Some(config),
            } => put(out, kind::NEW_LEADER, *zxid, None, |to| {
                to.raw(config.as_bytes());
            }),
            FromLeader::Proposal { zxid, txn } | FromLeader::Inform { zxid, txn } => {
                put(out, self.kind(), *zxid, None, |to| to.raw(txn));
            }
            FromLeader::CommitAndActivate {
                zxid,
                designated_leader,
            } => put(out, self.kind(), *zxid, None, |to| {
                to.i64(*designated_leader);
            }),
            FromLeader::InformAndActivate {
                zxid,
                designated_leader,
                txn,
            } => put(out, self.kind(), *zxid, None, |to| {
                to.i64(*designated_leader);
                to.raw(txn);
            }),
            FromLeader::Revalidated { session_id, valid } => {
                put(out, kind::REVALIDATE, -1, None, |to| {
                    to.i64(*session_id);
                    to.bool(*valid);
                });
            }
            FromLeader::Diff { zxid }
            | FromLeader::Trunc { zxid }
            | FromLeader::Snap { zxid }
            | FromLeader::Commit { zxid }
            | FromLeader::Ping { zxid }
            | FromLeader::NewLeader { zxid, config: None } => put_empty(out, self.kind(), *zxid),
            FromLeader::UpToDate => put_empty(out, kind::UP_TO_DATE, -1),
            FromLeader::Sync => put_empty(out, kind::SYNC, 0),
            FromLeader::Other { kind } => panic!("packets of kind {kind} are not sent"),
        }
    }

    /// The kind of the packet.
    pub fn kind(&self) -> i32 {
        match self {
            FromLeader::LeaderInfo { .. } => kind::LEADER_INFO,
            FromLeader::Diff { .. } => kind::DIFF,
            FromLeader::Trunc { .. } => kind::TRUNC,
            FromLeader::Snap { .. } => kind::SNAP,
            FromLeader::NewLeader { .. } => kind::NEW_LEADER,
            FromLeader::UpToDate => kind::UP_TO_DATE,
            FromLeader::Proposal { .. } => kind::PROPOSAL,
            FromLeader::Commit { .. } => kind::COMMIT,
            FromLeader::CommitAndActivate { .. } => kind::COMMIT_AND_ACTIVATE,
            FromLeader::Inform { .. } => kind::INFORM,
            FromLeader::InformAndActivate { .. } => kind::INFORM_AND_ACTIVATE,
            FromLeader::Ping { .. } => kind::PING,
            FromLeader::Revalidated { .. } => kind::REVALIDATE,
            FromLeader::Sync => kind::SYNC,
            FromLeader::Other { kind } => *kind,
        }
    }

    /// The same packet without borrowed parts.
    pub fn into_owned(self) -> FromLeader<'static> {
        let owned = |bytes: Cow<'a, [u8]>| Cow::Owned(bytes.into_owned());
        match self {
            FromLeader::NewLeader { zxid, config } => FromLeader::NewLeader {
                zxid,
                config: config.map(|text| Cow::Owned(text.into_owned())),
            },
            FromLeader::Proposal { zxid, txn } => FromLeader::Proposal {
                zxid,
                txn: owned(txn),
            },
            FromLeader::Inform { zxid, txn } => FromLeader::Inform {
                zxid,
                txn: owned(txn),
            },
            FromLeader::InformAndActivate {
                zxid,
                designated_leader,
                txn,
            } => FromLeader::InformAndActivate {
                zxid,
                designated_leader,
                txn: owned(txn),
            },
            FromLeader::LeaderInfo {
                epoch,
                protocol_version,
            } => FromLeader::LeaderInfo {
                epoch,
                protocol_version,
            },
            FromLeader::Diff { zxid } => FromLeader::Diff { zxid },
            FromLeader::Trunc { zxid } => FromLeader::Trunc { zxid },
            FromLeader::Snap { zxid } => FromLeader::Snap { zxid },
            FromLeader::UpToDate => FromLeader::UpToDate,
            FromLeader::Commit { zxid } => FromLeader::Commit { zxid },
            FromLeader::CommitAndActivate {
                zxid,
                designated_leader,
            } => FromLeader::CommitAndActivate {
                zxid,
                designated_leader,
            },
            FromLeader::Ping { zxid } => FromLeader::Ping { zxid },
            FromLeader::Revalidated { session_id, valid } => {
                FromLeader::Revalidated { session_id, valid }
            }
            FromLeader::Sync => FromLeader::Sync,
            FromLeader::Other { kind } => FromLeader::Other { kind },
        }
    }
}

impl ForwardedRequest<'_> {
    /// The same request without borrowed parts.
    pub fn into_owned(self) -> ForwardedRequest<'static> {
        ForwardedRequest {
            session_id: self.session_id,
            cxid: self.cxid,
            op: self.op,
            body: Cow::Owned(self.body.into_owned()),
            authinfo: self.authinfo.into_owned(),
        }
    }
}

impl LearnerInfo {
    /// Who a 3.5 or later learner is.
    pub fn new(sid: i64, config_version: i64) -> LearnerInfo {
        LearnerInfo {
            sid: Some(sid),
            protocol_version: PROTOCOL_VERSION,
            config_version: Some(config_version),
        }
    }

    /// Reads what is there, as `LearnerHandler` does: releases sent 8, 12 or 20 bytes. A body too
    /// short for a number is of server 0, as in Java.
    fn read(data: Option<&[u8]>) -> LearnerInfo {
        // A field that is cut short is as good as absent, and so are those behind it.
        let from = |at| Reader::new(data.and_then(|data| data.get(at..)).unwrap_or_default());
        LearnerInfo {
            sid: data.map(|_| from(0).i64().unwrap_or(0)),
            protocol_version: from(8).i32().unwrap_or(1),
            config_version: from(12).i64().ok(),
        }
    }

    fn write(&self, to: &mut Writer<'_>) {
        to.i64(self.sid.expect("a learner knows its number"));
        to.i32(self.protocol_version);
        if let Some(version) = self.config_version {
            to.i64(version);
        }
    }
}

/// The fixed fields at the start of a body that is known to be long enough for them.
struct Body<'b>(Reader<'b>);

impl<'b> Body<'b> {
    fn new(kind: i32, data: Option<&'b [u8]>, wanted: usize) -> Result<Body<'b>, BodyError> {
        let data = data.unwrap_or_default();
        if data.len() < wanted {
            return Err(BodyError {
                kind,
                length: data.len(),
                wanted,
            });
        }
        Ok(Body(Reader::new(data)))
    }

    fn i32(&mut self) -> i32 {
        self.0.i32().expect("the length was checked")
    }

    fn i64(&mut self) -> i64 {
        self.0.i64().expect("the length was checked")
    }

    fn bool(&mut self) -> bool {
        self.0.bool().expect("the length was checked")
    }
}

fn read_touched(data: &[u8]) -> Result<Vec<Touch>, BodyError> {
    let (touched, rest) = data.as_chunks::<{ Touch::MIN_BYTES }>();
    if !rest.is_empty() {
        return Err(BodyError {
            kind: kind::PING,
            length: data.len(),
            wanted: (touched.len() + 1) * Touch::MIN_BYTES,
        });
    }
    let read = |bytes: &[u8; Touch::MIN_BYTES]| Touch::from_bytes(bytes).expect("one touch");
    Ok(touched.iter().map(read).collect())
}

fn without_front(data: Buf<'_>, n: usize) -> Cow<'_, [u8]> {
    match data {
        None => Cow::default(),
        Some(Cow::Borrowed(bytes)) => Cow::Borrowed(&bytes[n..]),
        Some(Cow::Owned(mut bytes)) => {
            bytes.drain(..n);
            Cow::Owned(bytes)
        }
    }
}

fn utf8(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn put_empty(out: &mut Vec<u8>, kind: i32, zxid: i64) {
    QuorumPacket {
        kind,
        zxid,
        data: None,
        authinfo: None,
    }
    .write(&mut Writer::wire(out));
}

fn put(
    out: &mut Vec<u8>,
    kind: i32,
    zxid: i64,
    authinfo: Option<&[Id<'_>]>,
    body: impl FnOnce(&mut Writer<'_>),
) {
    let to = &mut Writer::wire(out);
    to.i32(kind);
    to.i64(zxid);
    to.i32(0);
    let begin = out.len();
    body(&mut Writer::wire(out));
    let length = i32::try_from(out.len() - begin).expect("a body is shorter than 2 GiB");
    out[begin - 4..begin].copy_from_slice(&length.to_be_bytes());
    let to = &mut Writer::wire(out);
    to.count(authinfo.map(<[Id<'_>]>::len));
    for id in authinfo.into_iter().flatten() {
        to.str(id.scheme.as_deref());
        to.str(id.id.as_deref());
    }
}
