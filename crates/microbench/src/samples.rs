//! What the benches work on: paths, data and transactions of usual lengths.

use zooid_proto::client::{CreateRequest, GetDataRequest, MultiOp, MultiRequest, SetDataRequest};
use zooid_proto::ops::Request;
use zooid_proto::records::{Acl, perms};
use zooid_proto::txn::{CreateTxn, LogEntry, SetDataTxn, Txn, TxnDigest, TxnHeader};
use zooid_proto::{Jute, Writer, client::RequestHeader};
use zooid_tree::{Tree, TreeOptions};

/// Nodes of [`tree`] below [`PARENT`].
pub(crate) const NODES: u64 = 1000;

/// The parent of all that is made here.
pub(crate) const PARENT: &str = "/services/production/orders";

/// The data of nodes.
pub(crate) const DATA: [u8; 100] = [b'd'; 100];

/// The clock, ms since 1970.
pub(crate) const TIME_MS: i64 = 1_750_000_000_000;

/// The path of a node: 40 characters.
pub(crate) fn path(number: u64) -> String {
    format!("{PARENT}/node-{number:07}")
}

/// Paths of the nodes of [`tree`], in an order that jumps.
pub(crate) fn paths() -> Vec<String> {
    (0..NODES).map(|n| path(n * 389 % NODES)).collect()
}

/// A tree of [`NODES`] nodes with data below one parent.
pub(crate) fn tree() -> Tree {
    tree_of(NODES)
}

/// The same with any number of them.
pub(crate) fn tree_of(nodes: u64) -> Tree {
    let mut tree = Tree::with_seed(TreeOptions::default(), 1);
    let mut zxid = 0;
    let mut add = |path: &str| {
        zxid += 1;
        let txn = create(path);
        let applied = tree.apply(&header(zxid, &txn), &txn, &mut ());
        assert_eq!(applied.err, 0, "{path}");
    };
    for (slash, _) in PARENT.match_indices('/').skip(1) {
        add(&PARENT[..slash]);
    }
    add(PARENT);
    for number in 0..nodes {
        add(&path(number));
    }
    tree
}

/// The list that nearly every node has.
pub(crate) fn open() -> Vec<Acl<'static>> {
    vec![Acl::new(perms::ALL, "world", "anyone")]
}

pub(crate) fn create(path: &str) -> Txn<'_> {
    Txn::Create(CreateTxn {
        path: path.into(),
        data: Some(DATA.as_slice().into()),
        acl: Some(open()),
        ephemeral: false,
        parent_cversion: -1,
    })
}

pub(crate) fn set(path: &str) -> Txn<'_> {
    Txn::SetData(SetDataTxn {
        path: path.into(),
        data: Some(DATA.as_slice().into()),
        version: 1,
    })
}

pub(crate) fn header(zxid: i64, txn: &Txn<'_>) -> TxnHeader {
    TxnHeader {
        client_id: 0x0100_0000_0000_0001,
        cxid: 7,
        zxid,
        time_ms: TIME_MS,
        kind: txn.kind(),
    }
}

pub(crate) fn entry(zxid: i64, txn: Txn<'_>) -> LogEntry<'_> {
    LogEntry {
        header: header(zxid, &txn),
        txn,
        digest: Some(TxnDigest {
            version: 2,
            tree_digest: 0x1234_5678_9ABC,
        }),
    }
}

pub(crate) fn get_request(path: &str) -> Request<'_> {
    Request::GetData(GetDataRequest {
        path: Some(path.into()),
        watch: false,
    })
}

pub(crate) fn set_request(path: &str) -> SetDataRequest<'_> {
    SetDataRequest {
        path: Some(path.into()),
        data: Some(DATA.as_slice().into()),
        version: -1,
    }
}

pub(crate) fn create_request(path: &str) -> Request<'_> {
    Request::Create(CreateRequest {
        path: Some(path.into()),
        data: Some(DATA.as_slice().into()),
        acl: Some(open()),
        flags: 0,
    })
}

/// Replaces the data of ten nodes.
pub(crate) fn multi_request(paths: &[String]) -> Request<'_> {
    let sets = paths[..10]
        .iter()
        .map(|path| MultiOp::SetData(set_request(path)));
    Request::Multi(MultiRequest {
        ops: sets.collect(),
    })
}

/// The body of a request, without its header.
pub(crate) fn body(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.write(&mut Writer::wire(&mut bytes));
    bytes
}

/// A whole frame.
pub(crate) fn frame(xid: i32, request: &Request<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    let mut to = Writer::wire(&mut bytes);
    let op = request.op().code();
    RequestHeader { xid, op }.write(&mut to);
    request.write(&mut to);
    let length = bytes.len() as u32 - 4;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}
