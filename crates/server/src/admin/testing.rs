//! The commands against a server without sockets.

use crate::admin::commands::COMMANDS;
use crate::admin::fourletter::answer;
use crate::clock::Clock;
use crate::disk::DiskStats;
use crate::settings;
use crate::snapshots::Snapshots;
use crate::state::Server;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc::unbounded_channel;
use zooid_config::Config;
use zooid_node::conn::FOUR_LETTER_WORDS;
use zooid_node::{Link, Now, Shared, Wake};
use zooid_proto::OpCode;
use zooid_store::snapshot::Compression;
use zooid_store::{DataDirs, OsFiles};
use zooid_tree::{Mode, Tree, TreeOptions};

const VERSION: &str = "Zookeeper version: 3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, \
                       built on 2026-02-11 20:18 UTC\n";

struct Nobody;
impl Wake for Nobody {
    fn wake(&self) {}
}

/// A server with an empty tree. `words` is its whitelist, `*` for all.
fn server(words: &[&str]) -> Arc<Server> {
    server_in(words, Path::new("missing"))
}

fn server_in(words: &[&str], dir: &Path) -> Arc<Server> {
    let mut config = Config::default_standalone();
    config.four_letter_words.all = words == ["*"];
    config.four_letter_words.words = words.iter().map(|word| word.to_string()).collect();
    let clock = Clock::start();
    let started = Now {
        mono_ms: 0,
        ..clock.now()
    };
    let tree = Tree::new(TreeOptions::default());
    let shared = Arc::new(Shared::new(settings::of(&config), tree, started));
    let dirs = DataDirs::new(dir, None);
    let snapshots = Snapshots::new(
        shared.clone(),
        Arc::new(OsFiles),
        dirs.clone(),
        Compression::Plain,
        true,
    );
    Arc::new(Server {
        config,
        shared,
        clock,
        started,
        dirs,
        client_address: parking_lot::RwLock::new("127.0.0.1:2181".parse().unwrap()),
        core: unbounded_channel().0,
        disk: Arc::new(DiskStats::default()),
        snapshots: Arc::new(snapshots),
        ensemble: None,
    })
}

fn connect(server: &Server, port: u16) -> Arc<Link> {
    let shared = &server.shared;
    let peer = ([127, 0, 0, 1], port).into();
    let link = Arc::new(Link::new(
        shared.next_conn(),
        peer,
        1_795_238_425_736,
        Box::new(Nobody),
    ));
    shared.links.write().insert(link.id, link.clone());
    link
}

fn connect_with_session(server: &Server, port: u16, session: i64) -> Arc<Link> {
    let link = connect(server, port);
    link.counters.session.store(session, Ordering::Relaxed);
    link.counters.timeout_ms.store(10_000, Ordering::Relaxed);
    link
}

/// The answer that a new connection from port 9 gets.
fn ask(server: &Arc<Server>, word: &str) -> String {
    let link = connect(server, 9);
    let answer = answer(
        server,
        &link,
        word.as_bytes().try_into().unwrap(),
        b"\r\nmore",
    );
    server.shared.links.write().remove(&link.id);
    String::from_utf8(answer).unwrap()
}

#[test]
fn the_table_has_every_word_that_is_recognised() {
    let words: Vec<_> = COMMANDS
        .iter()
        .map(|command| command.word.as_bytes())
        .collect();
    assert!(words.is_sorted());
    let recognised = FOUR_LETTER_WORDS.iter().map(|word| &word[..]);
    assert!(recognised.take(words.len()).eq(words.iter().copied()));
    assert_eq!(FOUR_LETTER_WORDS.len(), words.len() + 1);
}

#[test]
fn words_that_are_not_in_the_list_say_so() {
    let server = server(&["srvr", "ruok"]);
    assert_eq!(ask(&server, "ruok"), "imok");
    assert_eq!(
        ask(&server, "mntr"),
        "mntr is not executed because it is not in the whitelist.\n"
    );
}

#[test]
fn the_end_of_a_telnet_is_refused_or_not_answered() {
    let refusing = server(&["srvr"]);
    let link = connect(&refusing, 9);
    assert_eq!(
        answer(&refusing, &link, [0xFF, 0xF4, 0xFF, 0xFD], b""),
        b"telnet close is not executed because it is not in the whitelist.\n"
    );
    let open = server(&["*"]);
    let link = connect(&open, 9);
    assert!(answer(&open, &link, [0xFF, 0xF4, 0xFF, 0xFD], b"").is_empty());
}

