//! The client against a real server: `interop SERVER_SH KIND PORT DIR`, see `interop/client/run`.
//!
//! Each check works below a node of its own and prints one line.

use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use zooid_client::{
    Acl, AddWatchMode, Client, CreateMode, Data, Error, ErrorCode, EventKind, Loss, Op, OpResult,
    Options, ReadOp, ReadResult, SessionState, WatchKind, WatchedEvent, acl, perms,
};
use zooid_proto::ops::Request;

/// Longest time for anything to happen.
const DEADLINE: Duration = Duration::from_secs(20);

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<(), Failure>;

/// Fails the check unless both are equal.
macro_rules! same {
    ($left:expr, $right:expr) => {{
        match (&$left, &$right) {
            (left, right) if left == right => {}
            (left, right) => {
                return Err(format!("line {}: {left:?} is not {right:?}", line!()).into());
            }
        }
    }};
}

/// Fails the check unless the result is an error with that code.
macro_rules! refused {
    ($result:expr, $code:ident) => {
        match $result {
            Err(error) if error.code() == Some(ErrorCode::$code) => error,
            other => {
                let wanted = stringify!($code);
                return Err(format!("line {}: {other:?} where {wanted} was due", line!()).into());
            }
        }
    };
}

struct Lab {
    server_sh: String,
    kind: String,
    port: u16,
    dir: String,
    numbers: AtomicU32,
}

impl Lab {
    /// A client whose root is a new node.
    async fn client(&self) -> Result<Client, Error> {
        let chroot = self.chroot().await?;
        self.connect(&chroot).await
    }

    async fn chroot(&self) -> Result<String, Error> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let root = self.connect("").await?;
        let path = format!("/check-{number}");
        root.create(&path, Data::NULL, &acl::open(), CreateMode::Persistent)
            .await?;
        root.close().await;
        Ok(path)
    }

    async fn connect(&self, chroot: &str) -> Result<Client, Error> {
        let address = format!("127.0.0.1:{}{chroot}", self.port);
        Client::connect(&address, options()).await
    }

    /// What the script does to the server, off the runtime's threads.
    async fn server(&self, verb: &str) -> Outcome {
        let mut command = Command::new(&self.server_sh);
        match verb {
            "start" => command.args([verb, &self.kind, &self.port.to_string(), &self.dir]),
            _ => command.args([verb, &self.dir]),
        };
        let status = tokio::task::spawn_blocking(move || command.status()).await??;
        if status.success() {
            Ok(())
        } else {
            Err(format!("server.sh {verb}: {status}").into())
        }
    }
}

fn options() -> Options {
    Options {
        session_timeout: Duration::from_secs(10),
        ..Options::default()
    }
}

async fn within<F: Future>(future: F) -> Result<F::Output, Failure> {
    timeout(DEADLINE, future)
        .await
        .map_err(|_| format!("nothing happened within {DEADLINE:?}").into())
}

async fn state(client: &Client, wanted: SessionState) -> Outcome {
    let mut events = client.session_events();
    while client.state() != wanted {
        if within(events.next()).await?.is_none() && client.state() != wanted {
            return Err(format!("{:?} instead of {wanted:?}", client.state()).into());
        }
    }
    Ok(())
}

fn event(kind: EventKind, path: &str, zxid: i64) -> WatchedEvent {
    let path = path.to_owned();
    WatchedEvent { kind, path, zxid }
}

/// What a proxy does to its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// Lets requests through, keeps replies back.
    Mute,
    Cut,
}

/// Forwards connections to the server, as far as its gate allows.
struct Proxy {
    port: u16,
    gate: watch::Sender<Gate>,
}

impl Proxy {
    async fn new(to: u16) -> Result<Proxy, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (sender, gate) = watch::channel(Gate::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *gate.borrow() != Gate::Cut {
                    tokio::spawn(forward(client, to, gate.clone()));
                }
            }
        });
        Ok(Proxy { port, gate: sender })
    }

    async fn client(&self, chroot: &str) -> Result<Client, Error> {
        Client::connect(&format!("127.0.0.1:{}{chroot}", self.port), options()).await
    }

    fn set(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }
}

