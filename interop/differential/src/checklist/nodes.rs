//! 29.018 to 29.061: create, delete, setData, setACL, Stat, reads.

use anyhow::Result;
use zooid_proto::ops::Request;
use zooid_proto::{OpCode, Writer};

use super::requests::*;
use super::{Bench, Check, Group, is, until};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "29.018 create what exists",
        group: Group::Main,
        run: create_twice,
    },
    Check {
        name: "29.019 create below nothing",
        group: Group::Main,
        run: no_parent,
    },
    Check {
        name: "29.020 create without ACL",
        group: Group::Main,
        run: no_acl,
    },
    Check {
        name: "29.021 create with a slash at the end",
        group: Group::Main,
        run: trailing_slash,
    },
    Check {
        name: "29.022 sequence numbers",
        group: Group::Main,
        run: sequence,
    },
    Check {
        name: "29.023 every create counts",
        group: Group::Main,
        run: every_create_counts,
    },
    Check {
        name: "29.026 child of an ephemeral",
        group: Group::Main,
        run: ephemeral_parent,
    },
    Check {
        name: "29.027 child of a container or TTL node",
        group: Group::Main,
        run: special_parents,
    },
    Check {
        name: "29.028 Stat of create2",
        group: Group::Main,
        run: create2_stat,
    },
    Check {
        name: "29.029 null data",
        group: Group::Main,
        run: null_data,
    },
    Check {
        name: "29.030 createTTL switched off",
        group: Group::Narrow,
        run: ttl_off,
    },
    Check {
        name: "29.031 bounds of a TTL",
        group: Group::Main,
        run: ttl_bounds,
    },
    Check {
        name: "29.032 owner of a TTL node",
        group: Group::Main,
        run: ttl_owner,
    },
    Check {
        name: "29.033 TTL node refreshed",
        group: Group::Quick,
        run: ttl_refreshed,
    },
    Check {
        name: "29.034 container never used",
        group: Group::Quick,
        run: container_life,
    },
    Check {
        name: "29.035 nested containers",
        group: Group::Quick,
        run: nested_containers,
    },
    Check {
        name: "29.036 container with a new child",
        group: Group::Quick,
        run: busy_container,
    },
    Check {
        name: "29.037 unknown flags",
        group: Group::Main,
        run: unknown_flags,
    },
    Check {
        name: "29.038 relative names",
        group: Group::Main,
        run: relative_names,
    },
    Check {
        name: "29.039 characters of paths",
        group: Group::Main,
        run: characters,
    },
    Check {
        name: "29.040 delete what must stay",
        group: Group::Main,
        run: delete_reserved,
    },
    Check {
        name: "29.041 delete a parent",
        group: Group::Main,
        run: delete_parent,
    },
    Check {
        name: "29.042 delete without permission",
        group: Group::Main,
        run: delete_without_permission,
    },
    Check {
        name: "29.043 versions of setData",
        group: Group::Main,
        run: set_versions,
    },
    Check {
        name: "29.044 setData of the empty path",
        group: Group::Main,
        run: set_empty_path,
    },
    Check {
        name: "29.045 permission before version",
        group: Group::Main,
        run: permission_first,
    },
    Check {
        name: "29.046 order of errors of setACL",
        group: Group::Main,
        run: set_acl_errors,
    },
    Check {
        name: "29.047 setACL is silent",
        group: Group::Main,
        run: set_acl_silent,
    },
    Check {
        name: "29.048 a pipeline of writes",
        group: Group::Main,
        run: pipeline,
    },
    Check {
        name: "29.050 Stat of a parent",
        group: Group::Main,
        run: parent_stat,
    },
    Check {
        name: "29.051 Stat of an ephemeral",
        group: Group::Main,
        run: ephemeral_stat,
    },
    Check {
        name: "29.052 Stat after setData",
        group: Group::Main,
        run: set_stat,
    },
    Check {
        name: "29.053 cversion counts deletes",
        group: Group::Main,
        run: cversion,
    },
    Check {
        name: "29.055 a failed write takes a zxid",
        group: Group::Main,
        run: failed_write,
    },
    Check {
        name: "29.056 exists watches what is missing",
        group: Group::Main,
        run: exists_missing,
    },
    Check {
        name: "29.057 reads do not watch what is missing",
        group: Group::Main,
        run: reads_missing,
    },
    Check {
        name: "29.058 masked digests",
        group: Group::Main,
        run: masked,
    },
    Check {
        name: "29.059 reads without permission",
        group: Group::Main,
        run: reads_forbidden,
    },
    Check {
        name: "29.060 prefixes of getEphemerals",
        group: Group::Main,
        run: ephemeral_prefixes,
    },
    Check {
        name: "29.061 sync of any text",
        group: Group::Main,
        run: sync_any,
    },
];