#[test]
fn a_server_that_does_not_serve_says_so_where_java_does() {
    let server = server(&["*"]);
    server.shared.stop_serving();
    let not = "This ZooKeeper instance is not currently serving requests";
    for command in COMMANDS {
        let answer = ask(&server, command.word);
        match command.word {
            "ruok" => assert_eq!(answer, "imok"),
            "isro" => assert_eq!(answer, "null"),
            "hash" => assert_eq!(answer, not),
            "gtmk" | "stmk" | "envi" => assert!(!answer.contains(not), "{answer}"),
            _ => assert_eq!(answer, format!("{not}\n"), "{}", command.word),
        }
    }
}

#[test]
fn srvr_tells_its_maker_to_those_who_ask_for_it() {
    let server = server(&["srvr"]);
    let link = connect(&server, 9);
    let own = answer(&server, &link, *b"srvr", b" zooid\n");
    let own = String::from_utf8(own).unwrap();
    let last = format!("Zooid version: {}\n", crate::VERSION);
    assert!(own.starts_with(VERSION) && own.ends_with(&last), "{own}");
    assert!(!ask(&server, "srvr").contains("Zooid"));
}

#[test]
fn srvr_shows_counters_in_java_notation() {
    let server = server(&["*"]);
    for latency_ms in [4, 5, 5] {
        server.shared.stats.latency(1, latency_ms, 1);
    }
    server.shared.stats.received(1, 78, 780);
    server.shared.stats.sent(1, 97);
    let body = "Latency min/avg/max: 4/4.6667/5\nReceived: 79\nSent: 97\nConnections: 1\n\
                Outstanding: 0\nZxid: 0x0\nMode: standalone\nNode count: 5\n";
    assert_eq!(ask(&server, "srvr"), format!("{VERSION}{body}"));
    let stat = ask(&server, "stat");
    let clients = "Clients:\n /127.0.0.1:9[0](queued=0,recved=1,sent=0)\n\n";
    let body = body
        .replace("Received: 79", "Received: 80")
        .replace("Sent: 97", "Sent: 98");
    assert_eq!(stat, format!("{VERSION}{clients}{body}"));
    assert_eq!(ask(&server, "srst"), "Server stats reset.\n");
    assert!(ask(&server, "srvr").contains("0/0.0/0\nReceived: 1\nSent: 1\n"));
}

#[test]
fn cons_shows_a_connection_with_all_its_fields() {
    let server = server(&["*"]);
    let link = connect_with_session(&server, 52166, 0x0300_001e_725f_0000);
    let fresh = " /127.0.0.1:52166[1](queued=0,recved=0,sent=0,sid=0x300001e725f0000,lop=null,\
                 est=1795238425736,to=10000,lcxid=0x0,lzxid=0x0,lresp=0,llat=0,minlat=0,avglat=0,\
                 maxlat=0)\n /127.0.0.1:9[0](queued=0,recved=1,sent=0)\n\n";
    assert_eq!(ask(&server, "cons"), fresh);
    let c = &link.counters;
    c.last_op
        .store(OpCode::GetChildren2.code(), Ordering::Relaxed);
    c.last_xid.store(0x43, Ordering::Relaxed);
    c.last_zxid.store(0x2_0000_0016, Ordering::Relaxed);
    c.last_reply_ms.store(3_866_846, Ordering::Relaxed);
    c.latency_sum_ms.store(159, Ordering::Relaxed);
    c.latency_count.store(14, Ordering::Relaxed);
    c.max_latency_ms.store(152, Ordering::Relaxed);
    let busy = "lop=GETC,est=1795238425736,to=10000,lcxid=0x43,lzxid=0x200000016,lresp=3866846,\
                llat=0,minlat=0,avglat=11,maxlat=152)\n";
    assert!(ask(&server, "cons").contains(busy));
    assert_eq!(ask(&server, "crst"), "Connection stats reset.\n");
    let reset = "lop=NA,est=1795238425736,to=10000,lzxid=0xffffffffffffffff,lresp=0,llat=0,\
                 minlat=0,avglat=0,maxlat=0)\n";
    assert!(ask(&server, "cons").contains(reset));
}

#[test]
fn watches_are_listed_by_session_and_by_path() {
    let server = server(&["*"]);
    assert_eq!(ask(&server, "wchc"), "\n");
    assert_eq!(ask(&server, "wchp"), "\n");
    let link = connect_with_session(&server, 1, 0x0300_001e_725f_0000);
    {
        let mut watches = server.shared.watches.lock();
        watches.add(link.id, "/app/cfg", Mode::StdData);
        watches.add(link.id, "/app", Mode::Recursive);
        watches.add(link.id, "/children", Mode::StdChild);
    }
    let wchs = "1 connections watching 2 paths\nTotal watches:2\n";
    assert_eq!(ask(&server, "wchs"), wchs);
    let wchc = ask(&server, "wchc");
    assert_eq!(wchc, "0x300001e725f0000\n\t/app/cfg\n\t/app\n\n");
    let wchp = ask(&server, "wchp");
    assert_eq!(
        wchp,
        "/app/cfg\n\t0x300001e725f0000\n/app\n\t0x300001e725f0000\n\n"
    );
}