async fn forward(mut client: TcpStream, to: u16, mut gate: watch::Receiver<Gate>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut open = gate.clone();
    let replies = async {
        let mut buffer = vec![0; 65_536];
        loop {
            let n = from_server.read(&mut buffer).await?;
            let passes = open.wait_for(|gate| *gate == Gate::Open).await.is_ok();
            if n == 0 || !passes {
                return std::io::Result::Ok(());
            }
            to_client.write_all(&buffer[..n]).await?;
        }
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = replies => {}
        _ = gate.wait_for(|gate| *gate == Gate::Cut) => {}
    }
}

async fn nodes(lab: Arc<Lab>) -> Outcome {
    let c = lab.client().await?;
    let open = acl::open();
    let p = CreateMode::Persistent;
    same!(c.create("/a", b"one", &open, p).await?, "/a");
    refused!(c.create("/a", b"", &open, p).await, NodeExists);
    refused!(c.create("/x/y", b"", &open, p).await, NoNode);
    let (data, stat) = c.get("/a").await?;
    same!(data.as_deref(), Some(b"one".as_slice()));
    same!(
        (stat.version, stat.data_length, stat.num_children),
        (0, 3, 0)
    );
    same!(c.exists("/a").await?, Some(stat));
    same!(c.exists("/b").await?, None);
    let changed = c.set("/a", "two", Some(0)).await?;
    same!(changed.version, 1);
    let error = refused!(c.set("/a", "three", Some(0)).await, BadVersion);
    same!(error.to_string(), "SetData failed: BadVersion for /a");
    let (path, stat) = c.create2("/a/b", Data::NULL, &open, p).await?;
    same!((path.as_str(), stat.data_length), ("/a/b", 0));
    same!(c.get("/a/b").await?.0, None);
    same!(c.get_children("/a").await?.0, ["b"]);
    same!(c.all_children_number("/").await?, 2);
    refused!(c.delete("/a", None).await, NotEmpty);
    refused!(c.delete("/a/b", Some(7)).await, BadVersion);
    c.delete("/a/b", Some(0)).await?;
    c.delete("/a", None).await?;
    refused!(c.get("/a").await, NoNode);
    c.sync("/").await?;
    c.close().await;
    refused!(c.get("/a").await, SessionExpired);
    Ok(())
}

async fn modes(lab: Arc<Lab>) -> Outcome {
    let c = lab.client().await?;
    let open = acl::open();
    let make = |path: &'static str, mode| c.create(path, b"", &open, mode);
    same!(
        make("/s-", CreateMode::PersistentSequential).await?,
        "/s-0000000000"
    );
    same!(
        make("/", CreateMode::PersistentSequential).await?,
        "/0000000001"
    );
    same!(
        make("/e-", CreateMode::EphemeralSequential).await?,
        "/e-0000000002"
    );
    same!(make("/e", CreateMode::Ephemeral).await?, "/e");
    let owner = c.get("/e").await?.1.ephemeral_owner;
    same!(owner, c.credentials().id);
    refused!(
        make("/e/child", CreateMode::Persistent).await,
        NoChildrenForEphemerals
    );
    let mut own = c.get_ephemerals("/").await?;
    own.sort();
    same!(own, ["/e", "/e-0000000002"]);
    same!(make("/c", CreateMode::Container).await?, "/c");
    let ttl = Duration::from_secs(600);
    same!(make("/t", CreateMode::Ttl(ttl)).await?, "/t");
    same!(
        make("/t-", CreateMode::SequentialTtl(ttl)).await?,
        "/t-0000000006"
    );
    refused!(
        make("/t0", CreateMode::Ttl(Duration::ZERO)).await,
        BadArguments
    );
    c.close().await;
    Ok(())
}

async fn paths_are_checked_before_they_are_sent(lab: Arc<Lab>) -> Outcome {
    let c = lab.client().await?;
    for path in ["", "a", "/a/", "//", "/a/./b", "/\u{1}"] {
        match c.get(path).await {
            Err(Error::Path { .. }) => {}
            other => return Err(format!("{path:?}: {other:?}").into()),
        }
    }
    c.close().await;
    Ok(())
}

