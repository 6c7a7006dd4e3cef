//! Sessions: their end, taking one up again, expiry, and a server that is killed.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use zookeeper_client::{
    Acl, Acls, AddWatchMode, AuthId, CreateMode, Error, EventType, Permission, SessionState,
    StateWatcher, WatchedEvent,
};

use crate::harness::{CONTAINER, EPHEMERAL, Env, PERSISTENT, SEQUENTIAL, fails, gone, soon};
use crate::line::Line;

async fn next_state(states: &mut StateWatcher) -> SessionState {
    timeout(Duration::from_secs(15), states.changed())
        .await
        .expect("a change of state")
}

pub async fn dropped_client_ends_its_session(env: Env) {
    let (client, other) = (env.client().await, env.client().await);
    client.create(&env.path, b"", EPHEMERAL).await.unwrap();
    let session = client.session().clone();
    let (stat, watcher) = other.check_and_watch_stat(&env.path).await.unwrap();
    assert_eq!(stat.unwrap().ephemeral_owner, session.id().0);
    let second = client.clone();
    drop(client);
    assert!(
        second.check_stat(&env.path).await.unwrap().is_some(),
        "a clone keeps the session"
    );
    drop(second);
    assert_eq!(
        soon(watcher.changed()).await.event_type,
        EventType::NodeDeleted
    );
    let late = env
        .connector()
        .with_session(session)
        .connect(&env.server.address())
        .await;
    assert_eq!(late.map(|_| ()), Err(Error::SessionExpired));
}

pub async fn detached_session_is_taken_up_again(env: Env) {
    let other = env.client().await;
    let connector = env.connector().with_detached();
    let client = connector.connect(&env.server.address()).await.unwrap();
    client.create(&env.path, b"", EPHEMERAL).await.unwrap();
    let session = client.into_session();
    let id = session.id();

    let connector = env.connector().with_session(session);
    let client = connector.connect(&env.server.address()).await.unwrap();
    assert_eq!(client.session_id(), id);
    let stat = client.check_stat(&env.path).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, id.0);
    drop(client);
    gone(&other, &env.path).await;
}

pub async fn session_expires(env: Env) {
    let other = env.client().await;
    let line = Line::to(env.server.address()).await;
    let connector = env.connector().with_session_timeout(Duration::from_secs(4));
    let client = connector.connect(&line.address).await.unwrap();
    client.create(&env.path, b"", EPHEMERAL).await.unwrap();
    let quiet = format!("{}-quiet", env.path);
    other.create(&quiet, b"", PERSISTENT).await.unwrap();
    let mut watcher = client
        .watch(&quiet, AddWatchMode::Persistent)
        .await
        .unwrap();
    let (_, _, oneshot) = client.get_and_watch_data(&quiet).await.unwrap();
    let (_, gone) = other.check_and_watch_stat(&env.path).await.unwrap();
    let mut states = client.state_watcher();

    line.cut();
    let cut = Instant::now();
    assert_eq!(next_state(&mut states).await, SessionState::Disconnected);
    let disconnected = WatchedEvent::new_session(SessionState::Disconnected);
    assert_eq!(soon(watcher.changed()).await, disconnected);
    assert_eq!(
        soon(gone.changed()).await.event_type,
        EventType::NodeDeleted
    );
    // The last word from the client may be some of the timeout old; expiry comes in steps of a
    // tick (2 s).
    let lived = cut.elapsed();
    assert!(
        lived > Duration::from_millis(2000) && lived < Duration::from_secs(8),
        "{lived:?}"
    );
    line.mend();
    assert_eq!(next_state(&mut states).await, SessionState::Expired);
    let expired = WatchedEvent::new_session(SessionState::Expired);
    assert_eq!(soon(oneshot.changed()).await, expired);
    assert_eq!(soon(watcher.changed()).await, expired);
    fails(client.check_stat("/").await, Error::SessionExpired);
}

pub async fn killed_server_comes_back(mut env: Env) {
    env.own_server().await;
    let client = env.client().await;
    let session = client.session_id();
    client.auth("digest", b"ann:secret").await.unwrap();
    client.create("/q", b"", PERSISTENT).await.unwrap();
    for number in 0..50 {
        let (_, sequence) = client.create("/q/n-", b"", SEQUENTIAL).await.unwrap();
        assert_eq!(sequence.into_i64(), number);
    }
    let ann = [Acl::new(Permission::ALL, AuthId::authed())];
    let mine = CreateMode::Persistent.with_acls(Acls::new(&ann));
    let ttl = PERSISTENT.clone().with_ttl(Duration::from_secs(3600));
    let nodes = [
        ("/e", EPHEMERAL),
        ("/secret", &mine),
        ("/container", CONTAINER),
        ("/ttl", &ttl),
    ];
    let mut stats = Vec::new();
    for (path, options) in nodes {
        stats.push((
            path,
            client
                .create(path, path.as_bytes(), options)
                .await
                .unwrap()
                .0,
        ));
    }
    let (_, _, data) = client.get_and_watch_data("/e").await.unwrap();
    let (_, absent) = client.check_and_watch_stat("/late").await.unwrap();
    let (_, list) = client.list_and_watch_children("/q").await.unwrap();
    let mut states = client.state_watcher();

    env.server.kill().await;
    assert_eq!(next_state(&mut states).await, SessionState::Disconnected);
    env.server.start().await;
    assert_eq!(next_state(&mut states).await, SessionState::SyncConnected);
    assert_eq!(client.session_id(), session);
    for (path, stat) in stats {
        let (data, seen) = client.get_data(path).await.unwrap();
        assert_eq!((data.as_slice(), seen), (path.as_bytes(), stat));
    }
    assert_eq!(client.list_ephemerals("/").await.unwrap(), ["/e"]);

    let other = env.client().await;
    other.set_data("/e", b"changed", None).await.unwrap();
    other.create("/late", b"", PERSISTENT).await.unwrap();
    let (_, sequence) = other.create("/q/n-", b"", SEQUENTIAL).await.unwrap();
    assert_eq!(sequence.into_i64(), 50);
    assert_eq!(
        soon(data.changed()).await.event_type,
        EventType::NodeDataChanged
    );
    assert_eq!(
        soon(absent.changed()).await.event_type,
        EventType::NodeCreated
    );
    assert_eq!(
        soon(list.changed()).await.event_type,
        EventType::NodeChildrenChanged
    );
    drop(client);
    gone(&other, "/e").await;
}