fn create_twice(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for flags in [0, 1] {
        is!(c.ask(&create(&t.base, "", flags))?.err, -110);
    }
    is!(c.ask(&create("/", "", 0))?.err, -110);
    is!(c.ask(&create("/zookeeper/config", "", 0))?.err, -110);
    Ok(())
}

fn no_parent(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    is!(c.ask(&create(&t.at("/no/x"), "", 0))?.err, -101);
    is!(c.ask(&create_acl(&t.at("/no/x"), Some(vec![])))?.err, -114);
    Ok(())
}

fn no_acl(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for acl in [None, Some(vec![]), Some(vec![entry(31, None, None)])] {
        is!(c.ask(&create_acl(&t.at("/x"), acl))?.err, -114);
    }
    Ok(())
}

fn trailing_slash(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    is!(c.ask(&create(&t.at("/a/"), "", 0))?.err, -101);
    c.ask(&create(&t.at("/a"), "", 0))?.ok()?;
    is!(c.ask(&create(&t.at("/a/"), "", 0))?.err, -8);
    is!(
        c.ask(&create(&t.at("/a/"), "", 2))?.ok()?.path()?,
        t.at("/a/0000000000")
    );
    Ok(())
}

fn sequence(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for i in 0..3 {
        let path = c.ask(&create(&t.at("/s-"), "", 2))?.ok()?.path()?;
        is!(path.clone(), t.at(&format!("/s-{i:010}")));
        c.ask(&delete(&path, -1))?.ok()?;
    }
    Ok(())
}

fn every_create_counts(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for i in 0..7 {
        c.ask(&create(&t.at(&format!("/{i}")), "", 0))?.ok()?;
    }
    is!(
        c.ask(&create(&t.at("/s"), "", 3))?.ok()?.path()?,
        t.at("/s0000000007")
    );
    Ok(())
}

fn ephemeral_parent(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create(&t.at("/e"), "", 1))?.ok()?;
    for flags in 0..4 {
        is!(c.ask(&create(&t.at("/e/x"), "", flags))?.err, -108);
    }
    Ok(())
}

fn special_parents(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&container(&t.at("/c")))?.ok()?;
    c.ask(&ttl(&t.at("/t"), 5, 100_000))?.ok()?;
    for parent in ["/c", "/t"] {
        for flags in 0..2 {
            is!(
                c.ask(&create(&t.at(&format!("{parent}/{flags}")), "", flags))?
                    .err,
                0
            );
        }
    }
    Ok(())
}

fn create2_stat(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let answer = c.ask(&create2(&t.at("/x"), "four", 0))?.ok()?;
    let stat = answer.stat()?;
    is!(
        (stat.czxid, stat.mzxid, stat.pzxid),
        (answer.zxid, answer.zxid, answer.zxid)
    );
    is!((stat.version, stat.cversion, stat.aversion), (0, 0, 0));
    is!((stat.ctime > 0, stat.ctime == stat.mtime), (true, true));
    is!(
        (stat.data_length, stat.num_children, stat.ephemeral_owner),
        (4, 0, 0)
    );
    is!(c.ask(&exists(&t.at("/x"), false))?.stat()?, stat);
    Ok(())
}

fn null_data(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    c.ask(&Request::Create(body(&path, None, open(), 0)))?
        .ok()?;
    let answer = c.ask(&get(&path, false))?;
    is!((answer.data()?, answer.stat()?.data_length), (None, 0));
    c.ask(&set(&path, "", -1))?.ok()?;
    is!(c.ask(&get(&path, false))?.data()?, Some(vec![]));
    Ok(())
}

fn ttl_off(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    is!(c.ask(&ttl(&t.at("/x"), 5, 100))?.err, -6);
    is!(c.ask(&ttl(&t.at("/x"), 6, 100))?.err, -6);
    is!(c.ask(&create(&t.at("/x"), "", 5))?.err, -6);
    is!(c.ask(&exists(&t.at("/x"), false))?.err, -101);
    Ok(())
}

