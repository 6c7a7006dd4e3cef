//! 26.3: what ends, wedges or opens a Java server. Only Zooid is asked.

use anyhow::Result;
use zooid_proto::{OpCode, Writer, ops::Request};

use super::client::Client;
use super::requests::*;
use super::{Bench, Check, Group, is};
use crate::item::Req as Frame;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "26.3.1 createTTL without a TTL",
        group: Group::Main,
        run: ttl_without,
    },
    Check {
        name: "26.3.2 limits directly below quota",
        group: Group::Main,
        run: empty_quota,
    },
    Check {
        name: "26.3.3 statistics that are none",
        group: Group::Main,
        run: bad_statistics,
    },
    Check {
        name: "26.3.4 limits that are none",
        group: Group::Quota,
        run: bad_limits,
    },
    Check {
        name: "26.3.5 write that cannot be read",
        group: Group::Main,
        run: unreadable,
    },
    Check {
        name: "26.3.6 deleteContainer from a client",
        group: Group::Main,
        run: delete_container,
    },
    Check {
        name: "26.3.7 createSession from a client",
        group: Group::Main,
        run: create_session,
    },
    Check {
        name: "26.3.8 wrong password",
        group: Group::Main,
        run: wrong_password,
    },
    Check {
        name: "26.3.10 container by flag",
        group: Group::Main,
        run: container_flag,
    },
    Check {
        name: "26.3.12 setACL and what follows in one segment",
        group: Group::Main,
        run: pending_acl,
    },
];

/// Writes, restarts, and writes again: what is logged can be read back.
fn is_alive(t: &mut Bench, tail: &str) -> Result<()> {
    t.client()?.ask(&create(&t.at(tail), "", 0))?.ok()?;
    t.server.crash_and_restart()?;
    is!(t.client()?.ask(&exists(&t.at(tail), false))?.err, 0);
    Ok(())
}

fn ttl_without(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for flags in 0..5 {
        for ttl_ms in [-1, -100, i64::MIN] {
            is!(
                (flags, c.ask(&ttl(&t.at("/x"), flags, ttl_ms))?.err),
                (flags, -8)
            );
        }
    }
    is!(c.ask(&exists(&t.at("/x"), false))?.err, -101);
    is_alive(t, "/alive")
}

fn empty_quota(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = "/zookeeper/quota/zookeeper_limits";
    let err = c.ask(&create(path, "count=1", 0))?.err;
    is!((err, err == 0 || err == -8), (err, true));
    is_alive(t, "/alive")
}

fn bad_statistics(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let quota = format!("/zookeeper/quota{}", t.base);
    c.ask(&create(&quota, "", 0))?.ok()?;
    c.ask(&create(&format!("{quota}/zookeeper_limits"), "count=5", 0))?
        .ok()?;
    c.ask(&create(&format!("{quota}/zookeeper_stats"), "nonsense", 0))?
        .ok()?;
    for text in [
        "nonsense",
        "",
        "count=x",
        "count=99999999999999999999",
        "=",
        "count",
    ] {
        c.ask(&set(&format!("{quota}/zookeeper_stats"), text, -1))?
            .ok()?;
        is!(
            (text, c.ask(&create(&t.at("/x"), "data", 0))?.err),
            (text, 0)
        );
        is!(
            (text, c.ask(&set(&t.at("/x"), "more data", -1))?.err),
            (text, 0)
        );
        is!((text, c.ask(&delete(&t.at("/x"), -1))?.err), (text, 0));
    }
    is_alive(t, "/alive")
}

fn bad_limits(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let quota = format!("/zookeeper/quota{}", t.base);
    c.ask(&create(&quota, "", 0))?.ok()?;
    c.ask(&create(
        &format!("{quota}/zookeeper_stats"),
        "count=0,bytes=0",
        0,
    ))?
    .ok()?;
    c.ask(&create(&format!("{quota}/zookeeper_limits"), "nonsense", 0))?
        .ok()?;
    let err = c.ask(&create(&t.at("/x"), "data", 0))?.err;
    is!((err, err == 0 || err == -5), (err, true));
    Ok(())
}

fn unreadable(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for op in [
        OpCode::Create,
        OpCode::SetData,
        OpCode::Delete,
        OpCode::SetAcl,
        OpCode::Create2,
    ] {
        let before = c.ask(&ping())?.zxid;
        let answer = c.ask_raw(1, op.code(), &[0, 0, 0])?;
        is!((op, answer.err, answer.zxid >= before), (op, -5, true));
        let zxid = c.ask(&set(&t.base, "", -1))?.zxid;
        is!((op, zxid > answer.zxid), (op, true));
    }
    is_alive(t, "/alive")
}

fn delete_container(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let mut owner = t.superuser()?;
    owner
        .ask(&create_acl(&t.at("/p"), acl(&[(1, "world", "anyone")])))?
        .ok()?;
    owner.ask(&container(&t.at("/p/c")))?.ok()?;
    let mut body = Vec::new();
    Writer::wire(&mut body).buf(Some(t.at("/p/c").as_bytes()));
    c.send_raw(1, OpCode::DeleteContainer.code(), &body);
    if let Ok(answer) = c.answer() {
        is!((answer.err, answer.err != 0), (answer.err, true));
    }
    is!(owner.ask(&exists(&t.at("/p/c"), false))?.err, 0);
    Ok(())
}

fn create_session(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let answer = c.ask_raw(1, -10, &30_000i32.to_be_bytes())?;
    is!((answer.zxid, answer.err), (-1, -6));
    c.ends()
}

fn wrong_password(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let refused = Client::attach(t.port(), c.id, &[7; 16], 10_000)?;
    is!((refused.id, refused.timeout_ms), (0, 0));
    is!(c.ask(&exists("/", false))?.err, 0);
    Ok(())
}

fn container_flag(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    is!(c.ask(&create(&t.at("/a"), "", 4))?.err, 0);
    let plain = Request::CreateContainer(body(&t.at("/b"), Some(""), open(), 0));
    is!(c.ask(&plain)?.stat()?.ephemeral_owner, 0);
    let ephemeral = Request::CreateContainer(body(&t.at("/c"), Some(""), open(), 1));
    is!(c.ask(&ephemeral)?.stat()?.ephemeral_owner, 0);
    is_alive(t, "/alive")
}

fn pending_acl(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    c.ask(&create(&path, "", 0))?.ok()?;
    let mut bytes = Vec::new();
    let requests = [
        set_acl(&path, acl(&[(16, "world", "anyone")]), -1),
        create(&t.at("/x/y"), "", 0),
    ];
    for request in &requests {
        Frame::new(1, request).frame(&mut bytes);
        c.expect(request.op());
    }
    c.link.send(&bytes);
    is!((c.answer()?.err, c.answer()?.err), (0, -102));
    Ok(())
}
