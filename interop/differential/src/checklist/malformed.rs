//! Section 2: input that no client sends.

use anyhow::Result;
use zooid_proto::{OpCode, Writer, client::SetWatches2, ops::Request};

use super::client::Client;
use super::requests::*;
use super::{Bench, Check, Group, is};
use crate::item::{Hello, Who, framed};
use crate::link::{Got, Link};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "2.01 length below zero or too large",
        group: Group::Main,
        run: lengths,
    },
    Check {
        name: "2.02 words behind a handshake",
        group: Group::Main,
        run: late_words,
    },
    Check {
        name: "2.03 length zero",
        group: Group::Main,
        run: zero,
    },
    Check {
        name: "2.04 less than a header",
        group: Group::Main,
        run: short_header,
    },
    Check {
        name: "2.05 short first frame",
        group: Group::Main,
        run: short_hello,
    },
    Check {
        name: "2.06 first frame without password and flag",
        group: Group::Main,
        run: old_hello,
    },
    Check {
        name: "2.07 first frame with a bad password length",
        group: Group::Main,
        run: bad_password_length,
    },
    Check {
        name: "2.08 first frame with bytes behind it",
        group: Group::Main,
        run: long_hello,
    },
    Check {
        name: "2.09 a second handshake",
        group: Group::Main,
        run: second_hello,
    },
    Check {
        name: "2.10 unknown operations",
        group: Group::Main,
        run: unknown_operations,
    },
    Check {
        name: "2.11 bodies that cannot be read",
        group: Group::Main,
        run: bad_bodies,
    },
    Check {
        name: "2.12 truncated auth and sasl",
        group: Group::Main,
        run: truncated_auth,
    },
    Check {
        name: "2.13 sasl with a null token",
        group: Group::Main,
        run: null_token,
    },
    Check {
        name: "2.14 auth with nulls",
        group: Group::Main,
        run: null_auth,
    },
    Check {
        name: "2.15 bytes behind a body",
        group: Group::Main,
        run: extra_bytes,
    },
    Check {
        name: "2.17 nulls in setWatches2",
        group: Group::Main,
        run: null_watches,
    },
    Check {
        name: "2.16 inner lengths at their limit",
        group: Group::Main,
        run: inner_lengths,
    },
];

const HELLO: Hello = Hello {
    who: Who::New(0),
    protocol_version: 0,
    timeout_ms: 10_000,
    ahead: None,
    read_only: Some(false),
    tail: Vec::new(),
    cut: None,
};

fn first(t: &Bench, bytes: &[u8]) -> Result<Got> {
    let mut link = Link::connect(t.port())?;
    link.send(bytes);
    Ok(link.recv())
}

fn lengths(t: &mut Bench) -> Result<()> {
    for length in [-1, -2, i32::MIN, i32::MAX, 0x10_0000] {
        is!(
            (length, first(t, &length.to_be_bytes())?),
            (length, Got::Closed)
        );
        let mut c = t.client()?;
        c.link.send(&length.to_be_bytes());
        c.ends()?;
    }
    Ok(())
}

fn late_words(t: &mut Bench) -> Result<()> {
    for word in ["ruok", "srvr", "stat"] {
        let mut c = t.client()?;
        c.link.send(word.as_bytes());
        c.ends()?;
    }
    Ok(())
}

fn zero(t: &mut Bench) -> Result<()> {
    is!(first(t, &framed(&[]))?, Got::Closed);
    let mut c = t.client()?;
    c.link.send(&framed(&[]));
    c.ends()
}

fn short_header(t: &mut Bench) -> Result<()> {
    for length in 1..8 {
        let mut c = t.client()?;
        c.link.send(&framed(&vec![0; length]));
        c.ends()?;
    }
    Ok(())
}

fn short_hello(t: &mut Bench) -> Result<()> {
    for cut in [1, 8, 24, 27, 28, 30, 43] {
        let hello = Hello {
            cut: Some(cut),
            ..HELLO
        };
        is!(
            (cut, first(t, &hello.frame(0, 0, &[0; 16]))?),
            (cut, Got::Closed)
        );
    }
    Ok(())
}

