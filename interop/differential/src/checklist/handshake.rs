//! 29.001 to 29.017: handshake and framing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Result, ensure};
use zooid_proto::{OpCode, client::xid};

use super::client::Client;
use super::requests::*;
use super::{Bench, Check, Group, is};
use crate::item::{Hello, Who, password};
use crate::link::{Got, Link};

/// The check that must be the first one on its server, before anything is created.
pub(super) const FRESH: &str = "29.054 the tree of a fresh server";

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: FRESH,
        group: Group::Main,
        run: fresh_tree,
    },
    Check {
        name: "29.001 lengths of handshakes",
        group: Group::Main,
        run: lengths,
    },
    Check {
        name: "29.002 protocol version",
        group: Group::Main,
        run: protocol_version,
    },
    Check {
        name: "29.003 session timeouts",
        group: Group::Main,
        run: timeouts,
    },
    Check {
        name: "29.004 last zxid ahead",
        group: Group::Main,
        run: ahead,
    },
    Check {
        name: "29.005 refused sessions",
        group: Group::Main,
        run: refused,
    },
    Check {
        name: "29.006 re-attach",
        group: Group::Main,
        run: attach,
    },
    Check {
        name: "29.007 closed session",
        group: Group::Main,
        run: closed_session,
    },
    Check {
        name: "29.008 pipelined behind the handshake",
        group: Group::Main,
        run: pipelined,
    },
    Check {
        name: "29.009 create behind a close",
        group: Group::Main,
        run: behind_close,
    },
    Check {
        name: "29.010 connections per address",
        group: Group::Narrow,
        run: per_address,
    },
    Check {
        name: "29.011 longest frame",
        group: Group::Main,
        run: longest,
    },
    Check {
        name: "29.012 unknown operation",
        group: Group::Main,
        run: unknown_operation,
    },
    Check {
        name: "29.013 check outside a multi",
        group: Group::Main,
        run: check_alone,
    },
    Check {
        name: "29.014 create with three bytes",
        group: Group::Main,
        run: short_create,
    },
    Check {
        name: "29.015 xids of replies",
        group: Group::Main,
        run: xids,
    },
    Check {
        name: "29.016 xid at its end",
        group: Group::Main,
        run: last_xid,
    },
    Check {
        name: "29.017 telnet",
        group: Group::Main,
        run: telnet,
    },
];

fn fresh_tree(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let stats = |c: &mut Client| -> Result<_> {
        let root = c.ask(&exists("/", false))?.stat()?;
        let zookeeper = c.ask(&exists("/zookeeper", false))?.stat()?;
        let total = c.ask(&count("/"))?.number()?;
        Ok((
            (root.cversion, root.num_children),
            (zookeeper.cversion, zookeeper.num_children),
            total,
        ))
    };
    is!(stats(&mut c)?, ((-1, 1), (-2, 2), 3));
    let root = c.ask(&exists("/", false))?.stat()?;
    is!(
        (root.czxid, root.mzxid, root.pzxid, root.ctime, root.mtime),
        (0, 0, 0, 0, 0)
    );
    is!(
        (
            root.version,
            root.aversion,
            root.ephemeral_owner,
            root.data_length
        ),
        (0, 0, 0, 0)
    );
    is!(c.ask(&get("/", false))?.data()?, Some(vec![]));
    let config = c.ask(&get("/zookeeper/config", false))?;
    is!(
        (
            config.data()?,
            config.stat()?.version,
            config.stat()?.aversion
        ),
        (Some(vec![]), 0, -1)
    );
    is!(
        c.ask(&get_acl("/zookeeper/config"))?.acl()?,
        acl(&[(1, "world", "anyone")]).unwrap()
    );
    c.ask(&create("/fresh", "", 0))?.ok()?;
    c.ask(&create("/zookeeper/fresh", "", 0))?.ok()?;
    is!(stats(&mut c)?, ((0, 2), (-1, 3), 5));
    for path in ["/fresh", "/zookeeper/fresh"] {
        c.ask(&delete(path, -1))?.ok()?;
    }
    is!(stats(&mut c)?, ((1, 1), (0, 2), 3));
    Ok(())
}

