//! Writes the first inputs of the kept corpus, `fuzz/corpus/<target>/seed-*`:
//! `cargo run --manifest-path fuzz/Cargo.toml --example corpus`.
//!
//! What Apache ZooKeeper wrote comes from `testdata`, requests from a list of all kinds. What else
//! is in the corpus was found by runs of `cargo xtask fuzz --for TIME` and chosen by
//! libFuzzer's `-merge=1`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use zooid_fuzz::files;
use zooid_node::sessions::password;
use zooid_proto::client::*;
use zooid_proto::ops::Request;
use zooid_proto::records::{Acl, perms};
use zooid_proto::{Jute, Writer};
use zooid_store::snapshot::Compression;

/// Longest input that is kept, bytes.
const LONGEST: usize = 8 << 10;

fn main() {
    frames();
    handshakes();
    logs();
    snapshots();
    configs();
    texts();
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn put(target: &str, name: &str, input: &[u8]) {
    assert!(input.len() <= LONGEST, "{target} {name}: {}", input.len());
    let dir = root().join("corpus").join(target);
    fs::create_dir_all(&dir).expect("the folder can be made");
    fs::write(dir.join(format!("seed-{name}")), input).expect("the file can be written");
}

/// Pieces for `Server::drive`.
#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    fn piece(mut self, kind: u8, which: u8, bytes: &[u8]) -> Script {
        let len = u16::try_from(bytes.len()).expect("a short piece");
        self.0.push(which << 4 | kind);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn ask(self, which: u8, request: &Request<'_>) -> Script {
        self.piece(0, which, &body(request))
    }

    fn send(self, which: u8, request: &Request<'_>) -> Script {
        self.piece(1, which, &body(request))
    }

    fn event(mut self, kind: u8, which: u8) -> Script {
        self.0.push(which << 4 | kind);
        self
    }

    fn tick(mut self, tenths: u8) -> Script {
        self.0.extend([5, tenths]);
        self
    }
}

fn body(request: &Request<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut to = Writer::wire(&mut body);
    RequestHeader {
        xid: 7,
        op: request.op().code(),
    }
    .write(&mut to);
    request.write(&mut to);
    body
}

fn open_acl() -> Option<Vec<Acl<'static>>> {
    Some(vec![Acl::new(perms::ALL, "world", "anyone")])
}

