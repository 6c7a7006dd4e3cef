//! Watches: one-shot, persistent and recursive, their removal, and a line that is cut.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zookeeper_client::{
    AddWatchMode, Client, EventType, OneshotWatcher, PersistentWatcher, SessionState, WatchedEvent,
};

use crate::harness::{Env, PERSISTENT, eventually, soon};
use crate::line::Line;

use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};

/// The event of a change, with its zxid (3.9 tells it in the header).
fn event(kind: EventType, path: &str, zxid: i64) -> WatchedEvent {
    WatchedEvent::new(kind, path).with_zxid(zxid)
}

/// The zxid of the last change of a node's data.
async fn set(client: &Client, path: &str) -> i64 {
    client.set_data(path, b"x", None).await.unwrap().mzxid
}

async fn create(client: &Client, path: &str) -> i64 {
    client.create(path, b"", PERSISTENT).await.unwrap().0.czxid
}

/// Deletes a node; gives the zxid, which its parent shows.
async fn delete(client: &Client, parent: &str, path: &str) -> i64 {
    client.delete(path, None).await.unwrap();
    client.check_stat(parent).await.unwrap().unwrap().pzxid
}

/// No event is waiting after a round trip.
async fn nothing(client: &Client, watcher: &mut PersistentWatcher) {
    client.sync("/").await.unwrap();
    client.check_stat("/").await.unwrap();
    tokio::select! {
        biased;
        event = watcher.changed() => panic!("unexpected {event:?}"),
        () = std::future::ready(()) => {}
    }
}

pub async fn oneshot(env: Env) {
    let (client, other) = (env.client_with_root().await, env.client().await);
    let (path, child) = (env.at("w"), env.at("w/child"));

    let (stat, watcher) = client.check_and_watch_stat(&path).await.unwrap();
    assert_eq!(stat, None);
    let zxid = create(&other, &path).await;
    assert_eq!(
        soon(watcher.changed()).await,
        event(NodeCreated, &path, zxid)
    );

    let (_, _, watcher) = client.get_and_watch_data(&path).await.unwrap();
    let (_, same) = client.check_and_watch_stat(&path).await.unwrap();
    let zxid = set(&other, &path).await;
    assert_eq!(
        soon(watcher.changed()).await,
        event(NodeDataChanged, &path, zxid)
    );
    assert_eq!(
        soon(same.changed()).await,
        event(NodeDataChanged, &path, zxid)
    );

    let (names, list) = client.list_and_watch_children(&path).await.unwrap();
    assert_eq!(names, Vec::<String>::new());
    let (_, _, same) = client.get_and_watch_children(&path).await.unwrap();
    set(&client, &path).await;
    let zxid = create(&client, &child).await;
    assert_eq!(
        soon(list.changed()).await,
        event(NodeChildrenChanged, &path, zxid)
    );
    assert_eq!(
        soon(same.changed()).await,
        event(NodeChildrenChanged, &path, zxid)
    );

    let (_, _, data) = client.get_and_watch_data(&child).await.unwrap();
    let (_, inner) = client.list_and_watch_children(&child).await.unwrap();
    let (_, list) = client.list_and_watch_children(&path).await.unwrap();
    set(&other, &env.path).await;
    let zxid = delete(&other, &path, &child).await;
    assert_eq!(soon(data.changed()).await, event(NodeDeleted, &child, zxid));
    assert_eq!(
        soon(inner.changed()).await,
        event(NodeDeleted, &child, zxid)
    );
    assert_eq!(
        soon(list.changed()).await,
        event(NodeChildrenChanged, &path, zxid)
    );
}

pub async fn oneshot_of_many_clients(env: Env) {
    let first = env.client_with_root().await;
    let mut watchers: Vec<(Client, OneshotWatcher)> = Vec::new();
    for _ in 0..10 {
        let client = env.client().await;
        let (_, _, watcher) = client.get_and_watch_data(&env.path).await.unwrap();
        watchers.push((client, watcher));
    }
    let zxid = set(&first, &env.path).await;
    for (_client, watcher) in watchers {
        assert_eq!(
            soon(watcher.changed()).await,
            event(NodeDataChanged, &env.path, zxid)
        );
    }
}

