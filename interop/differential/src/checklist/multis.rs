//! 29.024, 29.025 and 29.062 to 29.073: multi and multiRead.

use anyhow::Result;
use zooid_proto::{Jute, OpCode, Writer, client::*, records::Stat};

use super::requests::*;
use super::{Bench, Check, Group, is};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "29.024 sequence within a multi",
        group: Group::Main,
        run: sequence,
    },
    Check {
        name: "29.025 sequence behind a failed multi",
        group: Group::Main,
        run: sequence_after_failure,
    },
    Check {
        name: "29.062 multiRead with an unreadable node",
        group: Group::Main,
        run: read_unreadable,
    },
    Check {
        name: "29.063 multiRead does not watch",
        group: Group::Main,
        run: read_watch,
    },
    Check {
        name: "29.064 failed multi",
        group: Group::Main,
        run: failed,
    },
    Check {
        name: "29.065 empty multi",
        group: Group::Main,
        run: empty,
    },
    Check {
        name: "29.066 create and delete in one multi",
        group: Group::Main,
        run: create_delete,
    },
    Check {
        name: "29.067 failed multi fires nothing",
        group: Group::Main,
        run: failed_is_silent,
    },
    Check {
        name: "29.068 multi that works later",
        group: Group::Main,
        run: works_later,
    },
    Check {
        name: "29.069 no trace of a failed multi",
        group: Group::Main,
        run: no_trace,
    },
    Check {
        name: "29.070 create2 in a multi",
        group: Group::Main,
        run: create2_part,
    },
    Check {
        name: "29.071 parts that a multi cannot have",
        group: Group::Main,
        run: bad_parts,
    },
    Check {
        name: "29.073 check without permission",
        group: Group::Main,
        run: check_forbidden,
    },
];

fn path_of(part: &(i32, i32, Vec<u8>)) -> Result<String> {
    Ok(zooid_proto::Reader::new(&part.2)
        .str()?
        .unwrap_or_default()
        .into_owned())
}

fn sequence(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let ops = vec![
        create(&t.at("/s"), "", 2),
        create(&t.at("/s"), "", 3),
        create(&t.at("/s"), "", 2),
    ];
    let parts = c.ask(&multi(ops))?.part_bodies()?;
    for (i, part) in parts.iter().enumerate() {
        is!(path_of(part)?, t.at(&format!("/s{i:010}")));
    }
    is!(parts.len(), 3);
    Ok(())
}

fn sequence_after_failure(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let answers = c.ask_all(&[
        multi(vec![
            create(&t.at("/s"), "", 2),
            delete(&t.at("/missing"), -1),
        ]),
        create(&t.at("/s"), "", 2),
    ])?;
    is!(answers[0].parts()?, vec![(-1, 0), (-1, -101)]);
    is!(answers[1].path()?, t.at("/s0000000000"));
    Ok(())
}

fn read_unreadable(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create(&t.at("/a"), "data", 0))?.ok()?;
    c.ask(&create_acl(&t.at("/b"), acl(&[(30, "world", "anyone")])))?
        .ok()?;
    let paths = [
        t.at("/b"),
        t.at("/a"),
        t.at("/missing"),
        t.base.clone(),
        t.at("/b"),
    ];
    let ops = vec![
        get(&paths[0], false),
        get(&paths[1], false),
        children(&paths[2], false),
        children(&paths[3], false),
        children(&paths[4], false),
    ];
    let answer = c.ask(&multi_read(ops))?;
    is!(answer.err, 0);
    is!(
        answer.parts()?,
        vec![(-1, -102), (4, 0), (-1, -101), (8, 0), (-1, -102)]
    );
    let bodies = answer.part_bodies()?;
    is!(
        GetDataResponse::from_bytes(&bodies[1].2)?.data.as_deref(),
        Some(&b"data"[..])
    );
    is!(bodies[0].2.clone(), (-102i32).to_be_bytes().to_vec());
    Ok(())
}

fn read_watch(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    is!(
        c.ask(&multi_read(vec![
            get(&t.base, true),
            children(&t.base, true)
        ]))?
        .parts()?,
        vec![(4, 0), (8, 0)]
    );
    for kind in 1..4 {
        is!(
            (kind, c.ask(&check_watch(&t.base, kind))?.err),
            (kind, -121)
        );
    }
    Ok(())
}

fn failed(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let before = c.ask(&ping())?.zxid;
    let ops = vec![
        create(&t.at("/x"), "", 0),
        check(&t.at("/missing"), -1),
        set(&t.base, "new", -1),
        create(&t.at("/y"), "", 0),
    ];
    let answer = c.ask(&multi(ops))?;
    is!((answer.err, answer.zxid), (0, before + 1));
    is!(
        answer.parts()?,
        vec![(-1, 0), (-1, -101), (-1, -2), (-1, -2)]
    );
    for (_, err, body) in answer.part_bodies()? {
        is!(body, err.to_be_bytes().to_vec());
    }
    is!(c.ask(&get(&t.base, false))?.text()?, "");
    is!(
        c.ask(&children(&t.base, false))?.names()?,
        Vec::<String>::new()
    );
    Ok(())
}

fn empty(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let before = c.ask(&ping())?.zxid;
    let answer = c.ask(&multi(vec![]))?;
    is!(
        (answer.err, answer.zxid, answer.parts()?),
        (0, before + 1, vec![])
    );
    is!(c.ask(&multi_read(vec![]))?.zxid, before + 1);
    Ok(())
}