async fn access(lab: Arc<Lab>) -> Outcome {
    let root = lab.chroot().await?;
    let (bob, eve) = (lab.connect(&root).await?, lab.connect(&root).await?);
    bob.add_auth("digest", b"bob:pw").await?;
    bob.create("/a", b"1", &acl::creator(), CreateMode::Persistent)
        .await?;
    let error = refused!(eve.get("/a").await, NoAuth);
    same!(error.to_string(), "GetData failed: NoAuth for /a");
    let (list, stat) = bob.get_acl("/a").await?;
    same!(
        (list.len(), list[0].perms, stat.aversion),
        (1, perms::ALL, 0)
    );
    same!(list[0].id.scheme(), "digest");
    same!(list[0].id.name().split(':').next(), Some("bob"));
    let read = [Acl::new(perms::READ, "world", "anyone")];
    same!(bob.set_acl("/a", &read, Some(0)).await?.aversion, 1);
    refused!(bob.set_acl("/a", &read, Some(0)).await, NoAuth);
    same!(eve.get("/a").await?.0.as_deref(), Some(b"1".as_slice()));
    let me = bob.who_am_i().await?;
    let names: Vec<_> = me
        .iter()
        .map(|id| format!("{}:{}", id.scheme, id.user))
        .collect();
    same!(names, ["digest:bob", "ip:127.0.0.1"]);
    refused!(eve.add_auth("nosuch", b"x").await, AuthFailed);
    refused!(eve.get("/a").await, AuthFailed);
    same!(eve.state(), SessionState::AuthFailed);
    bob.close().await;
    Ok(())
}

async fn multis(lab: Arc<Lab>) -> Outcome {
    let c = lab.client().await?;
    let open = acl::open();
    let p = CreateMode::Persistent;
    let results = c
        .multi(&[
            Op::create("/a", b"1", &open, p),
            Op::create("/a/s-", b"2", &open, CreateMode::PersistentSequential),
            Op::set("/a", b"3", Some(0)),
            Op::check("/a", Some(1)),
            Op::create("/c", b"", &open, CreateMode::Container),
            Op::delete("/c", None),
        ])
        .await?;
    same!(results.len(), 6);
    match &results[1] {
        OpResult::Created { path, stat } => {
            same!(path, "/a/s-0000000000");
            same!(stat.data_length, 1);
        }
        other => return Err(format!("{other:?}").into()),
    }
    match &results[2] {
        OpResult::Set(stat) => same!(stat.version, 1),
        other => return Err(format!("{other:?}").into()),
    }
    same!(results[3], OpResult::Checked);
    same!(results[5], OpResult::Deleted);

    let failed = c
        .multi(&[
            Op::set("/a", b"4", None),
            Op::delete("/missing", None),
            Op::delete("/a", None),
        ])
        .await;
    match failed {
        Err(Error::Multi {
            index,
            path,
            code,
            codes,
        }) => {
            same!((index, path.as_str(), code), (1, "/missing", -101));
            same!(codes, [0, -101, -2]);
        }
        other => return Err(format!("{other:?}").into()),
    }
    same!(c.get("/a").await?.0.as_deref(), Some(b"3".as_slice()));
    same!(c.multi(&[]).await?, []);

    let reads = c
        .multi_read(&[
            ReadOp::Get("/a"),
            ReadOp::Get("/missing"),
            ReadOp::GetChildren("/a"),
        ])
        .await?;
    match &reads[..] {
        [
            Ok(ReadResult::Data(Some(data), stat)),
            Err(error),
            Ok(ReadResult::Children(names)),
        ] => {
            same!((data.as_slice(), stat.version), (b"3".as_slice(), 1));
            same!(error.to_string(), "GetData failed: NoNode for /missing");
            same!(names, &["s-0000000000"]);
        }
        other => return Err(format!("{other:?}").into()),
    }
    c.close().await;
    Ok(())
}

async fn one_shot_watches(lab: Arc<Lab>) -> Outcome {
    let root = lab.chroot().await?;
    let (c, other) = (lab.connect(&root).await?, lab.connect(&root).await?);
    let (stat, created) = c.exists_watch("/a").await?;
    same!(stat, None);
    let (_, _, grown) = c.get_children_watch("/").await?;
    let (_, stat) = other
        .create2("/a", b"", &acl::open(), CreateMode::Persistent)
        .await?;
    same!(
        within(created.event()).await??,
        event(EventKind::NodeCreated, "/a", stat.czxid)
    );
    same!(
        within(grown.event()).await??,
        event(EventKind::NodeChildrenChanged, "/", stat.czxid)
    );
    let (_, _, changed) = c.get_watch("/a").await?;
    let (_, _, dropped) = c.get_watch("/a").await?;
    drop(dropped);
    let stat = other.set("/a", b"x", None).await?;
    same!(
        within(changed.event()).await??,
        event(EventKind::NodeDataChanged, "/a", stat.mzxid)
    );
    refused!(c.get_watch("/missing").await, NoNode);
    let (_, gone) = c.exists_watch("/a").await?;
    other.delete("/a", None).await?;
    same!(within(gone.event()).await??.kind, EventKind::NodeDeleted);

    let (_, ended) = c.exists_watch("/never").await?;
    c.close().await;
    match within(ended.event()).await? {
        Err(Error::Lost {
            loss: Loss::Closed, ..
        }) => {}
        other => return Err(format!("{other:?}").into()),
    }
    other.close().await;
    Ok(())
}

