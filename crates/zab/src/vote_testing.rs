//! What the tests of elections share.

use std::sync::Arc;

use zooid_proto::vote::{Notification, PeerState};

use crate::boot::Params;
use crate::io::Sid;
use crate::quorum::Verifier;
use crate::vote::Vote;

/// The settings of a fresh server with Java's times.
pub(crate) fn params(sid: Sid) -> Params {
    Params {
        reconfig: true,
        ..Params::of(sid)
    }
}

/// Servers 1 to `voters`, and as many observers behind them.
pub(crate) fn config(voters: i64, observers: i64, version: i64) -> Arc<Verifier> {
    let lines: Vec<String> = (1..=voters + observers)
        .map(|sid| {
            let role = if sid <= voters {
                "participant"
            } else {
                "observer"
            };
            format!(
                "server.{sid}=127.0.0.1:{}:{}:{role}\n",
                21110 + sid,
                21120 + sid
            )
        })
        .collect();
    let text = format!("{}version={version:x}", lines.concat());
    Arc::new(Verifier::parse(&text).expect("a configuration"))
}

/// A vote.
pub(crate) fn vote(leader: Sid, zxid: i64, round: i64, epoch: i64) -> Vote {
    Vote {
        leader,
        zxid,
        round,
        epoch,
    }
}

/// State and vote of a frame.
pub(crate) fn read_frame(frame: &[u8]) -> (PeerState, Vote) {
    let n = Notification::read(&frame[4..]).expect("a notification");
    assert_eq!(n.version, 2, "every notification has a configuration");
    let state = n.state.expect("a state");
    (
        state,
        vote(n.leader, n.zxid, n.election_epoch, n.peer_epoch),
    )
}

/// A notification of 3.5 or later, without news in its configuration.
pub(crate) fn notification(state: PeerState, vote: Vote) -> Notification<'static> {
    Notification {
        state: Some(state),
        leader: vote.leader,
        zxid: vote.zxid,
        election_epoch: vote.round,
        peer_epoch: vote.epoch,
        version: 2,
        config: None,
    }
}