#[test]
fn dump_puts_sessions_and_connections_into_the_steps_of_their_end() {
    let server = server(&["*"]);
    let now = server.clock.now();
    let link = connect(&server, 52166);
    let session = server.shared.sessions.create(10_000, &link, now);
    link.counters.session.store(session.id, Ordering::Relaxed);
    let dump = ask(&server, "dump");
    let lines: Vec<_> = dump.lines().collect();
    assert_eq!(
        lines[..2],
        ["SessionTracker dump:", "Session Sets (1)/(1):"]
    );
    assert!(lines[2].starts_with("1 expire at "), "{dump}");
    assert_eq!(lines[3], format!("\t0x{:x}", session.id));
    assert_eq!(
        lines[4..7],
        [
            "ephemeral nodes dump:",
            "Sessions with Ephemerals (0):",
            "Connections dump:"
        ]
    );
    assert!(lines[7].starts_with("Connections Sets ("), "{dump}");
    let id = session.id;
    let own = format!("\tip: /127.0.0.1:52166 sessionId: 0x{id:x}\n");
    assert!(dump.contains(&own), "{dump}");
    assert!(
        dump.contains("\tip: /127.0.0.1:9 sessionId: 0x0\n"),
        "{dump}"
    );
}

#[test]
fn directories_are_measured_with_all_below_them() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("version-2").join("deep");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("a"), [0; 1000]).unwrap();
    std::fs::write(dir.path().join("version-2").join("b"), [0; 23]).unwrap();
    std::fs::write(dir.path().join("myid"), [0; 7]).unwrap();
    let server = server_in(&["*"], dir.path());
    assert_eq!(
        ask(&server, "dirs"),
        "datadir_size: 1023\nlogdir_size: 1023\n"
    );
    let place = dir.path().join("version-2");
    let place = place.display();
    assert_eq!(
        ask(&server, "conf"),
        format!(
            "clientPort=2181\nsecureClientPort=-1\ndataDir={place}\ndataDirSize=1023\n\
             dataLogDir={place}\ndataLogSize=1023\ntickTime=3000\nmaxClientCnxns=60\n\
             minSessionTimeout=6000\nmaxSessionTimeout=60000\nclientPortListenBacklog=-1\n\
             serverId=0\n"
        )
    );
}

#[test]
fn digests_are_listed_in_hex_and_decimal() {
    let server = server(&["*"]);
    assert_eq!(ask(&server, "hash"), "");
    server.shared.digest_log.lock().note(0x80, 28_046_781_116);
    server.shared.digest_log.lock().note(0x100, -1);
    assert_eq!(ask(&server, "hash"), "80: 28046781116\n100: -1\n");
}

#[test]
fn mntr_is_one_name_and_one_value_in_a_line() {
    let server = server(&["*"]);
    server.disk.sync_ms.add(3);
    server.disk.sync_ms.add(4);
    let mntr = ask(&server, "mntr");
    let (head, rest) = mntr.split_once("zk_avg_latency").unwrap();
    assert_eq!(
        head,
        format!(
            "zk_version\t{}zk_server_state\tstandalone\n",
            VERSION.strip_prefix("Zookeeper version: ").unwrap()
        )
    );
    assert!(rest.contains("\nzk_znode_count\t5\n"));
    let summary = "\nzk_avg_fsynctime\t3.5\nzk_min_fsynctime\t3\nzk_max_fsynctime\t4\n\
                   zk_cnt_fsynctime\t2\nzk_sum_fsynctime\t7\n";
    assert!(rest.contains(summary), "{rest}");
    assert!(mntr.lines().all(|line| line.split('\t').count() == 2));
    ask(&server, "srst");
    assert!(ask(&server, "mntr").contains("\nzk_cnt_fsynctime\t0\n"));
}

/// The trace mask is the process's, so all of it is one test.
#[test]
fn the_trace_mask_is_set_and_shown() {
    let server = server(&["*"]);
    assert_eq!(ask(&server, "gtmk"), "306");
    let link = connect(&server, 9);
    let set = |rest: &[u8]| answer(&server, &link, *b"stmk", rest);
    assert_eq!(set(&(-2_i64).to_be_bytes()), b"-2");
    assert_eq!(ask(&server, "gtmk"), "-2");
    assert!(set(&[0; 7]).is_empty());
    assert_eq!(set(b"\0\0\0\0\0\0\x01\x32more"), b"306");
}