async fn persistent_watches(lab: Arc<Lab>) -> Outcome {
    let c = lab.client().await?;
    let open = acl::open();
    let p = CreateMode::Persistent;
    let mut node = c.add_watch("/a", AddWatchMode::Persistent).await?;
    let mut tree = c.add_watch("/", AddWatchMode::PersistentRecursive).await?;
    c.create("/a", b"", &open, p).await?;
    c.set("/a", b"1", None).await?;
    c.create("/a/b", b"", &open, p).await?;
    c.delete("/a/b", None).await?;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(within(node.next()).await?.ok_or("ended")??.kind);
    }
    same!(
        seen,
        [
            EventKind::NodeCreated,
            EventKind::NodeDataChanged,
            EventKind::NodeChildrenChanged,
            EventKind::NodeChildrenChanged
        ]
    );
    let mut seen = Vec::new();
    for _ in 0..4 {
        let event = within(tree.next()).await?.ok_or("ended")??;
        seen.push((event.kind, event.path));
    }
    same!(
        seen,
        [
            (EventKind::NodeCreated, "/a".to_owned()),
            (EventKind::NodeDataChanged, "/a".to_owned()),
            (EventKind::NodeCreated, "/a/b".to_owned()),
            (EventKind::NodeDeleted, "/a/b".to_owned()),
        ]
    );
    same!(c.check_watches("/a", WatchKind::Persistent).await?, true);
    same!(c.check_watches("/a", WatchKind::Data).await?, false);
    c.remove_watches("/a", WatchKind::Persistent).await?;
    let last = within(node.next()).await?.ok_or("ended")??;
    same!(last.kind, EventKind::PersistentWatchRemoved);
    same!(within(node.next()).await?.is_none(), true);
    refused!(c.remove_watches("/a", WatchKind::Any).await, NoWatcher);
    c.close().await;
    match within(tree.next()).await? {
        Some(Err(Error::Lost {
            loss: Loss::Closed, ..
        })) => {}
        other => return Err(format!("{other:?}").into()),
    }
    same!(within(tree.next()).await?.is_none(), true);
    Ok(())
}

async fn many_requests_under_way(lab: Arc<Lab>) -> Outcome {
    let c = lab.client().await?;
    c.create("/a", b"", &acl::open(), CreateMode::Persistent)
        .await?;
    let big = vec![7u8; 200_000];
    let tasks: Vec<_> = (0..2000)
        .map(|n| {
            let (c, big) = (c.clone(), big.clone());
            tokio::spawn(async move {
                match n % 40 {
                    0 => c.set("/a", big, None).await.map(|_| ()),
                    _ => c.get("/a").await.map(|_| ()),
                }
            })
        })
        .collect();
    for task in tasks {
        within(task).await???;
    }
    same!(c.get("/a").await?.1.version, 50);
    c.close().await;
    Ok(())
}