fn create(path: &'static str, flags: i32) -> CreateRequest<'static> {
    CreateRequest {
        path: Some(path.into()),
        data: Some(b"data"[..].into()),
        acl: open_acl(),
        flags,
    }
}

fn path(text: &'static str) -> Option<std::borrow::Cow<'static, str>> {
    Some(text.into())
}

fn requests() -> Vec<(&'static str, Request<'static>)> {
    let (watch, data) = (true, Some(b"other"[..].into()));
    let watches = || Some(vec![path("/a"), path("/b")]);
    vec![
        ("create", Request::Create(create("/a", 0))),
        ("create2", Request::Create2(create("/a/b", 2))),
        ("ephemeral", Request::Create(create("/e", 1))),
        ("sequential", Request::Create(create("/e", 3))),
        ("container", Request::CreateContainer(create("/c", 4))),
        (
            "ttl",
            Request::CreateTtl(CreateTtlRequest {
                path: path("/t"),
                data: None,
                acl: open_acl(),
                flags: 5,
                ttl_ms: 1000,
            }),
        ),
        (
            "exists",
            Request::Exists(ExistsRequest {
                path: path("/b"),
                watch,
            }),
        ),
        (
            "getdata",
            Request::GetData(GetDataRequest {
                path: path("/a"),
                watch,
            }),
        ),
        (
            "setdata",
            Request::SetData(SetDataRequest {
                path: path("/a"),
                data,
                version: 0,
            }),
        ),
        (
            "getacl",
            Request::GetAcl(GetAclRequest { path: path("/a") }),
        ),
        (
            "setacl",
            Request::SetAcl(SetAclRequest {
                path: path("/a"),
                acl: Some(vec![
                    Acl::new(perms::ALL, "auth", ""),
                    Acl::new(perms::READ, "ip", "127.0.0.0/8"),
                ]),
                version: -1,
            }),
        ),
        (
            "children",
            Request::GetChildren(GetChildrenRequest {
                path: path("/"),
                watch,
            }),
        ),
        (
            "children2",
            Request::GetChildren2(GetChildren2Request {
                path: path("/a"),
                watch,
            }),
        ),
        ("sync", Request::Sync(SyncRequest { path: path("/") })),
        ("ping", Request::Ping(Empty {})),
        (
            "multi",
            Request::Multi(MultiRequest {
                ops: vec![
                    MultiOp::Create(create("/m", 0)),
                    MultiOp::Create2(create("/m/s", 2)),
                    MultiOp::Check(CheckVersionRequest {
                        path: path("/m"),
                        version: 0,
                    }),
                    MultiOp::SetData(SetDataRequest {
                        path: path("/m"),
                        data: None,
                        version: 0,
                    }),
                    MultiOp::Delete(DeleteRequest {
                        path: path("/a"),
                        version: -1,
                    }),
                ],
            }),
        ),
        (
            "multiread",
            Request::MultiRead(MultiRequest {
                ops: vec![
                    MultiOp::GetData(GetDataRequest {
                        path: path("/m"),
                        watch: false,
                    }),
                    MultiOp::GetChildren(GetChildrenRequest {
                        path: path("/"),
                        watch: false,
                    }),
                ],
            }),
        ),
        (
            "addwatch",
            Request::AddWatch(AddWatchRequest {
                path: path("/"),
                mode: 1,
            }),
        ),
        (
            "setwatches",
            Request::SetWatches(SetWatches {
                relative_zxid: 1,
                data: watches(),
                exist: watches(),
                child: watches(),
            }),
        ),
        (
            "setwatches2",
            Request::SetWatches2(SetWatches2 {
                relative_zxid: 1,
                data: watches(),
                exist: watches(),
                child: watches(),
                persistent: watches(),
                recursive: watches(),
            }),
        ),
        (
            "checkwatches",
            Request::CheckWatches(CheckWatchesRequest {
                path: path("/a"),
                kind: 2,
            }),
        ),
        (
            "removewatches",
            Request::RemoveWatches(RemoveWatchesRequest {
                path: path("/a"),
                kind: 3,
            }),
        ),
        (
            "auth",
            Request::Auth(AuthPacket {
                kind: 0,
                scheme: path("digest"),
                auth: Some(b"super:x"[..].into()),
            }),
        ),
        (
            "sasl",
            Request::Sasl(SaslRequest {
                token: Some(b"x"[..].into()),
            }),
        ),
        (
            "ephemerals",
            Request::GetEphemerals(GetEphemeralsRequest { prefix: path("/") }),
        ),
        (
            "number",
            Request::GetAllChildrenNumber(GetAllChildrenNumberRequest { path: path("/") }),
        ),
        ("whoami", Request::WhoAmI(Empty {})),
        (
            "delete",
            Request::Delete(DeleteRequest {
                path: path("/a"),
                version: 1,
            }),
        ),
        (
            "deletecontainer",
            Request::DeleteContainer(DeleteContainerRequest {
                path: Some(b"/c"[..].into()),
            }),
        ),
        (
            "reconfig",
            Request::Reconfig(ReconfigRequest {
                joining: path("server.1=h:1:2"),
                leaving: None,
                members: None,
                config_id: -1,
            }),
        ),
        ("close", Request::CloseSession(Empty {})),
    ]
}

fn frames() {
    let all = requests();
    for (name, request) in &all {
        let script = Script(vec![0]).ask(0, &Request::Create(create("/a", 0)));
        put("frames", name, &script.ask(0, request).0);
    }
    // All, one by one, and in a pipeline while others ask, too.
    for (name, settings) in [
        ("all", 0),
        ("all-quota", 0b0100_0010),
        ("all-old", 0b0011_1001),
    ] {
        let script = all
            .iter()
            .fold(Script(vec![settings]), |script, (_, r)| script.ask(0, r));
        put("frames", name, &script.tick(20).0);
    }
    let mut script = Script(vec![0]);
    for (at, (_, request)) in all.iter().enumerate() {
        script = script.send(at as u8 % 3, request);
    }
    put(
        "frames",
        "pipeline",
        &script.event(4, 0).event(7, 0).event(6, 1).tick(200).0,
    );

    let whole = body(&all[0].1);
    let framed = [&(whole.len() as u32).to_be_bytes()[..], &whole].concat();
    let script = Script(vec![0]);
    let script = script
        .piece(3, 0, &framed[..3])
        .piece(3, 1, &framed)
        .piece(2, 0, &framed[3..]);
    put(
        "frames",
        "cut",
        &script.piece(2, 0, b"\x7f\xff\xff\xff1234").0,
    );

    let limit = |path: &'static str, text: &'static [u8]| {
        let data = Some(text.into());
        Request::Create(CreateRequest {
            data,
            ..create(path, 0)
        })
    };
    let script = Script(vec![2])
        .ask(0, &Request::Create(create("/a", 0)))
        .ask(0, &limit("/zookeeper/quota/a", b""))
        .ask(
            0,
            &limit(
                "/zookeeper/quota/a/zookeeper_limits",
                b"count=2,bytes=20=;byteHardLimit=8",
            ),
        )
        .ask(
            0,
            &limit("/zookeeper/quota/a/zookeeper_stats", b"count=1,bytes=4"),
        )
        .ask(0, &Request::Create(create("/a/b", 0)))
        .ask(0, &Request::Create(create("/a/c", 0)));
    put("frames", "quota", &script.0);
}

fn handshakes() {
    let greet = |bytes: &[u8]| {
        let len = u16::try_from(bytes.len()).expect("a short piece");
        [&[0], &len.to_be_bytes()[..], bytes].concat()
    };
    for word in zooid_node::conn::FOUR_LETTER_WORDS {
        let name = String::from_utf8_lossy(word).replace('\u{fffd}', "x");
        if name.is_ascii() && ["ruok", "mntr", "stat"].contains(&&*name) {
            put("handshake", &name, &greet(word));
        }
    }
    put(
        "handshake",
        "telnet",
        &greet(&zooid_node::conn::TELNET_CLOSE),
    );
    // The first session of a server that knows no time but the input's.
    let first = first_session();
    for (name, session_id, read_only, seen) in [
        ("new", 0, Some(true), 0),
        ("old", 0, None, 0),
        ("ahead", 0, Some(false), i64::MAX),
        ("attach", first, Some(false), 0),
        ("wrong", 77, Some(false), 0),
    ] {
        let mut frame = vec![0; 4];
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: seen,
            timeout_ms: 6000,
            session_id,
            password: Some(password(session_id).to_vec().into()),
            read_only,
        }
        .write(&mut Writer::wire(&mut frame));
        let len = u32::try_from(frame.len() - 4).expect("a short frame");
        frame[..4].copy_from_slice(&len.to_be_bytes());
        put("handshake", name, &greet(&frame));
        frame.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 11]);
        put("handshake", &format!("{name}-ping"), &greet(&frame));
    }
    put("handshake", "length", &greet(b"\x7f\xff\xff\xff"));
    put("handshake", "http", &greet(b"GET / HTTP/1.1\r\n\r\n"));
}

