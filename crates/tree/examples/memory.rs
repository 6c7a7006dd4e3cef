//! What a large tree costs: `cargo run --release -p zooid-tree --example memory [NODES] [WATCHES]`.
//!
//! Paths of 40 characters, 1,000 nodes to a directory, 100 bytes of data. Resident memory is that
//! of the process (Linux), less what it was when the empty tree stood.

// An example measures; the crate itself reads no clock.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};
use zooid_proto::Reader;
use zooid_proto::records::Acl;
use zooid_proto::txn::{CreateTxn, SetDataTxn, Txn, TxnHeader};
use zooid_tree::walk::NodeRecord;
use zooid_tree::{Change, Mode, Tree, TreeLoader, TreeOptions, Watches};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const PER_DIR: usize = 1000;
const DATA: [u8; 100] = [b'x'; 100];

fn main() {
    let number = |n: usize| {
        std::env::args()
            .nth(n)
            .map(|n| n.parse().expect("a number"))
    };
    let nodes: usize = number(1).unwrap_or(1_000_000);
    let watches: usize = number(2).unwrap_or(nodes);
    let mut tree = Tree::new(TreeOptions::default());
    let empty = resident();
    println!("empty tree: {:.1} MB resident", empty as f64 / 1e6);

    let mut zxid = 0;
    let mut worst = Duration::ZERO;
    let start = cpu();
    for n in 0..nodes {
        if n % PER_DIR == 0 {
            apply(&mut tree, &mut zxid, &create(dir_path(n / PER_DIR), b""));
        }
        let txn = create(path(n), &DATA);
        let at = Instant::now();
        apply(&mut tree, &mut zxid, &txn);
        worst = worst.max(at.elapsed());
    }
    report("create", nodes, cpu() - start);
    println!("  worst create: {worst:?}");
    let used = resident() - empty;
    let names = path(0).len() - dir_path(0).len() - 1;
    let per_node = used as f64 / nodes as f64;
    println!(
        "resident: {:.1} MB, {per_node:.1} B a node, {:.1} B beyond name ({names} B) and data",
        used as f64 / 1e6,
        per_node - names as f64 - DATA.len() as f64
    );

    let before = resident();
    let mut table = Watches::new();
    let start = cpu();
    for n in 0..watches {
        table.add((n % 1000) as u64, &path(n), Mode::StdData);
    }
    report("watch", watches, cpu() - start);
    let used = resident().saturating_sub(before);
    println!(
        "watches: {:.1} MB resident, {:.1} B each with its path",
        used as f64 / 1e6,
        used as f64 / watches as f64
    );
    for conn in 10_000..20_000 {
        table.add(conn, "/crowd", Mode::StdData);
    }
    let change = Change {
        kind: zooid_tree::ChangeKind::DataChanged,
        path: "/crowd".into(),
        acl: zooid_tree::AclId::OPEN,
        parent_acl: zooid_tree::AclId::OPEN,
        zxid,
    };
    let mut fired = Vec::new();
    let start = Instant::now();
    table.trigger(&change, &mut fired);
    report(
        "fire one change to a crowd, watcher",
        fired.len(),
        start.elapsed(),
    );
    drop((table, fired));

    // In an order that the caches do not know.
    let scattered: Vec<String> = (0..nodes.min(1_000_000))
        .map(|i| path((i as u64 * 0x9E37_79B9_7F4A_7C15 % nodes as u64) as usize))
        .collect();
    let start = cpu();
    let mut bytes = 0;
    let mut out = Vec::with_capacity(256);
    for path in &scattered {
        let node = tree.get(path).expect("was created");
        out.clear();
        out.extend_from_slice(node.data().unwrap_or_default());
        node.write_stat(&mut out);
        bytes += out.len();
    }
    report(
        "get data and stat, scattered",
        scattered.len(),
        cpu() - start,
    );
    assert_eq!(bytes, scattered.len() * 168);
    let hot = &scattered[..scattered.len().min(1000)];
    let start = cpu();
    for path in hot.iter().cycle().take(1_000_000) {
        black_box(tree.get(path));
    }
    report("get, hot", 1_000_000, cpu() - start);

    let sets: Vec<Txn<'_>> = scattered.iter().map(|path| set(path, &DATA)).collect();
    let start = cpu();
    for txn in &sets {
        apply(&mut tree, &mut zxid, txn);
    }
    report("set, scattered", sets.len(), cpu() - start);

    let start = cpu();
    let mut walk = tree.begin_walk();
    println!("begin of a walk: {:?}", cpu() - start);
    let mut snapshot = Vec::with_capacity(nodes * 260);
    let start = cpu();
    let mut longest = Duration::ZERO;
    loop {
        let at = Instant::now();
        if !tree.walk_step(&mut walk, 256, &mut snapshot) {
            break;
        }
        longest = longest.max(at.elapsed());
    }
    report("walk", walk.node_count, cpu() - start);
    println!("  longest step: {longest:?}");

    let mut loader = TreeLoader::new(TreeOptions::default());
    let start = cpu();
    walk.acls
        .iter()
        .for_each(|(id, list)| loader.add_acl(*id, list.to_vec()));
    let mut reader = Reader::new(&snapshot);
    while reader.remaining() > 0 {
        let record = NodeRecord::read(&mut reader).expect("was written just now");
        let added = loader.add_node(
            &record.path,
            record.data.as_deref(),
            record.acl_id,
            &record.stat,
        );
        added.expect("was a tree");
    }
    let loaded = loader.finish().expect("was a tree");
    report("load", loaded.len(), cpu() - start);
    assert_eq!(loaded.digest(), tree.digest());
    drop((loaded, snapshot, walk));
}

fn dir_path(dir: usize) -> String {
    format!("/services/eu/dir-{dir:011}")
}

fn path(n: usize) -> String {
    let path = format!("{}/n{n:010}", dir_path(n / PER_DIR));
    assert_eq!(path.len(), 40);
    path
}

fn create(path: String, data: &'static [u8]) -> Txn<'static> {
    Txn::Create(CreateTxn {
        path: path.into(),
        data: Some(data.into()),
        acl: Some(vec![Acl::new(31, "world", "anyone")]),
        ephemeral: false,
        parent_cversion: -1,
    })
}

fn set<'a>(path: &'a str, data: &'a [u8]) -> Txn<'a> {
    Txn::SetData(SetDataTxn {
        path: path.into(),
        data: Some(data.into()),
        version: 1,
    })
}

fn apply(tree: &mut Tree, zxid: &mut i64, txn: &Txn<'_>) {
    if *zxid == 0 {
        for dir in ["/services", "/services/eu"] {
            *zxid += 1;
            run(tree, *zxid, &create(dir.to_owned(), b""));
        }
    }
    *zxid += 1;
    run(tree, *zxid, txn);
}

fn run(tree: &mut Tree, zxid: i64, txn: &Txn<'_>) {
    let header = TxnHeader {
        client_id: 1,
        cxid: 1,
        zxid,
        time_ms: 1_795_236_150_324 + zxid,
        kind: txn.kind(),
    };
    let mut changes: Vec<Change> = Vec::new();
    let applied = tree.apply(&header, txn, &mut changes);
    assert_eq!(applied.err, 0);
    black_box(changes);
}

fn report(what: &str, times: usize, took: Duration) {
    println!("{what}: {:.0} ns", took.as_nanos() as f64 / times as f64);
}

/// Time that this thread ran, which other programs on the machine do not lengthen.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ns = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.expect("run time"))
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("resident pages") * 4096
}