async fn a_cut_connection_is_made_again(lab: Arc<Lab>) -> Outcome {
    let root = lab.chroot().await?;
    let proxy = Proxy::new(lab.port).await?;
    let (c, other) = (proxy.client(&root).await?, lab.connect(&root).await?);
    let session = c.credentials();
    let open = acl::open();
    c.add_auth("digest", b"bob:pw").await?;
    for path in ["/a", "/b"] {
        c.create(path, b"", &acl::creator(), CreateMode::Persistent)
            .await?;
    }
    c.set_acl("/b", &open, None).await?;
    c.create("/e", b"", &open, CreateMode::Ephemeral).await?;
    let (_, _, missed) = c.get_watch("/b").await?;
    let (_, kept) = c.exists_watch("/later").await?;
    let mut tree = c.add_watch("/", AddWatchMode::PersistentRecursive).await?;

    proxy.set(Gate::Cut);
    state(&c, SessionState::Disconnected).await?;
    let stat = other.set("/b", b"1", None).await?;
    let waiting = tokio::spawn({
        let c = c.clone();
        async move { c.get("/a").await }
    });
    proxy.set(Gate::Open);
    state(&c, SessionState::Connected).await?;
    within(waiting).await???;
    same!(c.credentials(), session);
    same!(c.get("/e").await?.1.ephemeral_owner, session.id);
    same!(
        within(missed.event()).await??,
        event(EventKind::NodeDataChanged, "/b", -1)
    );
    same!(c.get("/b").await?.1.mzxid, stat.mzxid);
    other
        .create("/later", b"", &open, CreateMode::Persistent)
        .await?;
    same!(within(kept.event()).await??.path, "/later");
    // The event of the one-shot watch reaches the wider watch too, as in the Java client.
    for path in ["/b", "/later"] {
        same!(within(tree.next()).await?.ok_or("ended")??.path, path);
    }
    c.close().await;
    same!(other.exists("/e").await?, None);
    other.close().await;
    Ok(())
}

async fn a_request_under_way_when_the_connection_breaks_is_lost(lab: Arc<Lab>) -> Outcome {
    // Listens, greets nobody: a request cannot be answered.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let root = lab.chroot().await?;
    let proxy = Proxy::new(lab.port).await?;
    let (c, other) = (proxy.client(&root).await?, lab.connect(&root).await?);
    let (_, _, executed) = other.get_watch("/").await?;
    proxy.set(Gate::Mute);
    let set = tokio::spawn({
        let c = c.clone();
        async move { c.set("/", b"x", None).await }
    });
    within(executed.event()).await??;
    proxy.set(Gate::Cut);
    let error = refused!(within(set).await??, ConnectionLoss);
    same!(error.to_string(), "SetData failed: ConnectionLoss for /");
    proxy.set(Gate::Open);
    same!(c.get("/").await?.1.version, 1);
    other.close().await;
    c.close().await;

    let address = format!("127.0.0.1:{}", silent.local_addr()?.port());
    let hasty = Options {
        session_timeout: Duration::from_millis(300),
        patience: Duration::ZERO,
        ..Options::default()
    };
    match within(Client::connect(&address, hasty)).await? {
        Err(error @ Error::Connect { .. }) => same!(
            error.to_string(),
            format!("cannot connect to {address} (no answer to the handshake)")
        ),
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}

async fn a_session_can_be_left_and_taken_up(lab: Arc<Lab>) -> Outcome {
    let root = lab.chroot().await?;
    let c = lab.connect(&root).await?;
    c.create("/e", b"", &acl::open(), CreateMode::Ephemeral)
        .await?;
    let session = c.abandon().await;
    let address = format!("127.0.0.1:{}{root}", lab.port);
    let again = Options {
        attach: Some(session),
        ..options()
    };
    let c = Client::connect(&address, again.clone()).await?;
    same!(c.credentials(), session);
    c.create("/e2", b"", &acl::open(), CreateMode::Ephemeral)
        .await?;
    c.close().await;
    match within(Client::connect(&address, again)).await? {
        Err(error) => same!(error.code(), Some(ErrorCode::SessionExpired)),
        Ok(_) => return Err("a closed session was taken up".into()),
    }
    let c = lab.connect(&root).await?;
    same!(c.get_children("/").await?.0.len(), 0);
    c.close().await;
    Ok(())
}

async fn dropping_the_last_handle_closes_the_session(lab: Arc<Lab>) -> Outcome {
    let root = lab.chroot().await?;
    let (c, other) = (lab.connect(&root).await?, lab.connect(&root).await?);
    c.create("/e", b"", &acl::open(), CreateMode::Ephemeral)
        .await?;
    let (_, gone) = other.exists_watch("/e").await?;
    drop(c);
    let event = timeout(Duration::from_secs(5), gone.event()).await??;
    same!(event.kind, EventKind::NodeDeleted);
    other.close().await;
    Ok(())
}

async fn several_servers(lab: Arc<Lab>) -> Outcome {
    let free = TcpListener::bind("127.0.0.1:0").await?;
    let closed = free.local_addr()?.port();
    drop(free);
    let address = format!("127.0.0.1:{closed},127.0.0.1:{}", lab.port);
    for _ in 0..4 {
        let c = within(Client::connect(&address, options())).await??;
        same!(c.server().map(|server| server.port()), Some(lab.port));
        c.close().await;
    }
    let hasty = Options {
        patience: Duration::ZERO,
        ..options()
    };
    match within(Client::connect(&format!("127.0.0.1:{closed}"), hasty)).await? {
        Err(Error::Connect { attempts }) => {
            same!(attempts.len(), 1);
            same!(attempts[0].refused, true);
            same!(attempts[0].reason, "connection refused");
        }
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}

async fn an_idle_session_lives(lab: Arc<Lab>) -> Outcome {
    let root = lab.chroot().await?;
    let short = Options {
        session_timeout: Duration::from_millis(4000),
        ..options()
    };
    let address = format!("127.0.0.1:{}{root}", lab.port);
    let c = Client::connect(&address, short).await?;
    same!(c.session_timeout(), Duration::from_millis(4000));
    c.create("/e", b"", &acl::open(), CreateMode::Ephemeral)
        .await?;
    let mut events = c.session_events();
    // Longer than the timeout and a tick of the server.
    let quiet = timeout(Duration::from_millis(7000), events.next()).await;
    same!(quiet.is_err(), true);
    same!(c.exists("/e").await?.is_some(), true);
    c.close().await;
    Ok(())
}

async fn unknown_codes_and_raw_requests(lab: Arc<Lab>) -> Outcome {
    let c = lab.client().await?;
    let request = Request::RemoveWatches(zooid_proto::client::RemoveWatchesRequest {
        path: Some("/".into()),
        kind: 9,
    });
    same!(
        c.raw(request).await?.err,
        ErrorCode::MarshallingError.code()
    );
    c.close().await;
    Ok(())
}

/// Comes last: it restarts the server.
async fn a_restarted_server_finds_its_clients(lab: Arc<Lab>) -> Outcome {
    let c = lab.client().await?;
    let session = c.credentials();
    c.create("/e", b"x", &acl::open(), CreateMode::Ephemeral)
        .await?;
    let (_, _, kept) = c.get_watch("/e").await?;
    lab.server("kill").await?;
    state(&c, SessionState::Disconnected).await?;
    let waiting = tokio::spawn({
        let c = c.clone();
        async move { c.set("/e", b"y", None).await }
    });
    lab.server("start").await?;
    same!(within(waiting).await???.version, 1);
    same!(c.credentials(), session);
    same!(
        within(kept.event()).await??.kind,
        EventKind::NodeDataChanged
    );
    c.close().await;
    Ok(())
}

type Check = fn(Arc<Lab>) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), |lab| Box::pin($name(lab)))),*]
    };
}

