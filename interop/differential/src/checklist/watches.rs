//! 29.074 to 29.089: watches.

use anyhow::Result;

use super::requests::*;
use super::{Bench, Check, Group, is, until};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "29.074 one event for two watches",
        group: Group::Main,
        run: one_deleted,
    },
    Check {
        name: "29.075 child watch",
        group: Group::Main,
        run: child_watch,
    },
    Check {
        name: "29.076 persistent watch",
        group: Group::Main,
        run: persistent,
    },
    Check {
        name: "29.077 recursive watch",
        group: Group::Main,
        run: recursive,
    },
    Check {
        name: "29.078 recursive watch of the root",
        group: Group::Main,
        run: recursive_root,
    },
    Check {
        name: "29.079 three kinds on one path",
        group: Group::Main,
        run: three_kinds,
    },
    Check {
        name: "29.080 removeWatches",
        group: Group::Main,
        run: remove,
    },
    Check {
        name: "29.081 unknown mode",
        group: Group::Main,
        run: unknown_mode,
    },
    Check {
        name: "29.082 zxid of events",
        group: Group::Main,
        run: zxids,
    },
    Check {
        name: "29.083 setWatches catches up",
        group: Group::Main,
        run: catch_up,
    },
    Check {
        name: "29.084 setWatches of what came",
        group: Group::Main,
        run: catch_up_created,
    },
    Check {
        name: "29.085 setWatches of what went",
        group: Group::Main,
        run: catch_up_deleted,
    },
    Check {
        name: "29.086 event without permission",
        group: Group::Main,
        run: filtered,
    },
    Check {
        name: "29.087 recursive watch of an unreadable node",
        group: Group::Main,
        run: filtered_recursive,
    },
    Check {
        name: "29.088 own event before own reply",
        group: Group::Main,
        run: before_reply,
    },
    Check {
        name: "29.089 watches of a closed connection",
        group: Group::Main,
        run: closed,
    },
];

fn one_deleted(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    c.ask(&create(&path, "", 0))?.ok()?;
    c.ask(&get(&path, true))?.ok()?;
    c.ask(&children(&path, true))?.ok()?;
    is!(c.ask(&delete(&path, -1))?.kinds(), vec![(2, path.clone())]);
    c.ask(&create(&path, "", 0))?.ok()?;
    c.ask(&create(&t.at("/x/y"), "", 0))?.ok()?;
    is!(c.events()?, vec![]);
    Ok(())
}

fn child_watch(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (path, child) = (t.at("/x"), t.at("/x/y"));
    c.ask(&create(&path, "", 0))?.ok()?;
    c.ask(&children(&path, true))?.ok()?;
    is!(c.ask(&set(&path, "1", -1))?.kinds(), vec![]);
    is!(
        c.ask(&create(&child, "", 0))?.kinds(),
        vec![(4, path.clone())]
    );
    is!(c.ask(&delete(&child, -1))?.kinds(), vec![]);
    c.ask(&create(&child, "", 0))?.ok()?;
    c.ask(&children2(&path, true))?.ok()?;
    is!(c.ask(&set(&child, "1", -1))?.kinds(), vec![]);
    is!(c.ask(&delete(&child, -1))?.kinds(), vec![(4, path)]);
    is!(c.events()?, vec![]);
    Ok(())
}

fn persistent(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (path, child) = (t.at("/a"), t.at("/a/b"));
    is!(c.ask(&add_watch(&path, 0))?.ok()?.body, vec![0; 4]);
    for (request, kind) in [
        (create(&path, "", 0), 1),
        (create(&child, "", 0), 4),
        (set(&path, "x", -1), 3),
        (delete(&child, -1), 4),
        (delete(&path, -1), 2),
        (create(&path, "", 0), 1),
    ] {
        is!(
            (request.op(), c.ask(&request)?.kinds()),
            (request.op(), vec![(kind, path.clone())])
        );
    }
    c.ask(&create(&child, "", 0))?.ok()?;
    is!(c.ask(&set(&child, "x", -1))?.kinds(), vec![]);
    Ok(())
}

fn recursive(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let paths = ["/a", "/a/b", "/a/b/c"].map(|tail| t.at(tail));
    c.ask(&add_watch(&paths[0], 1))?.ok()?;
    for path in &paths {
        is!(
            c.ask(&create(path, "", 0))?.kinds(),
            vec![(1, path.clone())]
        );
    }
    for path in &paths {
        is!(c.ask(&set(path, "x", -1))?.kinds(), vec![(3, path.clone())]);
    }
    for path in paths.iter().rev() {
        is!(c.ask(&delete(path, -1))?.kinds(), vec![(2, path.clone())]);
    }
    is!(c.ask(&create(&t.at("/ab"), "", 0))?.kinds(), vec![]);
    Ok(())
}

