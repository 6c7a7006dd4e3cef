//! What tells two answers apart, in words for people and in a signature that is the same for the same
//! defect.

use zooid_proto::OpCode;

use crate::item::Item;
use crate::norm::{Body, Norm};
use crate::pair::Seen;

/// A difference between the two servers.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// What kind it is: the same text for the same defect, as far as that can be told.
    pub(crate) signature: String,
    /// Position of the step whose answer differs, if it is one.
    pub(crate) origin: Option<usize>,
    pub(crate) place: String,
    pub(crate) left: String,
    pub(crate) right: String,
}

impl Difference {
    /// Members of one ensemble differ.
    pub(crate) fn apart(why: String) -> Difference {
        Difference {
            signature: "members of an ensemble".into(),
            origin: None,
            place: "after the case".into(),
            left: why,
            right: "the same tree everywhere".into(),
        }
    }
}

/// Fails at the first thing that came from one server and not from the other. `group` are the steps
/// that were played, the first at position `at` of the case.
pub(crate) fn compare(
    place: &str,
    group: &[Item],
    at: usize,
    left: &[Seen],
    right: &[Seen],
) -> Result<(), Difference> {
    for i in 0..left.len().max(right.len()) {
        let (l, r) = (left.get(i), right.get(i));
        if l.map(|seen| &seen.norm) == r.map(|seen| &seen.norm) {
            continue;
        }
        let nothing = &Norm::Silent;
        let (ln, rn) = (
            l.map_or(nothing, |s| &s.norm),
            r.map_or(nothing, |s| &s.norm),
        );
        let origin = r
            .and_then(|seen| seen.origin)
            .or(l.and_then(|seen| seen.origin));
        let op = match origin.and_then(|origin| group.get(origin - at)) {
            Some(Item::Request { req, .. }) => {
                OpCode::from_i32(req.op).map_or(format!("op {}", req.op), |op| op.name().into())
            }
            Some(Item::Connect { .. }) => "connect".into(),
            Some(Item::Expire { .. } | Item::Outlive { .. }) => "expiry".into(),
            _ => "barrier".into(),
        };
        return Err(Difference {
            signature: format!("{op}: {}", signature(ln, rn)),
            origin,
            place: place.into(),
            left: l.map_or("nothing".into(), |seen| seen.norm.show()),
            right: r.map_or("nothing".into(), |seen| seen.norm.show()),
        });
    }
    Ok(())
}

/// In what two answers differ, without the values that depend on the case.
pub(crate) fn signature(left: &Norm, right: &Norm) -> String {
    let name = |norm: &Norm| match norm {
        Norm::Handshake { .. } => "handshake",
        Norm::Reply { .. } => "reply",
        Norm::Event { .. } => "event",
        Norm::Closed => "close",
        Norm::Silent => "nothing",
        Norm::Garbage(_) => "garbage",
    };
    match (left, right) {
        (
            Norm::Reply {
                xid: lx,
                zxid: lz,
                err: le,
                body: lb,
            },
            Norm::Reply {
                xid: rx,
                zxid: rz,
                err: re,
                body: rb,
            },
        ) => {
            if le != re {
                format!("err {le} / {re}")
            } else if lz != rz {
                "zxid".into()
            } else if lx != rx {
                "xid".into()
            } else {
                format!("body {}", body_signature(lb, rb))
            }
        }
        (
            Norm::Event {
                zxid: lz,
                kind: lk,
                path: lp,
                ..
            },
            Norm::Event {
                zxid: rz,
                kind: rk,
                path: rp,
                ..
            },
        ) => {
            if lk != rk {
                format!("event {lk} / {rk}")
            } else if lp != rp {
                format!("event {lk} path")
            } else if lz != rz {
                format!("event {lk} zxid")
            } else {
                format!("event {lk} header")
            }
        }
        _ if name(left) == name(right) => name(left).into(),
        _ => format!("{} / {}", name(left), name(right)),
    }
}

fn body_signature(left: &Body, right: &Body) -> String {
    use Body as B;
    match (left, right) {
        (B::Stat(l), B::Stat(r)) if l != r => format!("stat {}", stat_signature(l, r)),
        (B::Create2(lp, l), B::Create2(rp, r)) if lp == rp => {
            format!("stat {}", stat_signature(l, r))
        }
        (B::Data(ld, l), B::Data(rd, r)) if ld == rd => format!("stat {}", stat_signature(l, r)),
        (B::Acl(la, l), B::Acl(ra, r)) if la == ra => format!("stat {}", stat_signature(l, r)),
        (B::Children2(lc, l), B::Children2(rc, r)) if lc == rc => {
            format!("stat {}", stat_signature(l, r))
        }
        (B::Multi(l), B::Multi(r)) if l.len() != r.len() => "multi length".into(),
        (B::Multi(l), B::Multi(r)) => {
            let first = l.iter().zip(r).find(|(l, r)| l != r);
            first.map_or(String::new(), |((lh, lb), (rh, rb))| {
                if lh == rh {
                    format!("multi {}: {}", lh.op, body_signature(lb, rb))
                } else {
                    format!("multi type {}/{} err {}/{}", lh.op, rh.op, lh.err, rh.err)
                }
            })
        }
        (B::Raw(_), _) | (_, B::Raw(_)) => "unreadable".into(),
        (B::None, _) | (_, B::None) => "there or not".into(),
        _ => "content".into(),
    }
}

fn stat_signature(l: &zooid_proto::records::Stat, r: &zooid_proto::records::Stat) -> String {
    let fields = [
        ("czxid", l.czxid != r.czxid),
        ("mzxid", l.mzxid != r.mzxid),
        ("ctime", l.ctime != r.ctime),
        ("mtime", l.mtime != r.mtime),
        ("version", l.version != r.version),
        ("cversion", l.cversion != r.cversion),
        ("aversion", l.aversion != r.aversion),
        ("ephemeralOwner", l.ephemeral_owner != r.ephemeral_owner),
        ("dataLength", l.data_length != r.data_length),
        ("numChildren", l.num_children != r.num_children),
        ("pzxid", l.pzxid != r.pzxid),
    ];
    let differing: Vec<&str> = fields.iter().filter(|f| f.1).map(|f| f.0).collect();
    differing.join(" ")
}
