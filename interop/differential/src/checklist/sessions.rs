//! 29.090 to 29.115: sessions, authentication, ACLs, quotas and the rest.

use std::net::{Ipv6Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;
use zooid_proto::{OpCode, client::xid, ops::Request};

use super::client::Client;
use super::requests::*;
use super::{Bench, Check, Group, is};
use crate::item::{Hello, Who};
use crate::link::Link;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "29.090 expiry",
        group: Group::Quick,
        run: expiry,
    },
    Check {
        name: "29.091 back in time",
        group: Group::Main,
        run: back_in_time,
    },
    Check {
        name: "29.092 sessions survive a restart",
        group: Group::Main,
        run: restart,
    },
    Check {
        name: "29.093 close removes ephemerals first",
        group: Group::Main,
        run: close_first,
    },
    Check {
        name: "29.095 write after expiry",
        group: Group::Quick,
        run: late_write,
    },
    Check {
        name: "29.100 unknown scheme",
        group: Group::Main,
        run: unknown_scheme,
    },
    Check {
        name: "29.101 auth ACL of nobody",
        group: Group::Main,
        run: auth_of_nobody,
    },
    Check {
        name: "29.102 auth ACL with a null id",
        group: Group::Main,
        run: auth_null,
    },
    Check {
        name: "29.103 bad addresses",
        group: Group::Main,
        run: bad_addresses,
    },
    Check {
        name: "29.104 IPv6 client, IPv4 ACL",
        group: Group::Main,
        run: other_family,
    },
    Check {
        name: "29.105 super user",
        group: Group::Main,
        run: super_user,
    },
    Check {
        name: "29.106 enforced authentication",
        group: Group::Enforced,
        run: enforced,
    },
    Check {
        name: "29.107 ACLs that do not count",
        group: Group::Open,
        run: skip_acl,
    },
    Check {
        name: "29.108 hard quota, enforced",
        group: Group::Quota,
        run: quota_enforced,
    },
    Check {
        name: "29.108 hard quota, not enforced",
        group: Group::Main,
        run: quota_not_enforced,
    },
    Check {
        name: "29.109 statistics are counted afresh",
        group: Group::Main,
        run: statistics,
    },
    Check {
        name: "29.110 statistics without version",
        group: Group::Main,
        run: statistics_silent,
    },
    Check {
        name: "29.111 reconfig switched off",
        group: Group::Main,
        run: reconfig_off,
    },
    Check {
        name: "29.114 many ACLs",
        group: Group::Main,
        run: many_acls,
    },
    Check {
        name: "29.115 nothing stale",
        group: Group::Main,
        run: nothing_stale,
    },
];

fn expiry(t: &mut Bench) -> Result<()> {
    let (mut watcher, mut c) = (t.client()?, Client::new(t.port(), 1000)?);
    is!(c.timeout_ms, 1000);
    let path = t.at("/e");
    c.ask(&create(&path, "", 1))?.ok()?;
    watcher.ask(&exists(&path, true))?.ok()?;
    let start = Instant::now();
    c.ask(&ping())?.ok()?;
    c.ends()?;
    let took = start.elapsed();
    // One tick is 200 ms; the rest is for a loaded machine.
    is!(
        (
            took >= Duration::from_millis(990),
            took < Duration::from_secs(4)
        ),
        (true, true)
    );
    is!(watcher.events()?, vec![(2, path.clone())]);
    is!(watcher.ask(&exists(&path, false))?.err, -101);
    let again = Client::attach(t.port(), c.id, &c.password, 1000)?;
    is!((again.id, again.timeout_ms), (0, 0));
    Ok(())
}

fn back_in_time(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create(&t.at("/e"), "", 1))?.ok()?;
    let (id, password) = (c.id, c.password);
    drop(c);
    let mut c = Client::attach(t.port(), id, &password, 30_000)?;
    is!(
        (
            c.id,
            c.ask(&exists(&t.at("/e"), false))?.stat()?.ephemeral_owner
        ),
        (id, id)
    );
    is!(c.ask(&ephemerals(&t.base))?.names()?, vec![t.at("/e")]);
    Ok(())
}

fn restart(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let made = c.ask(&create2(&t.at("/e"), "data", 1))?.ok()?;
    let zxid = made.zxid;
    t.server.crash_and_restart()?;
    let mut c = Client::attach(t.port(), c.id, &c.password, 30_000)?;
    let answer = c.ask(&get(&t.at("/e"), false))?;
    is!(
        (answer.text()?, answer.stat()?),
        ("data".to_string(), made.stat()?)
    );
    is!(answer.zxid >= zxid, true);
    c.ask(&close())?.ok()?;
    is!(t.client()?.ask(&exists(&t.at("/e"), false))?.err, -101);
    Ok(())
}

