//! The tree: lookups, transactions, the walk of a snapshot.

use crate::Times;
use crate::samples::{self, NODES, PARENT};
use std::hint::black_box;
use zooid_proto::txn::{DeleteTxn, Txn};
use zooid_tree::{Change, Tree};

pub(crate) fn get(times: Times) {
    let (tree, paths) = (samples::tree(), samples::paths());
    let mut out = Vec::with_capacity(1024);
    times.each(|round| {
        out.clear();
        let path = &paths[round as usize % paths.len()];
        let node = tree.get(black_box(path)).expect("it was made");
        out.extend_from_slice(node.data().unwrap_or_default());
        node.write_stat(&mut out);
        assert_eq!(black_box(&out).len(), samples::DATA.len() + 68);
    });
}

pub(crate) fn get_missing(times: Times) {
    let tree = samples::tree();
    let missing = samples::path(NODES);
    times.each(|_| assert!(tree.get(black_box(&missing)).is_none()));
}

pub(crate) fn children(times: Times) {
    let tree = samples::tree();
    times.each(|_| {
        let node = tree.get(black_box(PARENT)).expect("it was made");
        let bytes: usize = node.children_bytes().map(<[u8]>::len).sum();
        assert_eq!(bytes, NODES as usize * 12);
    });
}

pub(crate) fn walk(times: Times) {
    let tree = samples::tree();
    let mut out = Vec::with_capacity(1 << 20);
    times.each(|_| {
        let mut walk = tree.begin_walk();
        out.clear();
        while tree.walk_step(&mut walk, 128, &mut out) {}
        assert!(black_box(&out).len() > NODES as usize * 200);
    });
}

pub(crate) fn apply_create(times: Times) {
    let paths: Vec<String> = (0..times.most).map(|n| samples::path(NODES + n)).collect();
    let txns: Vec<Txn<'_>> = paths.iter().map(|path| samples::create(path)).collect();
    apply(times, samples::tree(), &txns);
}

pub(crate) fn apply_set(times: Times) {
    let paths = samples::paths();
    let txns: Vec<Txn<'_>> = paths.iter().map(|path| samples::set(path)).collect();
    apply(times, samples::tree(), &txns);
}

pub(crate) fn apply_delete(times: Times) {
    let delete = |n| {
        Txn::Delete(DeleteTxn {
            path: samples::path(n).into(),
        })
    };
    let txns: Vec<Txn<'_>> = (0..times.most).map(delete).collect();
    apply(times, samples::tree_of(times.most), &txns);
}

pub(crate) fn apply_multi(times: Times) {
    let paths = samples::paths();
    let sets = |ten: &'_ [String]| {
        let sets = ten.iter().map(|path| samples::set(path).into_owned());
        Txn::Multi(sets.collect())
    };
    let txns: Vec<Txn<'_>> = paths.chunks(10).map(sets).collect();
    apply(times, samples::tree(), &txns);
}

fn apply(times: Times, mut tree: Tree, txns: &[Txn<'_>]) {
    let mut changes: Vec<Change> = Vec::with_capacity(64);
    let before = tree.last_processed_zxid();
    times.each(|round| {
        changes.clear();
        let txn = black_box(&txns[round as usize % txns.len()]);
        let header = samples::header(before + 1 + round as i64, txn);
        let applied = tree.apply(&header, txn, &mut changes);
        assert!(applied.err == 0 && !changes.is_empty());
    });
}
