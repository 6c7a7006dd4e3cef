//! Watches: who is told of a change.

use crate::Times;
use crate::samples::{self, PARENT};
use std::hint::black_box;
use zooid_tree::{AclId, Change, ChangeKind, Fired, Mode, Watches};

/// Watchers of the node with many.
const CROWD: u64 = 1000;

pub(crate) fn exact(times: Times) {
    let changes = changes();
    let mut watches = Watches::with_seed(1);
    let mut fired: Vec<Fired> = Vec::with_capacity(64);
    // Other watches, so that the tables are not empty.
    for path in samples::paths() {
        watches.add(2, &path, Mode::StdChild);
    }
    times.each(|round| {
        fired.clear();
        let change = black_box(&changes[round as usize % changes.len()]);
        watches.add(1, &change.path, Mode::StdData);
        watches.trigger(change, &mut fired);
        assert_eq!(black_box(&fired).len(), 1);
    });
}

pub(crate) fn nobody(times: Times) {
    let mut watches = Watches::with_seed(1);
    for path in samples::paths() {
        watches.add(2, &path, Mode::StdChild);
    }
    trigger(times, watches, 0);
}

pub(crate) fn recursive(times: Times) {
    let mut watches = Watches::with_seed(1);
    watches.add(1, PARENT, Mode::Recursive);
    watches.add(2, "/", Mode::Recursive);
    trigger(times, watches, 2);
}

pub(crate) fn fan_out(times: Times) {
    let mut watches = Watches::with_seed(1);
    for conn in 0..CROWD {
        watches.add(conn, PARENT, Mode::Recursive);
    }
    trigger(times, watches, CROWD as usize);
}

fn trigger(times: Times, mut watches: Watches, told: usize) {
    let changes = changes();
    let mut fired: Vec<Fired> = Vec::with_capacity(2 * CROWD as usize);
    times.each(|round| {
        fired.clear();
        let change = black_box(&changes[round as usize % changes.len()]);
        watches.trigger(change, &mut fired);
        assert_eq!(black_box(&fired).len(), told);
    });
}

fn changes() -> Vec<Change> {
    let change = |path: String| Change {
        kind: ChangeKind::DataChanged,
        path: path.into(),
        acl: AclId::OPEN,
        parent_acl: AclId::OPEN,
        zxid: 1,
    };
    samples::paths().into_iter().map(change).collect()
}