fn ttl_bounds(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for bad in [-100, -1, 0, 1 << 40, i64::MAX] {
        is!((bad, c.ask(&ttl(&t.at("/x"), 5, bad))?.err), (bad, -8));
    }
    for (i, good) in [1, (1 << 40) - 1].into_iter().enumerate() {
        is!(c.ask(&ttl(&t.at(&format!("/t{i}")), 5, good))?.err, 0);
    }
    for flags in 0..5 {
        is!(
            (flags, c.ask(&ttl(&t.at("/x"), flags, 100))?.err),
            (flags, -8)
        );
    }
    is!(c.ask(&create(&t.at("/x"), "", 5))?.err, -8);
    Ok(())
}

fn ttl_owner(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let answer = c.ask(&ttl(&t.at("/t-"), 6, 100_000))?.ok()?;
    is!(
        (answer.path()?, answer.stat()?.ephemeral_owner),
        (t.at("/t-0000000000"), 0)
    );
    is!(c.ask(&container(&t.at("/c")))?.stat()?.ephemeral_owner, 0);
    Ok(())
}

fn ttl_refreshed(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (short, kept) = (t.at("/short"), t.at("/kept"));
    c.ask(&ttl(&short, 5, 1000))?.ok()?;
    c.ask(&ttl(&kept, 5, 1000))?.ok()?;
    until("the idle node is deleted", || {
        c.ask(&set(&kept, "x", -1))?.ok()?;
        Ok(c.ask(&exists(&short, false))?.err == -101)
    })?;
    c.ask(&create(&t.at("/kept/child"), "", 0))?.ok()?;
    c.ask(&ttl(&short, 5, 1000))?.ok()?;
    until("the idle node is deleted again", || {
        Ok(c.ask(&exists(&short, false))?.err == -101)
    })?;
    is!(c.ask(&exists(&kept, false))?.err, 0);
    c.ask(&delete(&t.at("/kept/child"), -1))?.ok()?;
    until("the node without its child is deleted", || {
        Ok(c.ask(&exists(&kept, false))?.err == -101)
    })
}

fn container_life(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&container(&t.at("/never")))?.ok()?;
    c.ask(&container(&t.at("/used")))?.ok()?;
    c.ask(&create(&t.at("/used/x"), "", 0))?.ok()?;
    c.ask(&delete(&t.at("/used/x"), -1))?.ok()?;
    until("the used container is deleted", || {
        Ok(c.ask(&exists(&t.at("/used"), false))?.err == -101)
    })?;
    is!(c.ask(&exists(&t.at("/never"), false))?.err, 0);
    Ok(())
}

fn nested_containers(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for path in ["/a", "/a/b"] {
        c.ask(&container(&t.at(path)))?.ok()?;
    }
    c.ask(&create(&t.at("/a/b/x"), "", 0))?.ok()?;
    c.ask(&add_watch(&t.at("/a"), 1))?.ok()?;
    let mut events = c.ask(&delete(&t.at("/a/b/x"), -1))?.ok()?.events;
    until("both containers are deleted", || {
        events.extend(c.ask(&ping())?.events);
        Ok(events.len() >= 3)
    })?;
    let paths: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.path.clone()))
        .collect();
    is!(
        paths,
        vec![(2, t.at("/a/b/x")), (2, t.at("/a/b")), (2, t.at("/a"))]
    );
    is!(events[1].zxid < events[2].zxid, true);
    Ok(())
}

fn busy_container(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    // The sweeper meets this container over and over, always with a child.
    let path = t.at("/c");
    c.ask(&container(&path))?.ok()?;
    let end = std::time::Instant::now() + std::time::Duration::from_millis(600);
    c.ask(&create(&t.at("/c/0"), "", 0))?.ok()?;
    let mut i = 0;
    while std::time::Instant::now() < end {
        let (old, new) = (t.at(&format!("/c/{i}")), t.at(&format!("/c/{}", i + 1)));
        c.ask(&multi(vec![delete(&old, -1), create(&new, "", 0)]))?
            .ok()?;
        i += 1;
    }
    is!(c.ask(&exists(&path, false))?.stat()?.num_children, 1);
    Ok(())
}