fn recursive_root(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&add_watch("/", 1))?.ok()?;
    is!(
        c.ask(&create(&t.at("/a"), "", 0))?.kinds(),
        vec![(1, t.at("/a"))]
    );
    is!(
        c.ask(&create(&t.at("/a/b"), "", 0))?.kinds(),
        vec![(1, t.at("/a/b"))]
    );
    is!(
        c.ask(&set("/", "", -1))?.kinds(),
        vec![(3, "/".to_string())]
    );
    Ok(())
}

fn three_kinds(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (path, child) = (t.at("/a"), t.at("/a/b"));
    let watch_all = |c: &mut super::Client| -> Result<()> {
        c.ask(&exists(&path, true))?;
        c.ask(&children(&path, true))?;
        c.ask(&add_watch(&path, 0))?.ok()?;
        c.ask(&add_watch(&path, 1))?.ok()?;
        c.ask(&add_watch(&path, 1))?.ok()?;
        Ok(())
    };
    watch_all(&mut c)?;
    is!(
        c.ask(&create(&path, "", 0))?.kinds(),
        vec![(1, path.clone())]
    );
    watch_all(&mut c)?;
    is!(
        c.ask(&set(&path, "x", -1))?.kinds(),
        vec![(3, path.clone())]
    );
    watch_all(&mut c)?;
    is!(
        c.ask(&create(&child, "", 0))?.kinds(),
        vec![(1, child.clone()), (4, path.clone())]
    );
    watch_all(&mut c)?;
    is!(
        c.ask(&set(&child, "x", -1))?.kinds(),
        vec![(3, child.clone())]
    );
    is!(
        c.ask(&delete(&child, -1))?.kinds(),
        vec![(2, child.clone()), (4, path.clone())]
    );
    watch_all(&mut c)?;
    is!(c.ask(&delete(&path, -1))?.kinds(), vec![(2, path.clone())]);
    Ok(())
}

fn remove(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    c.ask(&create(&path, "", 0))?.ok()?;
    c.ask(&add_watch(&path, 0))?.ok()?;
    is!(c.ask(&remove_watch(&path, 2))?.err, -121);
    c.ask(&get(&path, true))?.ok()?;
    is!(
        (
            c.ask(&check_watch(&path, 2))?.err,
            c.ask(&check_watch(&path, 1))?.err
        ),
        (0, -121)
    );
    is!(c.ask(&remove_watch(&path, 2))?.err, 0);
    is!(c.ask(&check_watch(&path, 2))?.err, -121);
    is!(
        c.ask(&set(&path, "x", -1))?.kinds(),
        vec![(3, path.clone())]
    );
    is!(
        (
            c.ask(&check_watch(&path, 4))?.err,
            c.ask(&check_watch(&path, 5))?.err
        ),
        (0, -121)
    );
    is!(
        (
            c.ask(&remove_watch(&path, 4))?.err,
            c.ask(&remove_watch(&path, 4))?.err
        ),
        (0, -121)
    );
    c.ask(&add_watch(&path, 1))?.ok()?;
    c.ask(&children(&path, true))?.ok()?;
    is!(
        (
            c.ask(&check_watch(&path, 3))?.err,
            c.ask(&remove_watch(&path, 3))?.err
        ),
        (0, 0)
    );
    is!(
        (
            c.ask(&check_watch(&path, 3))?.err,
            c.ask(&remove_watch(&path, 3))?.err
        ),
        (-121, -121)
    );
    is!(c.ask(&set(&path, "y", -1))?.kinds(), vec![]);
    for kind in [0, 6, -1] {
        is!((kind, c.ask(&check_watch(&path, kind))?.err), (kind, -5));
        is!((kind, c.ask(&remove_watch(&path, kind))?.err), (kind, -5));
    }
    Ok(())
}

fn unknown_mode(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for mode in [2, -1] {
        is!((mode, c.ask(&add_watch(&t.base, mode))?.err), (mode, -5));
    }
    Ok(())
}

fn zxids(t: &mut Bench) -> Result<()> {
    let (mut c, mut other) = (t.client()?, t.client()?);
    let path = t.at("/x");
    c.ask(&add_watch(&path, 1))?.ok()?;
    let made = other.ask(&create2(&path, "", 0))?.stat()?;
    is!(c.ask(&ping())?.events[0].zxid, made.mzxid);
    let set = other.ask(&set(&path, "x", -1))?.stat()?;
    is!(c.ask(&ping())?.events[0].zxid, set.mzxid);
    other.ask(&delete(&path, -1))?.ok()?;
    is!(
        c.ask(&ping())?.events[0].zxid,
        other.ask(&exists(&t.base, false))?.stat()?.pzxid
    );
    Ok(())
}