fn first_session() -> i64 {
    zooid_fuzz::node::Server::first_session()
}

fn fixture(name: &str) -> Vec<u8> {
    let path = root().join("../testdata/java-3.9.5").join(name);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if Path::new(name).extension().is_some_and(|e| e == "gz") && name.contains("log.") {
        let mut log = Vec::new();
        let read = flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut log);
        read.expect("a gzip file");
        return log;
    }
    bytes
}

/// Without padding but for a little.
fn trimmed(mut log: Vec<u8>, keep: usize) -> Vec<u8> {
    let end = log
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    log.truncate((end + 20).min(keep));
    log
}

fn logs() {
    for (name, file) in [
        ("all", "standalone-all/data/version-2/log.1"),
        ("legacy", "legacy-no-digest/data/version-2/log.1"),
        ("torn", "torn-tail-truncated/data/version-2/log.1"),
        ("padded", "torn-tail-padded/data/version-2/log.1"),
        ("sector", "corrupt-torn-sector/data/version-2/log.1"),
        ("crc", "corrupt-crc-middle/data/version-2/log.1"),
    ] {
        let log = trimmed(fixture(file), LONGEST - 3);
        // As it is, and with its checksums mended.
        for mode in [0b101, 0] {
            put(
                "log",
                &format!("{name}-{mode}"),
                &[&[mode, 0, 0], &log[..]].concat(),
            );
        }
    }
    let two = [
        trimmed(fixture("rolled-logs/data/version-2/log.1"), LONGEST),
        trimmed(fixture("rolled-logs/data/version-2/log.17"), LONGEST),
    ];
    let cut = u16::try_from(two[0].len())
        .expect("a short log")
        .to_be_bytes();
    let mut input = [&[0b110], &cut[..], &two.concat()].concat();
    input.truncate(LONGEST);
    put("log", "two", &input);
}