fn close_first(t: &mut Bench) -> Result<()> {
    let (mut c, mut other) = (t.client()?, t.client()?);
    for i in 0..5 {
        c.ask(&create(&t.at(&format!("/{i}")), "", 1))?.ok()?;
    }
    let before = other.ask(&ping())?.zxid;
    let closed = c.ask(&close())?;
    is!(
        (closed.err, closed.zxid, closed.body.len()),
        (0, before + 1, 0)
    );
    let parent = other.ask(&exists(&t.base, false))?.stat()?;
    is!(
        (parent.num_children, parent.pzxid, parent.cversion),
        (0, before + 1, 10)
    );
    c.ends()
}

fn late_write(t: &mut Bench) -> Result<()> {
    let mut c = Client::new(t.port(), 400)?;
    std::thread::sleep(Duration::from_millis(700));
    // The server may notice the expiry before, while or after the request comes.
    c.send_raw(1, OpCode::Create.code(), &{
        let mut body = Vec::new();
        create(&t.at("/late"), "", 1).write(&mut zooid_proto::Writer::wire(&mut body));
        body
    });
    if let Ok(answer) = c.answer() {
        is!(answer.err, -112);
    }
    is!(t.client()?.ask(&exists(&t.at("/late"), false))?.err, -101);
    Ok(())
}

fn unknown_scheme(t: &mut Bench) -> Result<()> {
    for (scheme, data) in [
        ("nonsense", "x"),
        ("world", "anyone"),
        ("super", "x"),
        ("auth", ""),
        ("sasl", "x"),
    ] {
        let mut c = t.client()?;
        let answer = c.ask(&auth(scheme, data))?;
        is!(
            (scheme, answer.err, answer.zxid, answer.body.len()),
            (scheme, -115, 0, 0)
        );
        c.ends()?;
    }
    Ok(())
}