fn create_delete(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    c.ask(&children(&t.base, true))?.ok()?;
    c.ask(&exists(&path, true))?;
    let answer = c.ask(&multi(vec![
        create(&path, "", 0),
        set(&path, "y", 0),
        delete(&path, 1),
    ]))?;
    is!(answer.parts()?, vec![(1, 0), (5, 0), (2, 0)]);
    is!(answer.kinds(), vec![(1, path.clone()), (4, t.base.clone())]);
    is!(
        answer.events.iter().all(|event| event.zxid == answer.zxid),
        true
    );
    let stat = c.ask(&exists(&t.base, false))?.stat()?;
    is!(
        (stat.cversion, stat.num_children, stat.pzxid),
        (2, 0, answer.zxid)
    );
    Ok(())
}

fn failed_is_silent(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&children(&t.base, true))?.ok()?;
    c.ask(&get(&t.base, true))?.ok()?;
    c.ask(&add_watch(&t.base, 1))?.ok()?;
    let ops = vec![
        create(&t.at("/x"), "", 0),
        set(&t.base, "x", -1),
        delete(&t.at("/missing"), -1),
    ];
    is!(
        c.ask(&multi(ops))?.parts()?,
        vec![(-1, 0), (-1, 0), (-1, -101)]
    );
    is!(c.events()?, vec![]);
    Ok(())
}

fn works_later(t: &mut Bench) -> Result<()> {
    let (mut c, mut owner) = (t.client()?, t.client()?);
    let (p, x) = (t.at("/p"), t.at("/x"));
    c.ask(&create(&p, "", 0))?.ok()?;
    owner.ask(&create(&t.at("/p/e"), "", 1))?.ok()?;
    let ops = || multi(vec![create(&x, "", 0), delete(&p, -1)]);
    is!(c.ask(&ops())?.parts()?, vec![(-1, 0), (-1, -111)]);
    owner.ask(&close())?.ok()?;
    is!(c.ask(&ops())?.parts()?, vec![(1, 0), (2, 0)]);
    Ok(())
}

fn no_trace(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let answers = c.ask_all(&[
        multi(vec![set(&t.base, "x", -1), delete(&t.base, 57)]),
        set(&t.base, "y", 0),
        multi(vec![set(&t.base, "z", 1), delete(&t.base, 57)]),
        set(&t.base, "z", 1),
    ])?;
    is!(answers[0].parts()?, vec![(-1, 0), (-1, -103)]);
    is!((answers[1].err, answers[3].err), (0, 0));
    is!(c.ask(&exists(&t.base, false))?.stat()?.version, 2);
    Ok(())
}

fn create2_part(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let ops = vec![
        create2(&t.at("/a"), "1", 0),
        container(&t.at("/c")),
        ttl(&t.at("/t"), 5, 1000),
        create(&t.at("/d"), "", 4),
        ttl(&t.at("/p"), 0, -1),
        set(&t.at("/a"), "22", 0),
    ];
    let answer = c.ask(&multi(ops))?;
    is!(
        answer.parts()?,
        vec![(15, 0), (15, 0), (15, 0), (15, 0), (1, 0), (5, 0)]
    );
    let bodies = answer.part_bodies()?;
    let made = Create2Response::from_bytes(&bodies[0].2)?;
    is!(
        (path_of(&bodies[0])?, made.stat.czxid, made.stat.data_length),
        (t.at("/a"), answer.zxid, 1)
    );
    let stat = Stat::from_bytes(&bodies[5].2)?;
    is!(
        (stat.version, stat.data_length, stat.mzxid),
        (1, 2, answer.zxid)
    );
    Ok(())
}

fn bad_parts(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for bad in [
        reconfig(),
        exists(&t.base, false),
        set_acl(&t.base, open(), -1),
        sync("/"),
        get_acl(&t.base),
    ] {
        let mut body = Vec::new();
        let to = &mut Writer::wire(&mut body);
        MultiHeader {
            op: bad.op().code(),
            done: false,
            err: -1,
        }
        .write(to);
        bad.write(to);
        MultiHeader {
            op: -1,
            done: true,
            err: -1,
        }
        .write(to);
        for op in [OpCode::Multi, OpCode::MultiRead] {
            is!(
                (bad.op(), c.ask_raw(1, op.code(), &body)?.err),
                (bad.op(), -5)
            );
        }
    }
    is!(c.ask(&multi(vec![get(&t.base, false)]))?.err, -5);
    is!(
        c.ask(&multi(vec![
            create(&t.at("/x"), "", 0),
            get(&t.base, false)
        ]))?
        .err,
        -5
    );
    let writes = c.ask(&multi_read(vec![create(&t.at("/x"), "", 0)]))?;
    is!((writes.err, writes.parts()?), (-5, vec![]));
    is!(c.ask(&exists(&t.at("/x"), false))?.err, -101);
    Ok(())
}

fn check_forbidden(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create_acl(&t.at("/x"), acl(&[(30, "world", "anyone")])))?
        .ok()?;
    is!(
        c.ask(&multi(vec![check(&t.at("/x"), 0)]))?.parts()?,
        vec![(-1, -102)]
    );
    is!(
        c.ask(&multi(vec![check(&t.base, 0)]))?.parts()?,
        vec![(13, 0)]
    );
    is!(
        c.ask(&multi(vec![check(&t.base, 1)]))?.parts()?,
        vec![(-1, -103)]
    );
    Ok(())
}