pub async fn persistent(env: Env) {
    let (client, other) = (env.client_with_root().await, env.client().await);
    let (path, child) = (env.at("w"), env.at("w/child"));
    let mut watcher = client.watch(&path, AddWatchMode::Persistent).await.unwrap();
    for _ in 0..2 {
        let zxid = create(&other, &path).await;
        assert_eq!(
            soon(watcher.changed()).await,
            event(NodeCreated, &path, zxid)
        );
        for _ in 0..3 {
            let zxid = set(&other, &path).await;
            assert_eq!(
                soon(watcher.changed()).await,
                event(NodeDataChanged, &path, zxid)
            );
        }
        let zxid = create(&other, &child).await;
        assert_eq!(
            soon(watcher.changed()).await,
            event(NodeChildrenChanged, &path, zxid)
        );
        set(&other, &child).await;
        let zxid = delete(&other, &path, &child).await;
        assert_eq!(
            soon(watcher.changed()).await,
            event(NodeChildrenChanged, &path, zxid)
        );
        let zxid = delete(&other, &env.path, &path).await;
        assert_eq!(
            soon(watcher.changed()).await,
            event(NodeDeleted, &path, zxid)
        );
    }
    nothing(&client, &mut watcher).await;
}

pub async fn recursive(env: Env) {
    let (client, other) = (env.client_with_root().await, env.client().await);
    let mut watcher = client
        .watch(&env.path, AddWatchMode::PersistentRecursive)
        .await
        .unwrap();
    let paths: Vec<String> = ["a", "a/b", "a/b/c", "d"]
        .iter()
        .map(|name| env.at(name))
        .collect();
    for path in &paths {
        let zxid = create(&other, path).await;
        assert_eq!(
            soon(watcher.changed()).await,
            event(NodeCreated, path, zxid)
        );
        let zxid = set(&other, path).await;
        assert_eq!(
            soon(watcher.changed()).await,
            event(NodeDataChanged, path, zxid)
        );
    }
    let zxid = set(&other, &env.path).await;
    assert_eq!(
        soon(watcher.changed()).await,
        event(NodeDataChanged, &env.path, zxid)
    );
    // A node outside, whose name begins like the watched one.
    create(&other, &format!("{}-outside", env.path)).await;
    let zxid = delete(&other, &env.path, &paths[3]).await;
    assert_eq!(
        soon(watcher.changed()).await,
        event(NodeDeleted, &paths[3], zxid)
    );

    let mut writer = other.new_multi_writer();
    writer.add_create(&env.at("m"), b"", PERSISTENT).unwrap();
    writer.add_set_data(&env.at("a/b"), b"", None).unwrap();
    writer.add_delete(&env.at("m"), None).unwrap();
    writer.commit().await.unwrap();
    let zxid = other
        .check_stat(&env.at("a/b"))
        .await
        .unwrap()
        .unwrap()
        .mzxid;
    assert_eq!(
        soon(watcher.changed()).await,
        event(NodeCreated, &env.at("m"), zxid)
    );
    assert_eq!(
        soon(watcher.changed()).await,
        event(NodeDataChanged, &env.at("a/b"), zxid)
    );
    assert_eq!(
        soon(watcher.changed()).await,
        event(NodeDeleted, &env.at("m"), zxid)
    );
    nothing(&client, &mut watcher).await;
}

/// What the server lists in `wchc` for this session.
async fn watched_paths(env: &Env, client: &Client) -> Vec<String> {
    let mut stream = TcpStream::connect(env.server.address()).await.unwrap();
    stream.write_all(b"wchc").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let session = format!("{:#x}", client.session_id().0);
    text.lines()
        .skip_while(|line| *line != session)
        .skip(1)
        .map_while(|line| line.strip_prefix('\t'))
        .map(str::to_owned)
        .collect()
}