fn hello_with_length(length: i32) -> Vec<u8> {
    let hello = Hello {
        cut: Some(24),
        ..HELLO
    };
    let mut content = hello.frame(0, 0, &[0; 16])[4..].to_vec();
    content.extend_from_slice(&length.to_be_bytes());
    framed(&content)
}

fn old_hello(t: &mut Bench) -> Result<()> {
    for length in [0, -1] {
        let mut link = Link::connect(t.port())?;
        link.send(&hello_with_length(length));
        let mut c = Client::greeted(link)?;
        is!((c.reply.len(), c.timeout_ms), (36, 10_000));
        is!(c.ask(&ping())?.err, 0);
    }
    Ok(())
}

fn bad_password_length(t: &mut Bench) -> Result<()> {
    for length in [-2, i32::MIN, 1, 17, 0x20_0000, i32::MAX] {
        is!(
            (length, first(t, &hello_with_length(length))?),
            (length, Got::Closed)
        );
    }
    Ok(())
}

fn long_hello(t: &mut Bench) -> Result<()> {
    let hello = Hello {
        tail: vec![9; 10],
        ..HELLO
    };
    let mut c = Client::hello(t.port(), &hello, 0, &[0; 16])?;
    is!((c.reply.len(), c.ask(&ping())?.err), (37, 0));
    Ok(())
}

fn second_hello(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.link.send(&HELLO.frame(0, 0, &[0; 16]));
    c.expect(OpCode::Ping);
    let answer = c.answer()?;
    is!((answer.xid, answer.zxid, answer.err), (0, -1, -6));
    c.ends()
}

fn unknown_operations(t: &mut Bench) -> Result<()> {
    for op in [
        0,
        10,
        13,
        23,
        50,
        99,
        108,
        888,
        -1,
        -2,
        -9,
        i32::MIN,
        i32::MAX,
    ] {
        let mut c = t.client()?;
        let answer = c.ask_raw(4, op, &[])?;
        is!((op, answer.xid, answer.zxid, answer.err), (op, 4, -1, -6));
        c.ends()?;
    }
    Ok(())
}

fn body_of(request: &Req) -> Vec<u8> {
    let mut body = Vec::new();
    request.write(&mut Writer::wire(&mut body));
    body
}

fn bad_bodies(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    let requests = [
        create(&path, "d", 0),
        create2(&path, "d", 0),
        container(&path),
        ttl(&path, 5, 100),
        delete(&path, -1),
        exists(&path, false),
        get(&path, false),
        set(&path, "d", -1),
        get_acl(&path),
        set_acl(&path, open(), -1),
        children(&path, false),
        children2(&path, false),
        sync(&path),
        ephemerals(&path),
        count(&path),
        add_watch(&path, 0),
        check_watch(&path, 1),
        remove_watch(&path, 1),
        set_watches(0, &["/a"], &[], &[]),
        multi(vec![delete(&path, -1)]),
        multi_read(vec![get(&path, false)]),
    ];
    for request in &requests {
        let (op, body) = (request.op(), body_of(request));
        for cut in [0, 1, 4, body.len() / 2, body.len() - 1] {
            let answer = c.ask_raw(1, op.code(), &body[..cut])?;
            is!((op, cut, answer.err), (op, cut, -5));
        }
        // The path's length is the first field, or follows the header of a part or a zxid.
        let at = match op {
            OpCode::Multi | OpCode::MultiRead => 9,
            OpCode::SetWatches => 12,
            _ => 0,
        };
        for length in [-2i32, i32::MIN, i32::MAX, 0x20_0000] {
            let mut body = body.clone();
            body[at..at + 4].copy_from_slice(&length.to_be_bytes());
            let answer = c.ask_raw(1, op.code(), &body)?;
            is!((op, length, answer.err), (op, length, -5));
        }
        let takes_null = [OpCode::Sync, OpCode::GetEphemerals, OpCode::AddWatch];
        if !takes_null.contains(&op) && !matches!(op, OpCode::CheckWatches | OpCode::RemoveWatches)
        {
            let mut null = body[..at].to_vec();
            null.extend_from_slice(&(-1i32).to_be_bytes());
            let behind = at
                + 4
                + path.len().min(if op == OpCode::SetWatches {
                    2
                } else {
                    usize::MAX
                });
            null.extend_from_slice(&body[behind..]);
            // `PathUtils` of Java refuses null itself; elsewhere null is met too late.
            let wanted = if matches!(op, OpCode::SetData | OpCode::SetAcl) {
                -8
            } else {
                -5
            };
            is!((op, c.ask_raw(1, op.code(), &null)?.err), (op, wanted));
        }
    }
    is!(c.ask(&exists(&path, false))?.err, -101);
    Ok(())
}

