//! The last steps of a case of ensembles: a session expires.

use zooid_proto::client::*;
use zooid_proto::ops::Request;
use zooid_proto::records::Acl;

use crate::allowed::SUPER;
use crate::item::{Hello, Item, Password, Req, SessionNo, Who};
use crate::pair::LONG_MS;

/// Timeout of the session, ms. Long enough for a loaded machine to make its nodes.
const TIMEOUT_MS: i32 = 5000;

/// Its ephemeral nodes, which no random request names.
const NODES: [&str; 2] = ["/expires-1", "/expires-2"];

/// A session with ephemeral nodes expires on one of the members, on each in turn, while clients on
/// the others watch: groups to be played one by one. It has had its short timeout since it began,
/// see [`crate::allowed`]. `first` is the number of the first of as many sessions as there are
/// members.
pub(crate) fn groups(members: usize, turn: usize, first: SessionNo) -> Vec<Vec<Item>> {
    let silent = turn % members;
    let mut groups = vec![open(
        silent,
        Hello::plain(Who::New(first), TIMEOUT_MS),
        |path| {
            Request::Create(CreateRequest {
                path: Some(path.into()),
                data: Some(Vec::new().into()),
                acl: Some(vec![Acl::new(31, "world", "anyone")]),
                flags: create_mode::EPHEMERAL,
            })
        },
    )];
    for at in 1..members {
        let hello = Hello::plain(Who::New(first + at), LONG_MS);
        groups.push(open((silent + at) % members, hello, |path| {
            Request::Exists(ExistsRequest {
                path: Some(path.into()),
                watch: true,
            })
        }));
    }
    let expired = Who::Attach(first, Password::Right);
    groups.extend([
        vec![Item::Outlive {
            slot: silent,
            open: (turn / members).is_multiple_of(2),
        }],
        vec![Item::Barrier],
        vec![Item::Connect {
            slot: (silent + 1) % members,
            hello: Hello::plain(expired, LONG_MS),
        }],
    ]);
    groups
}

/// A new connection as super user, and a request for each node: all in one segment, because the
/// clock of the session runs.
fn open(
    slot: usize,
    hello: Hello,
    request: impl Fn(&'static str) -> Request<'static>,
) -> Vec<Item> {
    let auth = Request::Auth(AuthPacket {
        kind: 0,
        scheme: Some("digest".into()),
        auth: Some(SUPER.as_bytes().into()),
    });
    let requests = (1..)
        .zip(NODES)
        .map(|(xid, path)| Req::new(xid, &request(path)));
    let mut group = vec![Item::Connect { slot, hello }];
    group.extend(
        std::iter::once(Req::new(xid::AUTH, &auth))
            .chain(requests)
            .map(|req| Item::Request {
                slot,
                glued: true,
                req,
            }),
    );
    group
}