pub async fn dropped_watchers_leave_the_server(env: Env) {
    let client = env.client_with_root().await;
    let (_, _, data) = client.get_and_watch_data(&env.path).await.unwrap();
    let (_, list) = client.list_and_watch_children(&env.path).await.unwrap();
    let (_, absent) = client.check_and_watch_stat(&env.at("none")).await.unwrap();
    create(&client, &env.at("p")).await;
    let node = client
        .watch(&env.at("p"), AddWatchMode::Persistent)
        .await
        .unwrap();
    let tree = client
        .watch(&env.at("r"), AddWatchMode::PersistentRecursive)
        .await
        .unwrap();
    let paths = watched_paths(&env, &client).await;
    for path in [&env.path, &env.at("none"), &env.at("p"), &env.at("r")] {
        assert!(paths.contains(path), "{path} in {paths:?}");
    }
    drop((data, list, absent, node, tree));
    eventually("no watch is left", || async {
        watched_paths(&env, &client).await.is_empty()
    })
    .await;

    // A watcher that stays keeps its path.
    let (_, _, stays) = client.get_and_watch_data(&env.path).await.unwrap();
    let (_, _, goes) = client.get_and_watch_data(&env.path).await.unwrap();
    drop(goes);
    let zxid = set(&client, &env.path).await;
    assert_eq!(
        soon(stays.changed()).await,
        event(NodeDataChanged, &env.path, zxid)
    );
}

pub async fn watches_of_a_chroot(env: Env) {
    let root = env.client_with_root().await;
    let inner = root.clone().chroot(env.path.as_str()).unwrap();
    let mut tree = inner
        .watch("/", AddWatchMode::PersistentRecursive)
        .await
        .unwrap();
    let (_, list) = inner.list_and_watch_children("/").await.unwrap();
    let zxid = create(&root, &env.at("a")).await;
    assert_eq!(soon(tree.changed()).await, event(NodeCreated, "/a", zxid));
    assert_eq!(
        soon(list.changed()).await,
        event(NodeChildrenChanged, "/", zxid)
    );
}

pub async fn watches_over_a_cut_line(env: Env) {
    let other = env.client_with_root().await;
    for name in ["changed", "deleted", "parent", "later", "p"] {
        create(&other, &env.at(name)).await;
    }
    let line = Line::to(env.server.address()).await;
    let client = env.connector().connect(&line.address).await.unwrap();
    let session = client.session_id();
    let (_, _, changed) = client.get_and_watch_data(&env.at("changed")).await.unwrap();
    let (_, deleted) = client
        .check_and_watch_stat(&env.at("deleted"))
        .await
        .unwrap();
    let (_, created) = client
        .check_and_watch_stat(&env.at("created"))
        .await
        .unwrap();
    let (_, list) = client
        .list_and_watch_children(&env.at("parent"))
        .await
        .unwrap();
    let (_, _, later) = client.get_and_watch_data(&env.at("later")).await.unwrap();
    let mut node = client
        .watch(&env.at("p"), AddWatchMode::Persistent)
        .await
        .unwrap();
    let mut tree = client
        .watch(&env.at("p"), AddWatchMode::PersistentRecursive)
        .await
        .unwrap();

    let mut states = client.state_watcher();
    line.cut();
    assert_eq!(states.changed().await, SessionState::Disconnected);
    set(&other, &env.at("changed")).await;
    delete(&other, &env.path, &env.at("deleted")).await;
    create(&other, &env.at("created")).await;
    create(&other, &env.at("parent/new")).await;
    line.mend();

    // Told at the reconnect, because they happened while the client was away.
    let told = [
        (changed, NodeDataChanged, "changed"),
        (deleted, NodeDeleted, "deleted"),
        (created, NodeCreated, "created"),
        (list, NodeChildrenChanged, "parent"),
    ];
    for (watcher, kind, name) in told {
        let told = soon(watcher.changed()).await;
        assert_eq!((told.event_type, told.path), (kind, env.at(name)));
    }
    assert_eq!(client.session_id(), session);
    // Set again by the reconnect.
    let zxid = set(&other, &env.at("later")).await;
    assert_eq!(
        soon(later.changed()).await,
        event(NodeDataChanged, &env.at("later"), zxid)
    );
    // The crate does not set persistent watches again (its `resend_watches` never comes to
    // SetWatches2), so they are only told of the session.
    for watcher in [&mut node, &mut tree] {
        for state in [SessionState::Disconnected, SessionState::SyncConnected] {
            assert_eq!(
                soon(watcher.changed()).await,
                WatchedEvent::new_session(state)
            );
        }
    }
}