fn truncated_auth(t: &mut Bench) -> Result<()> {
    let body = body_of(&auth("digest", "u:p"));
    for cut in [0, 3, 7, 12, body.len() - 1] {
        let mut c = t.client()?;
        c.send_raw(1, OpCode::Auth.code(), &body[..cut]);
        c.ends()?;
    }
    let mut c = t.client()?;
    c.send_raw(1, OpCode::Sasl.code(), &[0, 0, 0, 9, 1]);
    c.ends()
}

fn null_token(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.send_raw(1, OpCode::Sasl.code(), &(-1i32).to_be_bytes());
    c.ends()
}

fn null_auth(t: &mut Bench) -> Result<()> {
    let null = (-1i32).to_be_bytes();
    let digest = [&6i32.to_be_bytes()[..], b"digest"].concat();
    let nonsense = [&3i32.to_be_bytes()[..], b"abc"].concat();
    let data = [&1i32.to_be_bytes()[..], b"x"].concat();
    for (scheme, auth) in [
        (&digest[..], &null[..]),
        (&null, &data),
        (&nonsense, &data),
        (&null, &null),
    ] {
        let mut c = t.client()?;
        let body = [&0i32.to_be_bytes(), scheme, auth].concat();
        let answer = c.ask_raw(-4, OpCode::Auth.code(), &body)?;
        is!(
            (answer.xid, answer.zxid, answer.err, answer.body.len()),
            (-4, 0, -115, 0)
        );
        c.ends()?;
    }
    Ok(())
}

fn extra_bytes(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    for request in [
        create(&t.at("/x"), "d", 0),
        exists("/", false),
        ping(),
        multi(vec![]),
        who_am_i(),
    ] {
        let body = [&body_of(&request)[..], &[1, 2, 3, 4, 5]].concat();
        is!(
            (request.op(), c.ask_raw(1, request.op().code(), &body)?.err),
            (request.op(), 0)
        );
    }
    Ok(())
}

fn null_watches(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let lists = |which: usize, list: zooid_proto::jute::List<zooid_proto::Str<'static>>| {
        let one = |n: usize| {
            if n == which {
                list.clone()
            } else {
                Some(Vec::new())
            }
        };
        Request::SetWatches2(SetWatches2 {
            relative_zxid: 0,
            data: one(0),
            exist: one(1),
            child: one(2),
            persistent: one(3),
            recursive: one(4),
        })
    };
    for (which, element) in [(0, -5), (1, -5), (2, -5), (3, 0), (4, 0)] {
        is!((which, c.ask(&lists(which, None))?.err), (which, -5));
        is!(
            (which, c.ask(&lists(which, Some(vec![None])))?.err),
            (which, element)
        );
    }
    // Entries in front of a null stay registered.
    is!(
        c.ask(&lists(0, Some(vec![Some(t.base.clone().into()), None])))?
            .err,
        -5
    );
    Ok(())
}

fn inner_lengths(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    // A list with a count that lies, and one below null: the latter is an empty list.
    for (count, wanted) in [(i32::MAX, -5), (2, -5), (-2, -114), (-1, -114), (0, -114)] {
        let mut body = body_of(&create_acl(&t.at("/x"), Some(vec![])));
        let at = body.len() - 8;
        body[at..at + 4].copy_from_slice(&i32::to_be_bytes(count));
        is!(
            (count, c.ask_raw(1, OpCode::Create.code(), &body)?.err),
            (count, wanted)
        );
    }
    Ok(())
}