fn unknown_flags(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    for flags in [6789, 7, -1] {
        is!((flags, c.ask(&create(&path, "", flags))?.err), (flags, -8));
        is!((flags, c.ask(&create2(&path, "", flags))?.err), (flags, -8));
        is!(
            (flags, c.ask(&multi(vec![create(&path, "", flags)]))?.err),
            (flags, -5)
        );
    }
    is!(c.ask(&exists(&path, false))?.err, -101);
    Ok(())
}

fn relative_names(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for path in ["/.", "/..", "/a/."] {
        c.ask(&create(&t.at("/a"), "", 0))?;
        is!((path, c.ask(&create(&t.at(path), "", 0))?.err), (path, -8));
    }
    is!(c.ask(&create("/.", "", 0))?.err, -8);
    is!(c.ask(&create(&t.at("/a/./b"), "", 0))?.err, -101);
    for path in ["/..f..", "/...", "/.a", "/a.."] {
        is!((path, c.ask(&create(&t.at(path), "", 0))?.err), (path, 0));
    }
    for (path, err) in [("", -8), ("a", -8), ("//", -8), ("/a\0b", -8)] {
        is!((path, c.ask(&create(path, "", 0))?.err), (path, err));
    }
    Ok(())
}

fn characters(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for bad in [
        '\u{FFFD}',
        '\u{1F680}',
        '\u{7F}',
        '\u{1}',
        '\u{1F}',
        '\u{9F}',
        '\u{E000}',
        '\u{F8FF}',
        '\u{FFF0}',
    ] {
        is!(
            (bad, c.ask(&create(&t.at(&format!("/{bad}")), "", 0))?.err),
            (bad, -8)
        );
    }
    for good in [
        ' ', '\u{A0}', '\u{2028}', '\u{F900}', '\u{FFEF}', 'ß', '\u{20}', '\u{7E}',
    ] {
        let err = c.ask(&create2(&t.at(&format!("/{good}x")), "", 2))?.err;
        is!((good, err), (good, 0));
    }
    // Bytes that are not UTF-8 read as U+FFFD.
    let mut body = Vec::new();
    create(&t.at("/?"), "", 0).write(&mut Writer::wire(&mut body));
    let at = body.iter().position(|b| *b == b'?').expect("it is there");
    body[at] = 0xFF;
    is!(c.ask_raw(1, OpCode::Create.code(), &body)?.err, -8);
    Ok(())
}

fn delete_reserved(t: &mut Bench) -> Result<()> {
    let mut c = t.superuser()?;
    for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
        is!((path, c.ask(&delete(path, -1))?.err), (path, -8));
    }
    is!(c.ask(&delete("", -1))?.err, -8);
    is!(c.ask(&delete("a", -1))?.err, -8);
    Ok(())
}

fn delete_parent(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for path in ["/p", "/p/c"] {
        c.ask(&create(&t.at(path), "", 0))?.ok()?;
    }
    is!(c.ask(&delete(&t.at("/p"), -1))?.err, -111);
    is!(c.ask(&delete(&t.at("/p"), 7))?.err, -103);
    Ok(())
}

fn delete_without_permission(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create(&t.at("/p"), "", 0))?.ok()?;
    c.ask(&create(&t.at("/p/c"), "", 0))?.ok()?;
    c.ask(&set_acl(
        &t.at("/p"),
        acl(&[(31 - 8, "world", "anyone")]),
        -1,
    ))?
    .ok()?;
    is!(c.ask(&delete(&t.at("/p/c"), -1))?.err, -102);
    is!(c.ask(&delete(&t.at("/p/missing"), -1))?.err, -102);
    // The node's own ACL does not matter.
    c.ask(&create_acl(
        &t.at("/locked"),
        acl(&[(16, "world", "anyone")]),
    ))?
    .ok()?;
    is!(c.ask(&delete(&t.at("/locked"), -1))?.err, 0);
    Ok(())
}

fn set_versions(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for (version, err) in [
        (57, -103),
        (-2, -103),
        (1, -103),
        (0, 0),
        (-1, 0),
        (1, -103),
        (2, 0),
    ] {
        is!(
            (version, c.ask(&set(&t.base, "x", version))?.err),
            (version, err)
        );
    }
    Ok(())
}