fn lengths(t: &mut Bench) -> Result<()> {
    let mut hello = Hello::plain(Who::New(0), 10_000);
    is!(hello.frame(0, 0, &[0; 16]).len(), 4 + 45);
    is!(
        Client::hello(t.port(), &hello, 0, &[0; 16])?.reply.len(),
        37
    );
    hello.read_only = None;
    is!(hello.frame(0, 0, &[0; 16]).len(), 4 + 44);
    let old = Client::hello(t.port(), &hello, 0, &[0; 16])?;
    is!(old.reply.len(), 36);
    is!((old.timeout_ms, old.password), (10_000, password(old.id)));
    hello.read_only = Some(true);
    let reply = Client::hello(t.port(), &hello, 0, &[0; 16])?.reply;
    is!((reply.len(), reply[36]), (37, 0));
    Ok(())
}

fn protocol_version(t: &mut Bench) -> Result<()> {
    let hello = Hello {
        protocol_version: 7,
        ..Hello::plain(Who::New(0), 10_000)
    };
    is!(
        Client::hello(t.port(), &hello, 0, &[0; 16])?.reply[..4],
        [0; 4]
    );
    Ok(())
}

fn timeouts(t: &mut Bench) -> Result<()> {
    for (asked, wanted) in [
        (1, 4000),
        (3999, 4000),
        (4000, 4000),
        (12_345, 12_345),
        (40_000, 40_000),
        (40_001, 40_000),
        (i32::MAX, 40_000),
        (0, 4000),
        (-5, 4000),
        (i32::MIN, 4000),
    ] {
        let c = Client::new(t.port(), asked)?;
        is!((asked, c.timeout_ms), (asked, wanted));
    }
    Ok(())
}

fn ahead(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let zxid = c.ask(&ping())?.zxid;
    let try_at = |zxid: i64| -> Result<Got> {
        let hello = Hello {
            ahead: Some(0),
            ..Hello::plain(Who::New(0), 10_000)
        };
        let mut link = Link::connect(t.port())?;
        link.send(&hello.frame(zxid, 0, &[0; 16]));
        Ok(link.recv())
    };
    // Each accepted handshake is itself a transaction.
    ensure!(
        matches!(try_at(zxid)?, Got::Frame(_)),
        "the server's own zxid is refused"
    );
    is!(try_at(zxid + 100)?, Got::Closed);
    is!(try_at(i64::MAX)?, Got::Closed);
    Ok(())
}

fn is_refusal(mut c: Client) -> Result<()> {
    is!(
        (c.timeout_ms, c.id, c.password, c.reply.len()),
        (0, 0, [0; 16], 37)
    );
    c.ends()
}

fn refused(t: &mut Bench) -> Result<()> {
    let unknown = 0x0123_4567_89AB_CDEF;
    is_refusal(Client::attach(
        t.port(),
        unknown,
        &password(unknown),
        10_000,
    )?)?;
    is_refusal(Client::attach(t.port(), unknown, &[1; 16], 10_000)?)?;
    let c = t.client()?;
    let (id, mut wrong) = (c.id, c.password);
    drop(c);
    wrong[3] ^= 1;
    is_refusal(Client::attach(t.port(), id, &wrong, 10_000)?)?;
    // The session itself outlives a wrong password.
    is!(Client::attach(t.port(), id, &password(id), 10_000)?.id, id);
    Ok(())
}

fn attach(t: &mut Bench) -> Result<()> {
    let mut first = t.client()?;
    first.ask(&create(&t.at("/e"), "", 1))?.ok()?;
    let mut second = Client::attach(t.port(), first.id, &first.password, 15_000)?;
    is!(
        (second.id, second.password, second.timeout_ms),
        (first.id, first.password, 15_000)
    );
    first.ends()?;
    let stat = second.ask(&exists(&t.at("/e"), false))?.stat()?;
    is!(stat.ephemeral_owner, second.id);
    Ok(())
}

fn closed_session(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&close())?.ok()?;
    c.ends()?;
    is_refusal(Client::attach(t.port(), c.id, &c.password, 10_000)?)
}

fn pipelined(t: &mut Bench) -> Result<()> {
    let mut link = Link::connect(t.port())?;
    let mut bytes = Hello::plain(Who::New(0), 10_000).frame(0, 0, &[0; 16]);
    let requests = [
        auth("digest", "u:p"),
        set_watches(0, &[], &[], &[]),
        exists("/", false),
    ];
    let xids = [xid::AUTH, xid::SET_WATCHES, 1];
    for (request, xid) in requests.iter().zip(xids) {
        crate::item::Req::new(xid, request).frame(&mut bytes);
    }
    link.send(&bytes);
    let mut c = Client::greeted(link)?;
    for (request, xid) in requests.iter().zip(xids) {
        c.expect(request.op());
        let answer = c.answer()?;
        is!((answer.xid, answer.err), (xid, 0));
        is!(answer.zxid == 0, request.op() == OpCode::Auth);
    }
    Ok(())
}