fn catch_up(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    let before = c.ask(&create(&path, "", 0))?.ok()?.zxid;
    c.ask(&set(&path, "x", -1))?.ok()?;
    let now = c.ask(&create(&t.at("/x/y"), "", 0))?.ok()?.zxid;
    let answer = c.ask(&set_watches(before, &[&path], &[], &[&path]))?;
    is!(
        (answer.err, answer.body.len(), answer.kinds()),
        (0, 0, vec![(3, path.clone()), (4, path.clone())])
    );
    is!(
        answer
            .events
            .iter()
            .map(|event| event.zxid)
            .collect::<Vec<_>>(),
        vec![-1, -1]
    );
    // Nothing was missed, so the watches are set.
    is!(
        c.ask(&set_watches(now, &[&path], &[], &[&path]))?.kinds(),
        vec![]
    );
    is!(
        c.ask(&set(&path, "z", -1))?.kinds(),
        vec![(3, path.clone())]
    );
    is!(c.ask(&delete(&t.at("/x/y"), -1))?.kinds(), vec![(4, path)]);
    Ok(())
}

fn catch_up_created(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let missing = t.at("/missing");
    let answer = c.ask(&set_watches(i64::MAX, &[], &[&t.base, &missing], &[]))?;
    is!(answer.kinds(), vec![(1, t.base.clone())]);
    is!(answer.events[0].zxid, -1);
    is!(c.ask(&create(&missing, "", 0))?.kinds(), vec![(1, missing)]);
    Ok(())
}

fn catch_up_deleted(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (child, data) = (t.at("/child"), t.at("/data"));
    let answer = c.ask(&set_watches(i64::MAX, &[&data], &[], &[&child]))?;
    is!(answer.kinds(), vec![(2, data), (2, child)]);
    Ok(())
}

fn filtered(t: &mut Bench) -> Result<()> {
    let (mut c, mut owner) = (t.client()?, t.superuser()?);
    let path = t.at("/x");
    c.ask(&create(&path, "", 0))?.ok()?;
    c.ask(&get(&path, true))?.ok()?;
    owner
        .ask(&set_acl(&path, acl(&[(2, "world", "anyone")]), -1))?
        .ok()?;
    owner.ask(&set(&path, "1", -1))?.ok()?;
    is!(c.events()?, vec![]);
    is!(c.ask(&check_watch(&path, 2))?.err, -121);
    owner.ask(&set_acl(&path, open(), -1))?.ok()?;
    owner.ask(&set(&path, "2", -1))?.ok()?;
    is!(c.events()?, vec![]);
    // A persistent one stays, and speaks again when it may.
    c.ask(&add_watch(&path, 0))?.ok()?;
    owner
        .ask(&set_acl(&path, acl(&[(2, "world", "anyone")]), -1))?
        .ok()?;
    owner.ask(&set(&path, "3", -1))?.ok()?;
    is!(c.events()?, vec![]);
    owner.ask(&set_acl(&path, open(), -1))?.ok()?;
    owner.ask(&set(&path, "4", -1))?.ok()?;
    is!(c.events()?, vec![(3, path)]);
    Ok(())
}

fn filtered_recursive(t: &mut Bench) -> Result<()> {
    let (mut c, mut owner) = (t.client()?, t.superuser()?);
    let (a, b) = (t.at("/a"), t.at("/a/b"));
    owner
        .ask(&create_acl(&a, acl(&[(2, "world", "anyone")])))?
        .ok()?;
    c.ask(&add_watch(&a, 1))?.ok()?;
    owner.ask(&create(&b, "", 0))?.ok()?;
    owner.ask(&set(&a, "x", -1))?.ok()?;
    owner.ask(&set(&b, "x", -1))?.ok()?;
    is!(c.events()?, vec![(1, b.clone()), (3, b)]);
    Ok(())
}

fn before_reply(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&get(&t.base, true))?.ok()?;
    let answer = c.ask(&set(&t.base, "x", -1))?;
    is!(answer.kinds(), vec![(3, t.base.clone())]);
    is!(answer.events[0].zxid, answer.zxid);
    Ok(())
}

fn closed(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/watched");
    c.ask(&exists(&path, true))?;
    c.ask(&add_watch(&path, 0))?.ok()?;
    c.ask(&add_watch(&path, 1))?.ok()?;
    is!(t.word("wchp")?.contains(&path), true);
    let (id, password) = (c.id, c.password);
    drop(c);
    until("the watches are gone", || {
        Ok(!t.word("wchp")?.contains(&path))
    })?;
    let mut c = super::Client::attach(t.port(), id, &password, 30_000)?;
    is!(c.ask(&create(&path, "", 0))?.kinds(), vec![]);
    Ok(())
}