const CHECKS: &[(&str, Check)] = checks![
    nodes,
    modes,
    paths_are_checked_before_they_are_sent,
    access,
    multis,
    one_shot_watches,
    persistent_watches,
    many_requests_under_way,
    a_cut_connection_is_made_again,
    a_request_under_way_when_the_connection_breaks_is_lost,
    a_session_can_be_left_and_taken_up,
    dropping_the_last_handle_closes_the_session,
    several_servers,
    an_idle_session_lives,
    unknown_codes_and_raw_requests,
    a_restarted_server_finds_its_clients,
];

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, server_sh, kind, port, dir] = &args[..] else {
        eprintln!("usage: interop SERVER_SH zooid|java PORT DIR");
        std::process::exit(2);
    };
    let lab = Arc::new(Lab {
        server_sh: server_sh.clone(),
        kind: kind.clone(),
        port: port.parse().expect("a port"),
        dir: dir.clone(),
        numbers: AtomicU32::new(0),
    });
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in CHECKS {
        // A task of its own, so that a panic is one failure.
        let outcome = timeout(3 * DEADLINE, tokio::spawn(check(lab.clone()))).await;
        let why = match outcome {
            Ok(Ok(Ok(()))) => {
                println!("ok {name}");
                passed += 1;
                continue;
            }
            Ok(Ok(Err(why))) => why.to_string(),
            Ok(Err(panic)) => panic.to_string(),
            Err(_) => "takes too long".to_owned(),
        };
        println!("FAIL {name}: {}", why.replace('\n', " "));
        failed += 1;
    }
    println!("{passed} passed, {failed} failed");
    std::process::exit(i32::from(failed > 0));
}