fn set_empty_path(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for (path, err) in [
        ("", -8),
        ("a", -8),
        ("/a/", -8),
        ("/zookeeper/config", -102),
    ] {
        is!((path, c.ask(&set(path, "x", -1))?.err), (path, err));
    }
    Ok(())
}

fn permission_first(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&set_acl(&t.base, acl(&[(1, "world", "anyone")]), -1))?
        .ok()?;
    is!(c.ask(&set(&t.base, "x", 57))?.err, -102);
    Ok(())
}

fn set_acl_errors(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    is!(c.ask(&set_acl(&t.base, open(), 57))?.err, -103);
    c.ask(&set_acl(&t.base, acl(&[(15, "world", "anyone")]), 0))?
        .ok()?;
    is!(c.ask(&set_acl(&t.base, open(), 57))?.err, -102);
    is!(c.ask(&set_acl(&t.base, Some(vec![]), 57))?.err, -114);
    is!(
        c.ask(&set_acl(&t.at("/missing"), Some(vec![]), -1))?.err,
        -114
    );
    is!(c.ask(&set_acl(&t.at("/missing"), open(), -1))?.err, -101);
    Ok(())
}

fn set_acl_silent(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let before = c.ask(&get(&t.base, true))?.stat()?;
    c.ask(&children(&t.base, true))?.ok()?;
    c.ask(&add_watch(&t.base, 0))?.ok()?;
    c.ask(&add_watch(&t.base, 1))?.ok()?;
    let stat = c.ask(&set_acl(&t.base, open(), -1))?.stat()?;
    is!(
        stat,
        zooid_proto::records::Stat {
            aversion: 1,
            ..before
        }
    );
    is!(c.events()?, vec![]);
    is!(c.ask(&exists(&t.base, false))?.stat()?, stat);
    Ok(())
}

fn pipeline(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (p, pc) = (t.at("/p"), t.at("/p/c"));
    let requests = [
        create(&p, "", 0),
        create(&pc, "", 0),
        set(&p, "x", 0),
        delete(&p, -1),
        delete(&pc, -1),
        delete(&p, -1),
    ];
    let answers = c.ask_all(&requests)?;
    let errs: Vec<i32> = answers.iter().map(|answer| answer.err).collect();
    is!(errs, vec![0, 0, 0, -111, 0, 0]);
    let zxids: Vec<i64> = answers
        .iter()
        .map(|answer| answer.zxid - answers[0].zxid)
        .collect();
    is!(zxids, vec![0, 1, 2, 3, 4, 5]);
    Ok(())
}

fn parent_stat(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (p, pc) = (t.at("/p"), t.at("/p/c"));
    c.ask(&create(&p, "", 0))?.ok()?;
    c.ask(&create(&pc, "", 0))?.ok()?;
    let stat = c.ask(&exists(&p, false))?.stat()?;
    is!(
        (
            stat.cversion,
            stat.pzxid - stat.czxid,
            stat.num_children,
            stat.version
        ),
        (1, 1, 1, 0)
    );
    is!(stat.mzxid, stat.czxid);
    Ok(())
}

fn ephemeral_stat(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create(&t.at("/e"), "", 1))?.ok()?;
    is!(
        c.ask(&exists(&t.at("/e"), false))?.stat()?.ephemeral_owner,
        c.id
    );
    let parent = c.ask(&children2(&t.base, false))?.stat()?;
    is!(
        (parent.ephemeral_owner, parent.num_children, parent.version),
        (0, 1, 0)
    );
    Ok(())
}

fn set_stat(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    let before = c.ask(&create2(&path, "data", 0))?.stat()?;
    let answer = c.ask(&set(&path, "datadata", 0))?;
    let stat = answer.stat()?;
    is!(
        (stat.version, stat.mzxid, stat.czxid),
        (1, answer.zxid, before.czxid)
    );
    is!(
        (stat.pzxid, stat.data_length, stat.ctime),
        (before.czxid, 8, before.ctime)
    );
    is!(stat.mtime >= stat.ctime, true);
    Ok(())
}

fn cversion(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create(&t.at("/x"), "", 0))?.ok()?;
    let gone = c.ask(&delete(&t.at("/x"), -1))?.ok()?;
    let stat = c.ask(&exists(&t.base, false))?.stat()?;
    is!(
        (stat.cversion, stat.num_children, stat.pzxid),
        (2, 0, gone.zxid)
    );
    Ok(())
}