fn snapshots() {
    let mut contents = Vec::new();
    for (name, file, compression) in [
        (
            "all",
            "standalone-snapshot/data/version-2/snapshot.38",
            Compression::Plain,
        ),
        (
            "empty",
            "standalone-all/data/version-2/snapshot.0",
            Compression::Plain,
        ),
        (
            "legacy",
            "legacy-no-digest/data/version-2/snapshot.34",
            Compression::Plain,
        ),
        (
            "lastzxid",
            "digest-off-lastzxid-on/data/version-2/snapshot.c",
            Compression::Plain,
        ),
        (
            "java-gz",
            "standalone-gz/data/version-2/snapshot.38.gz",
            Compression::Gz,
        ),
        (
            "java-snappy",
            "standalone-snappy/data/version-2/snapshot.38.snappy",
            Compression::Snappy,
        ),
    ] {
        let file = fixture(file);
        if compression != Compression::Plain {
            raw(compression, name, &file);
        }
        contents.push((name, files::content(compression, &file)));
    }
    for compression in [Compression::Plain, Compression::Gz, Compression::Snappy] {
        for (name, content) in &contents {
            put(target(compression), name, &[&[0], &content[..]].concat());
        }
        let small = &contents[1].1;
        raw(compression, "file", &files::compress(compression, small));
    }
}

fn target(compression: Compression) -> &'static str {
    match compression {
        Compression::Plain => "snapshot_plain",
        Compression::Gz => "snapshot_gz",
        Compression::Snappy => "snapshot_snappy",
    }
}

/// The target puts the header there.
fn raw(compression: Compression, name: &str, file: &[u8]) {
    let body = &file[files::header(compression).len()..];
    put(
        target(compression),
        &format!("{name}-raw"),
        &[&[1], body].concat(),
    );
}

fn configs() {
    for name in [
        "ensemble/s1/zoo.cfg",
        "split-dirs/zoo.cfg",
        "standalone-gz/zoo.cfg",
    ] {
        let short = name.split('/').next().unwrap_or_default();
        put("config", short, &fixture(name));
    }
    // Every key, with its default where it has one.
    let mut text = String::from("dataDir=/none\nclientPort=2181\n");
    for (at, spec) in zooid_config::KEYS.iter().enumerate() {
        let value = if spec.default.is_empty() {
            "1"
        } else {
            spec.default
        };
        text += &format!("{}={value}\n", spec.name);
        if text.len() > 1500 || at + 1 == zooid_config::KEYS.len() {
            put("config", &format!("keys-{at}"), text.as_bytes());
            text.truncate(31);
        }
    }
    let members = "tickTime=2000\ndataDir=/none\nclientPort=2181\ninitLimit=5\nsyncLimit=2\n\
        server.1=h:2888:3888:participant;0.0.0.0:2181\nserver.2=[::1]:2888:3888:observer;2181\n\
        server.3=h:2888:3888|i:2888:3888\ngroup.1=1:2\nweight.1=3\n";
    put("config", "members", members.as_bytes());
    let text =
        "! comment\n# comment\n key \\\n  = \\u0064ata\\tx\\\n y\nk:v\nk v\r\ndataDir=/none\\u00";
    put("config", "escapes", text.as_bytes());
    put(
        "config",
        "flags",
        b"dataDir=/none\nclientPort=1\n\0-Dzookeeper.snapCount=7 -Xmx1g -Djute.maxbuffer=0x10",
    );
}

fn texts() {
    for (name, text) in [
        ("new", "count=3,bytes=100"),
        ("old", "count=-1,bytes=-1"),
        (
            "hard",
            "count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=9223372036854775807",
        ),
        ("odd", "count=,,;bytes=+1;=2=,"),
    ] {
        put("quota", name, text.as_bytes());
    }
    for (name, text) in [
        ("node", "/zookeeper/quota/a b"),
        ("dots", "/a/./b/../..c"),
        ("slashes", "//a/"),
        ("unicode", "/\u{e4}\u{20ac}\u{fff0}\u{1f600}\u{7f}\u{0}"),
    ] {
        put("path", name, text.as_bytes());
    }
    for (name, mode, text) in [
        ("text", 0u8, "world:anyone:cdrwa,digest:bob:x=:r,ip:::1:w"),
        ("auth", 0x40, "auth::cdrwa"),
        ("digest", 0x42, "digest:super:x"),
        ("sha512", 0x32, "digest:super:x"),
        ("ip4", 0x46, "ip:127.0.0.1/8"),
        ("ip6", 0x42, "ip:::ffff:7f00:1"),
        ("ip6-net", 0x42, "ip:fe80::1%lo/64"),
    ] {
        put("acl", name, &[&[mode], text.as_bytes()].concat());
    }
    let mut list = vec![1];
    let mut to = Writer::wire(&mut list);
    Some(vec![
        Acl::new(perms::ALL, "world", "anyone"),
        Acl::new(perms::READ, "ip", "10.0.0.0/8"),
        Acl::new(perms::WRITE, "digest", "a:b"),
    ])
    .write(&mut to);
    put("acl", "list", &list);
}