fn auth_of_nobody(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let list = acl(&[(31, "auth", "")]);
    is!(c.ask(&create_acl(&t.at("/x"), list.clone()))?.err, -114);
    let answer = c.ask(&auth("ip", ""))?;
    is!((answer.err, answer.zxid), (0, 0));
    is!(c.ask(&create_acl(&t.at("/x"), list.clone()))?.err, -114);
    is!(
        c.ask(&who_am_i())?.infos()?,
        vec![("ip".to_string(), "127.0.0.1".to_string())]
    );
    c.ask(&auth("digest", "u:p"))?.ok()?;
    c.ask(&create_acl(&t.at("/x"), list))?.ok()?;
    is!(
        c.ask(&get_acl(&t.at("/x")))?.acl()?,
        acl(&[(31, "digest", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=")]).unwrap()
    );
    let infos = [("digest", "u"), ("ip", "127.0.0.1")].map(|(a, b)| (a.to_string(), b.to_string()));
    is!(c.ask(&who_am_i())?.infos()?, infos.to_vec());
    Ok(())
}

fn auth_null(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let list = Some(vec![entry(31, Some("auth"), None)]);
    is!(c.ask(&create_acl(&t.at("/x"), list.clone()))?.err, -114);
    c.ask(&auth("digest", "u:p"))?.ok()?;
    is!(c.ask(&create_acl(&t.at("/x"), list))?.err, 0);
    for scheme in ["world", "digest", "ip"] {
        let list = Some(vec![entry(31, Some(scheme), None)]);
        is!(
            (scheme, c.ask(&create_acl(&t.at("/y"), list))?.err),
            (scheme, -5)
        );
    }
    Ok(())
}

fn bad_addresses(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let bad = [
        "127.0.0.1/33",
        "10.0.0.1/-1",
        "::1/256",
        "::ffff:1.2.3.4",
        "1.2.3",
        "256.1.1.1",
        "",
        "x",
        "::1/129",
    ];
    for id in bad {
        is!(
            (
                id,
                c.ask(&create_acl(&t.at("/x"), acl(&[(31, "ip", id)])))?.err
            ),
            (id, -114)
        );
    }
    for (i, id) in [
        "127.0.0.1",
        "127.0.0.1/32",
        "10.0.0.0/8",
        "::1",
        "1:2:3:4:5:6:7:8/128",
    ]
    .iter()
    .enumerate()
    {
        let path = t.at(&format!("/{i}"));
        is!(
            (*id, c.ask(&create_acl(&path, acl(&[(31, "ip", id)])))?.err),
            (*id, 0)
        );
    }
    for id in ["a", "a:", "a:b:c", ""] {
        is!(
            (
                id,
                c.ask(&create_acl(&t.at("/x"), acl(&[(31, "digest", id)])))?
                    .err
            ),
            (id, -114)
        );
    }
    for (i, id) in ["a:b", ":b", "a:b:"].iter().enumerate() {
        let path = t.at(&format!("/d{i}"));
        is!(
            (
                *id,
                c.ask(&create_acl(&path, acl(&[(31, "digest", id)])))?.err
            ),
            (*id, 0)
        );
    }
    is!(
        c.ask(&create_acl(&t.at("/x"), acl(&[(31, "world", "other")])))?
            .err,
        -114
    );
    Ok(())
}

fn other_family(t: &mut Bench) -> Result<()> {
    let Ok(stream) = TcpStream::connect((Ipv6Addr::LOCALHOST, t.port())) else {
        println!("   29.104: no connection to ::1, the rest of this check is left out");
        return Ok(());
    };
    let mut link = Link::of(stream)?;
    link.send(&Hello::plain(Who::New(0), 30_000).frame(0, 0, &[0; 16]));
    let mut c = Client::greeted(link)?;
    let mut owner = t.superuser()?;
    owner
        .ask(&create_acl(&t.at("/v4"), acl(&[(31, "ip", "0.0.0.0/8")])))?
        .ok()?;
    owner
        .ask(&create_acl(
            &t.at("/v6"),
            acl(&[(31, "ip", "0:0:0:0:0:0:0:1")]),
        ))?
        .ok()?;
    is!(c.ask(&get(&t.at("/v4"), false))?.err, -102);
    is!(c.ask(&get(&t.at("/v6"), false))?.err, 0);
    is!(
        c.ask(&who_am_i())?.infos()?,
        vec![("ip".to_string(), "0:0:0:0:0:0:0:1".to_string())]
    );
    Ok(())
}

fn super_user(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create_acl(&t.at("/x"), acl(&[(31, "digest", "a:b")])))?
        .ok()?;
    is!(c.ask(&get(&t.at("/x"), false))?.err, -102);
    is!(c.ask(&set("/zookeeper/config", "", -1))?.err, -102);
    c.ask(&auth("digest", crate::allowed::SUPER))?.ok()?;
    is!(c.ask(&get(&t.at("/x"), false))?.err, 0);
    is!(c.ask(&set("/zookeeper/config", "", -1))?.err, 0);
    let infos = [("digest", "super"), ("ip", "127.0.0.1"), ("super", "")];
    is!(
        c.ask(&who_am_i())?.infos()?,
        infos.map(|(a, b)| (a.to_string(), b.to_string())).to_vec()
    );
    Ok(())
}

fn enforced(t: &mut Bench) -> Result<()> {
    for request in [
        exists("/", false),
        ping(),
        create(&t.at("/x"), "", 0),
        close(),
    ] {
        let mut c = t.client()?;
        let answer = c.ask(&request)?;
        is!(
            (request.op(), answer.err, answer.zxid),
            (request.op(), -124, 0)
        );
        c.ends()?;
    }
    let mut c = t.client()?;
    is!(c.ask(&auth("digest", "u:p"))?.err, 0);
    is!(c.ask(&exists("/", false))?.err, 0);
    Ok(())
}

fn skip_acl(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    let list = acl(&[(1, "digest", "a:b")]);
    c.ask(&create_acl(&path, list.clone()))?.ok()?;
    is!(c.ask(&set(&path, "x", -1))?.err, 0);
    is!(c.ask(&create(&t.at("/x/y"), "", 0))?.err, 0);
    is!(c.ask(&get_acl(&path))?.acl()?, list.unwrap());
    is!(c.ask(&set_acl(&path, open(), -1))?.err, 0);
    is!(c.ask(&create_acl(&t.at("/z"), Some(vec![])))?.err, -114);
    Ok(())
}

/// Gives the check's own node a quota.
fn make_quota(t: &Bench, c: &mut Client, limits: &str) -> Result<(String, String)> {
    let quota = format!("/zookeeper/quota{}", t.base);
    let (limit, stats) = (
        format!("{quota}/zookeeper_limits"),
        format!("{quota}/zookeeper_stats"),
    );
    c.ask(&create(&quota, "", 0))?.ok()?;
    c.ask(&create(&limit, limits, 0))?.ok()?;
    c.ask(&create(&stats, "count=0,bytes=0", 0))?.ok()?;
    Ok((limit, stats))
}

fn quota_enforced(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (limit, _) = make_quota(
        t,
        &mut c,
        "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3",
    )?;
    is!(c.ask(&create(&t.at("/a"), "12345", 0))?.err, 0);
    is!(c.ask(&create(&t.at("/b"), "123456", 0))?.err, -125);
    is!(c.ask(&set(&t.at("/a"), "1234567890", 0))?.err, 0);
    is!(c.ask(&set(&t.at("/a"), "12345678901", 57))?.err, -125);
    is!(c.ask(&create(&t.at("/b"), "", 0))?.err, 0);
    is!(c.ask(&create(&t.at("/c"), "", 0))?.err, -125);
    is!(
        c.ask(&multi(vec![create(&t.at("/c"), "", 0)]))?.parts()?,
        vec![(-1, -125)]
    );
    // Limits without `Hard` are only logged.
    c.ask(&set(&limit, "count=1,bytes=1", -1))?.ok()?;
    is!(c.ask(&create(&t.at("/c"), "more than a byte", 0))?.err, 0);
    c.ask(&set(&limit, "count=-1,bytes=-1=;countHardLimit=4", -1))?
        .ok()?;
    is!(c.ask(&create(&t.at("/d"), "", 0))?.err, -125);
    c.ask(&delete(&limit, -1))?.ok()?;
    is!(c.ask(&create(&t.at("/d"), "", 0))?.err, 0);
    Ok(())
}

fn quota_not_enforced(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (_, stats) = make_quota(
        t,
        &mut c,
        "count=1,bytes=1=;byteHardLimit=1;countHardLimit=1",
    )?;
    is!(c.ask(&create(&t.at("/a"), "12345", 0))?.err, 0);
    is!(c.ask(&get(&stats, false))?.text()?, "count=2,bytes=5");
    Ok(())
}

fn statistics(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    c.ask(&create(&t.at("/a"), "12345", 0))?.ok()?;
    c.ask(&create(&t.at("/a/b"), "123", 0))?.ok()?;
    let (_, stats) = make_quota(t, &mut c, "count=100,bytes=100")?;
    is!(c.ask(&get(&stats, false))?.text()?, "count=3,bytes=8");
    Ok(())
}

fn statistics_silent(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let (_, stats) = make_quota(t, &mut c, "count=100,bytes=100")?;
    let before = c.ask(&get(&stats, true))?;
    for i in 0..12 {
        c.ask(&create(&t.at(&format!("/{i}")), "1", 0))?.ok()?;
    }
    c.ask(&set(&t.at("/0"), "12345", -1))?.ok()?;
    c.ask(&delete(&t.at("/1"), -1))?.ok()?;
    is!(c.events()?, vec![]);
    let after = c.ask(&get(&stats, false))?;
    is!(after.text()?, "count=12,bytes=15");
    let (before, after) = (before.stat()?, after.stat()?);
    is!(
        (after.version, after.mzxid, after.mtime),
        (before.version, before.mzxid, before.mtime)
    );
    is!((before.data_length, after.data_length), (15, 17));
    Ok(())
}

fn reconfig_off(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let before = c.ask(&ping())?.zxid;
    let answer = c.ask(&reconfig())?;
    is!((answer.err, answer.zxid), (-123, before + 1));
    is!(c.ask_raw(1, OpCode::Reconfig.code(), &[1])?.err, -5);
    Ok(())
}

fn many_acls(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let name = |i: usize| -> &'static str { Box::leak(format!("user{i}:x").into_boxed_str()) };
    let list = |i: usize| {
        acl(&[
            (31, "world", "anyone"),
            (31, "digest", name(if i < 100 { 0 } else { i })),
        ])
    };
    let requests: Vec<_> = (0..200)
        .map(|i| create_acl(&t.at(&format!("/{i}")), list(i)))
        .collect();
    is!(
        c.ask_all(&requests)?
            .iter()
            .filter(|answer| answer.err != 0)
            .count(),
        0
    );
    for i in [0, 1, 99, 100, 150, 199] {
        is!(
            c.ask(&get_acl(&t.at(&format!("/{i}"))))?.acl()?,
            list(i).unwrap()
        );
    }
    Ok(())
}

fn nothing_stale(t: &mut Bench) -> Result<()> {
    let mut c = t.client()?;
    let path = t.at("/x");
    c.ask(&create(&path, "1", 0))?.ok()?;
    for _ in 0..2 {
        let first = c.ask(&get(&path, false))?;
        is!(c.ask(&get(&path, false))?.body, first.body);
        let (list, again) = (
            c.ask(&children2(&path, false))?,
            c.ask(&children2(&path, false))?,
        );
        is!(list.body, again.body);
        c.ask(&set(&path, "2", -1))?.ok()?;
        is!(c.ask(&get(&path, false))?.text()?, "2");
        c.ask(&create(&t.at("/x/s"), "", 2))?.ok()?;
        is!(
            c.ask(&children2(&path, false))?.stat()?.version,
            c.ask(&get(&path, false))?.stat()?.version
        );
        is!(
            c.ask(&children2(&path, false))?.stat()?.num_children > list.stat()?.num_children,
            true
        );
    }
    // The request that a client sends first in each connection, with its usual xid.
    let mut body = Vec::new();
    let request: Request<'_> = set_watches(0, &[], &[], &[]);
    request.write(&mut zooid_proto::Writer::wire(&mut body));
    is!(
        c.ask_raw(xid::SET_WATCHES, OpCode::SetWatches.code(), &body)?
            .xid,
        xid::SET_WATCHES
    );
    Ok(())
}