fn failed_write(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let first = c.ask(&ping())?.zxid;
    let failed = c.ask(&delete(&t.at("/missing"), -1))?;
    is!((failed.err, failed.zxid), (-101, first + 1));
    is!(c.ask(&create(&t.at("/x"), "", 0))?.zxid, first + 2);
    is!(c.ask(&exists(&t.at("/y"), false))?.zxid, first + 2);
    Ok(())
}

fn exists_missing(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    is!(c.ask(&exists(&t.at("/x"), true))?.err, -101);
    let created = c.ask(&create(&t.at("/x"), "", 0))?;
    is!(created.kinds(), vec![(1, t.at("/x"))]);
    is!(created.events[0].zxid, created.zxid);
    Ok(())
}

fn reads_missing(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for request in [
        get(&t.at("/x"), true),
        children(&t.at("/x"), true),
        children2(&t.at("/x"), true),
    ] {
        is!(c.ask(&request)?.err, -101);
    }
    c.ask(&create(&t.at("/x"), "", 0))?.ok()?;
    c.ask(&create(&t.at("/x/y"), "", 0))?.ok()?;
    is!(c.events()?, vec![]);
    Ok(())
}

const U_P: &str = "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=";

fn masked(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let list = |perms| {
        acl(&[
            (perms, "world", "anyone"),
            (31, "digest", U_P),
            (31, "ip", "10.0.0.1"),
        ])
    };
    c.ask(&create_acl(&t.at("/read"), list(1)))?.ok()?;
    c.ask(&create_acl(&t.at("/admin"), list(16)))?.ok()?;
    c.ask(&create_acl(&t.at("/none"), list(2)))?.ok()?;
    let masked = ["anyone", "u:x", "10.0.0.1"].map(String::from).to_vec();
    let plain = ["anyone", U_P, "10.0.0.1"].map(String::from).to_vec();
    is!(c.ask(&get_acl(&t.at("/read")))?.acl_ids()?, masked);
    is!(c.ask(&get_acl(&t.at("/admin")))?.acl_ids()?, plain.clone());
    is!(c.ask(&get_acl(&t.at("/none")))?.err, -102);
    is!(
        t.superuser()?.ask(&get_acl(&t.at("/read")))?.acl_ids()?,
        plain
    );
    Ok(())
}

fn reads_forbidden(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    c.ask(&create_acl(&path, acl(&[(31 - 1, "world", "anyone")])))?
        .ok()?;
    let requests = [
        exists(&path, true),
        get(&path, true),
        children(&path, true),
        children2(&path, true),
        count(&path),
    ];
    for request in requests {
        is!((request.op(), c.ask(&request)?.err), (request.op(), -102));
    }
    // Not even a watch is left behind.
    for kind in 1..6 {
        is!((kind, c.ask(&check_watch(&path, kind))?.err), (kind, -121));
    }
    Ok(())
}

fn ephemeral_prefixes(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create(&t.at("/a"), "", 0))?.ok()?;
    for path in ["/a/e", "/ab", "/b"] {
        c.ask(&create(&t.at(path), "", 1))?.ok()?;
    }
    let paths = |tails: &[&str]| tails.iter().map(|tail| t.at(tail)).collect::<Vec<_>>();
    for prefix in ["", "/", " ", " / "] {
        is!(
            c.ask(&ephemerals(prefix))?.names()?,
            paths(&["/a/e", "/ab", "/b"])
        );
    }
    is!(
        c.ask(&ephemerals(&t.at("/a")))?.names()?,
        paths(&["/a/e", "/ab"])
    );
    is!(c.ask(&ephemerals(&t.at("/b/")))?.names()?, paths(&[]));
    is!(t.client()?.ask(&ephemerals("/"))?.names()?, paths(&[]));
    Ok(())
}

fn sync_any(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let before = c.ask(&ping())?.zxid;
    for text in ["/", "", "any text", "/missing/\0", t.base.as_str()] {
        let answer = c.ask(&sync(text))?.ok()?;
        is!((answer.path()?, answer.zxid), (text.to_string(), before));
    }
    let null = c.ask_raw(1, OpCode::Sync.code(), &(-1i32).to_be_bytes())?;
    is!((null.err, null.body), (0, vec![0xFF; 4]));
    Ok(())
}