fn behind_close(t: &mut Bench) -> Result<()> {
    let mut link = Link::connect(t.port())?;
    let mut bytes = Hello::plain(Who::New(0), 10_000).frame(0, 0, &[0; 16]);
    for request in [close(), create(&t.at("/never"), "", 1)] {
        crate::item::Req::new(1, &request).frame(&mut bytes);
    }
    link.send(&bytes);
    let mut c = Client::greeted(link)?;
    c.expect(OpCode::CloseSession);
    is!(c.answer()?.err, 0);
    // What comes behind may be an error, but the node never exists.
    let _ = c.link.recv_all();
    is!(t.client()?.ask(&exists(&t.at("/never"), false))?.err, -101);
    Ok(())
}

fn per_address(t: &mut Bench) -> Result<()> {
    // The connection that made the node of this check may still be closing.
    let mut kept = Vec::new();
    super::until("three connections", || {
        kept.clear();
        for _ in 0..3 {
            kept.push(t.client());
        }
        Ok(kept.iter().all(Result::is_ok))
    })?;
    let mut fourth = Link::connect(t.port())?;
    fourth.send(&Hello::plain(Who::New(0), 10_000).frame(0, 0, &[0; 16]));
    is!(fourth.recv(), Got::Closed);
    for c in kept {
        c?.ask(&close())?.ok()?;
    }
    super::until("a free place", || Ok(t.client().is_ok()))
}

fn longest(t: &mut Bench) -> Result<()> {
    const MOST: usize = 0xF_FFFF;
    let mut c = t.client()?;
    let path = t.at("/big");
    let overhead = {
        let mut frame = Vec::new();
        crate::item::Req::new(1, &create(&path, "", 0)).frame(&mut frame);
        frame.len() - 4
    };
    let data = "x".repeat(MOST - overhead);
    is!(c.ask(&create(&path, &data, 0))?.err, 0);
    is!(
        c.ask(&get(&path, false))?.data()?.map(|data| data.len()),
        Some(data.len())
    );
    is!(c.ask(&delete(&path, -1))?.err, 0);
    c.link.send(&((MOST + 1) as i32).to_be_bytes());
    c.ends()?;
    is!(t.client()?.ask(&exists(&path, false))?.err, -101);
    Ok(())
}

fn unknown_operation(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let mut body = Vec::new();
    exists("/", false).write(&mut zooid_proto::Writer::wire(&mut body));
    let answer = c.ask_raw(5, 888, &body)?;
    is!(
        (answer.xid, answer.zxid, answer.err, answer.body.len()),
        (5, -1, -6, 0)
    );
    c.ends()
}

fn check_alone(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let answer = c.ask(&check("/", -1))?;
    is!((answer.zxid, answer.err, answer.body.len()), (-1, -6, 0));
    c.ends()
}

fn short_create(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let answer = c.ask_raw(9, OpCode::Create.code(), &[1, 2, 3])?;
    is!((answer.xid, answer.err, answer.body.len()), (9, -5, 0));
    is!(c.ask(&exists("/", false))?.err, 0);
    Ok(())
}

fn xids(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let mut body = Vec::new();
    exists("/", false).write(&mut zooid_proto::Writer::wire(&mut body));
    for xid in [-77, 0, 5, 5, -4, -8] {
        is!(c.ask_raw(xid, OpCode::Exists.code(), &body)?.xid, xid);
    }
    is!(c.ask_raw(77, OpCode::Ping.code(), &[])?.xid, -2);
    Ok(())
}

fn last_xid(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let mut body = Vec::new();
    set(&t.base, "x", -1).write(&mut zooid_proto::Writer::wire(&mut body));
    for xid in [i32::MAX - 1, i32::MAX, 1, 2, i32::MIN] {
        let answer = c.ask_raw(xid, OpCode::SetData.code(), &body)?;
        is!((answer.xid, answer.err), (xid, 0));
    }
    Ok(())
}

fn telnet(t: &mut Bench) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, t.port()))?;
    stream.set_read_timeout(Some(crate::link::PATIENCE))?;
    stream.write_all(&[0xFF, 0xF4, 0xFF, 0xFD])?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    is!(text, "");
    Ok(())
}
