//! Nodes: create in every mode, read, write, delete, ACLs, multi.

use std::time::Duration;

use zookeeper_client::{
    Acl, Acls, AuthId, AuthUser, CheckWriteError, Client, CreateMode, EnsembleUpdate, Error,
    MultiReadResult, MultiWriteError, MultiWriteResult, Permission, SessionState,
};

use crate::harness::{
    CONTAINER, EPHEMERAL, Env, PERSISTENT, SEQUENTIAL, ends, eventually, fails, gone,
};

pub async fn connect(env: Env) {
    for (wanted_s, negotiated_s) in [(1, 4), (9, 9), (1000, 40)] {
        let client = Client::connector()
            .with_session_timeout(Duration::from_secs(wanted_s))
            .with_readonly(true)
            .connect(&env.server.address())
            .await
            .unwrap();
        assert_eq!(client.session_timeout(), Duration::from_secs(negotiated_s));
        assert_ne!(client.session_id().0, 0);
        assert!(!client.session().is_readonly());
        assert_eq!(client.state(), SessionState::SyncConnected);
        let mut names = client.list_children("/zookeeper").await.unwrap();
        names.sort();
        assert_eq!(names, ["config", "quota"]);
    }
}

pub async fn create_get_set_delete(env: Env) {
    let client = env.client().await;
    let path = &env.path;
    let (created, sequence) = client.create(path, b"one", PERSISTENT).await.unwrap();
    assert_eq!(sequence.into_i64(), -1);
    let (data, stat) = client.get_data(path).await.unwrap();
    assert_eq!((data.as_slice(), stat), (&b"one"[..], created));
    assert_eq!((stat.version, stat.cversion, stat.aversion), (0, 0, 0));
    assert_eq!(
        (stat.data_length, stat.num_children, stat.ephemeral_owner),
        (3, 0, 0)
    );
    assert_eq!(
        (stat.mzxid, stat.pzxid, stat.mtime),
        (stat.czxid, stat.czxid, stat.ctime)
    );

    let set = client.set_data(path, b"two!", Some(0)).await.unwrap();
    assert_eq!(
        (set.version, set.data_length, set.czxid),
        (1, 4, stat.czxid)
    );
    assert!(set.mzxid > stat.mzxid);
    assert_eq!(client.check_stat(path).await.unwrap(), Some(set));
    let (child, _) = client
        .create(&env.at("child"), b"", PERSISTENT)
        .await
        .unwrap();
    let parent = client.check_stat(path).await.unwrap().unwrap();
    assert_eq!(
        (parent.cversion, parent.num_children, parent.pzxid),
        (1, 1, child.czxid)
    );
    client.delete(&env.at("child"), None).await.unwrap();
    client.delete(path, Some(1)).await.unwrap();
    assert_eq!(client.check_stat(path).await.unwrap(), None);
}

pub async fn errors(env: Env) {
    let client = env.client().await;
    let path = &env.path;
    fails(client.get_data(path).await, Error::NoNode);
    fails(client.set_data(path, b"", None).await, Error::NoNode);
    fails(client.delete(path, None).await, Error::NoNode);
    fails(client.list_children(path).await, Error::NoNode);
    fails(client.get_acl(path).await, Error::NoNode);
    fails(client.get_and_watch_data(path).await, Error::NoNode);
    fails(
        client.create(&env.at("x"), b"", PERSISTENT).await,
        Error::NoNode,
    );
    client.create(path, b"", PERSISTENT).await.unwrap();
    fails(
        client.create(path, b"", PERSISTENT).await,
        Error::NodeExists,
    );
    fails(client.set_data(path, b"", Some(7)).await, Error::BadVersion);
    fails(client.delete(path, Some(7)).await, Error::BadVersion);
    client.create(&env.at("e"), b"", EPHEMERAL).await.unwrap();
    fails(
        client.create(&env.at("e/x"), b"", PERSISTENT).await,
        Error::NoChildrenForEphemerals,
    );
    fails(client.delete(path, None).await, Error::NotEmpty);
    let nonsense = [Acl::new(Permission::ALL, AuthId::new("nonsense", "x"))];
    let options = CreateMode::Persistent.with_acls(Acls::new(&nonsense));
    fails(
        client.create(&env.at("y"), b"", &options).await,
        Error::InvalidAcl,
    );
}

pub async fn create_modes(env: Env) {
    let client = env.client_with_root().await;
    let mode = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    for number in 0..10 {
        let (ephemeral, options) = if number % 2 == 0 {
            (false, SEQUENTIAL)
        } else {
            (true, &mode)
        };
        let (stat, sequence) = client.create(&env.at("s-"), b"", options).await.unwrap();
        assert_eq!(sequence.into_i64(), number);
        assert_eq!(sequence.to_string(), format!("{number:010}"));
        let owner = if ephemeral { client.session_id().0 } else { 0 };
        assert_eq!(stat.ephemeral_owner, owner);
        let seen = client
            .check_stat(&env.at(&format!("s-{sequence}")))
            .await
            .unwrap();
        assert_eq!(seen, Some(stat));
    }
    client.mkdir(&env.at("a/b/c"), PERSISTENT).await.unwrap();
    client.mkdir(&env.at("a/b/c"), PERSISTENT).await.unwrap();
    assert!(client.check_stat(&env.at("a/b/c")).await.unwrap().is_some());
    // A client that knows of an old server sends the first create operation, which tells no stat.
    let old = env.connector().with_server_version(3, 4, 0);
    let old = old.connect(&env.server.address()).await.unwrap();
    let (stat, _) = old.create(&env.at("old"), b"", PERSISTENT).await.unwrap();
    assert!(stat.is_invalid());
    assert!(old.check_stat(&env.at("old")).await.unwrap().is_some());
}

pub async fn containers_and_ttl(env: Env) {
    let client = env.client_with_root().await;
    let (stat, _) = client
        .create(&env.at("container"), b"c", CONTAINER)
        .await
        .unwrap();
    assert_eq!(stat.ephemeral_owner, 0);
    client
        .create(&env.at("container/x"), b"", PERSISTENT)
        .await
        .unwrap();
    client.delete(&env.at("container/x"), None).await.unwrap();
    gone(&client, &env.at("container")).await;

    let short = PERSISTENT.clone().with_ttl(Duration::from_millis(400));
    let long = SEQUENTIAL.clone().with_ttl(Duration::from_secs(3600));
    client.create(&env.at("short"), b"t", &short).await.unwrap();
    let (stat, sequence) = client.create(&env.at("long-"), b"t", &long).await.unwrap();
    assert_eq!((stat.ephemeral_owner, sequence.into_i64()), (0, 2));
    gone(&client, &env.at("short")).await;
    let stays = client.check_stat(&env.at("long-0000000002")).await.unwrap();
    assert_eq!(stays, Some(stat));
}

pub async fn children_and_counts(env: Env) {
    let client = env.client_with_root().await;
    let mut want = Vec::new();
    for number in 0..20 {
        let name = format!("c{number:02}");
        let options = if number % 4 == 0 {
            EPHEMERAL
        } else {
            PERSISTENT
        };
        client.create(&env.at(&name), b"", options).await.unwrap();
        want.push(name);
    }
    client
        .create(&env.at("c01/deep"), b"", EPHEMERAL)
        .await
        .unwrap();
    let (mut names, stat) = client.get_children(&env.path).await.unwrap();
    names.sort();
    assert_eq!(names, want);
    assert_eq!((stat.num_children, stat.cversion), (20, 20));
    let mut names = client.list_children(&env.path).await.unwrap();
    names.sort();
    assert_eq!(names, want);
    assert_eq!(
        client.count_descendants_number(&env.path).await.unwrap(),
        21
    );
    assert_eq!(
        client
            .count_descendants_number(&env.at("c02"))
            .await
            .unwrap(),
        0
    );
    fails(
        client.count_descendants_number(&env.at("none")).await,
        Error::NoNode,
    );

    let mut mine = client.list_ephemerals(&env.path).await.unwrap();
    mine.sort();
    let mut want: Vec<String> = (0..20)
        .step_by(4)
        .map(|n| env.at(&format!("c{n:02}")))
        .collect();
    want.insert(1, env.at("c01/deep"));
    assert_eq!(mine, want);
    let other = env.client().await;
    assert_eq!(
        other.list_ephemerals("/").await.unwrap(),
        Vec::<String>::new()
    );
}

pub async fn large_data(env: Env) {
    let client = env.client().await;
    let data: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
    client.create(&env.path, &data, PERSISTENT).await.unwrap();
    assert_eq!(client.get_data(&env.path).await.unwrap().0, data);
    client.set_data(&env.path, b"", None).await.unwrap();
    assert_eq!(client.get_data(&env.path).await.unwrap().0, b"");

    let session = client.session_id();
    fails(
        client.set_data(&env.path, &[0; 1_100_000], None).await,
        Error::ConnectionLoss,
    );
    eventually("connected again", || async {
        client.state() == SessionState::SyncConnected
    })
    .await;
    let stat = ends(client.check_stat(&env.path)).await.unwrap().unwrap();
    assert_eq!((stat.version, client.session_id()), (1, session));
}

pub async fn requests_answer_in_order(env: Env) {
    let client = env.client_with_root().await;
    // The crate sends a request when its future is made, so these are all on their way at once.
    let path = env.at("n-");
    let creates: Vec<_> = (0..500)
        .map(|_| client.create(&path, b"", SEQUENTIAL))
        .collect();
    for (number, create) in creates.into_iter().enumerate() {
        assert_eq!(create.await.unwrap().1.into_i64(), number as i64);
    }
    let mut reads = Vec::new();
    for number in 0..200u8 {
        let set = client.set_data(&env.path, &[number], None);
        reads.push((set, client.get_data(&env.path)));
    }
    for (number, (set, read)) in reads.into_iter().enumerate() {
        assert_eq!(set.await.unwrap().version, number as i32 + 1);
        assert_eq!(
            read.await.unwrap().0,
            [number as u8],
            "a read sees the write before it"
        );
    }
}

pub async fn chroot(env: Env) {
    let root = env.client_with_root().await;
    root.create(&env.at("inner"), b"", PERSISTENT)
        .await
        .unwrap();
    let address = format!("{}{}/inner", env.server.address(), env.path);
    let inner = env.connector().connect(&address).await.unwrap();
    assert_eq!(inner.path(), env.at("inner"));
    inner.create("/a", b"1", PERSISTENT).await.unwrap();
    assert_eq!(root.get_data(&env.at("inner/a")).await.unwrap().0, b"1");
    assert_eq!(inner.list_children("/").await.unwrap(), ["a"]);

    let shared = root.clone().chroot(env.at("inner")).unwrap();
    assert_eq!(shared.session_id(), root.session_id());
    assert_eq!(shared.get_data("/a").await.unwrap().0, b"1");
    let (_, sequence) = shared.create("/a/s-", b"", SEQUENTIAL).await.unwrap();
    assert_eq!(sequence.into_i64(), 0);
    let mut writer = shared.new_multi_writer();
    writer.add_create("/a/b", b"", PERSISTENT).unwrap();
    assert!(matches!(
        writer.commit().await.unwrap().as_slice(),
        [MultiWriteResult::Create { path, .. }] if path == "/a/b"
    ));
}

pub async fn sync(env: Env) {
    let (writer, reader) = (env.client_with_root().await, env.client().await);
    for number in 0..50u8 {
        writer.set_data(&env.path, &[number], None).await.unwrap();
        reader.sync(&env.path).await.unwrap();
        assert_eq!(reader.get_data(&env.path).await.unwrap().0, [number]);
    }
}

pub async fn acls(env: Env) {
    let (owner, stranger) = (env.client().await, env.client().await);
    let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
    fails(
        owner.create(&env.path, b"s", &mine).await,
        Error::InvalidAcl,
    );
    owner.auth("digest", b"ann:secret").await.unwrap();
    owner.create(&env.path, b"s", &mine).await.unwrap();
    let ann = AuthId::new("digest", "ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=");
    let (acl, stat) = owner.get_acl(&env.path).await.unwrap();
    assert_eq!(
        (acl, stat.aversion),
        (vec![Acl::new(Permission::ALL, ann.clone())], 0)
    );

    fails(stranger.get_data(&env.path).await, Error::NoAuth);
    fails(stranger.get_acl(&env.path).await, Error::NoAuth);
    fails(
        stranger.set_acl(&env.path, &Acls::anyone_all(), None).await,
        Error::NoAuth,
    );
    stranger.auth("digest", b"bob:other").await.unwrap();
    fails(stranger.get_data(&env.path).await, Error::NoAuth);

    let who = owner.list_auth_users().await.unwrap();
    assert!(who.contains(&AuthUser::new("ip", "127.0.0.1")), "{who:?}");
    assert!(who.contains(&AuthUser::new("digest", "ann")), "{who:?}");
    assert_eq!(who.len(), 2);

    let both = [
        Acl::new(Permission::ALL, ann),
        Acl::new(Permission::READ | Permission::WRITE, AuthId::anyone()),
    ];
    fails(
        owner.set_acl(&env.path, &both, Some(4)).await,
        Error::BadVersion,
    );
    assert_eq!(
        owner
            .set_acl(&env.path, &both, Some(0))
            .await
            .unwrap()
            .aversion,
        1
    );
    stranger
        .set_data(&env.path, b"by anyone", None)
        .await
        .unwrap();
    fails(
        stranger.create(&env.at("x"), b"", PERSISTENT).await,
        Error::NoAuth,
    );
    let (seen, _) = stranger.get_acl(&env.path).await.unwrap();
    assert_eq!(
        seen[0],
        Acl::new(Permission::ALL, AuthId::new("digest", "ann:x")),
        "no hash"
    );
    assert_eq!(seen[1], both[1]);

    let connector = env.connector().with_auth("digest", b"ann:secret");
    let late = connector.connect(&env.server.address()).await.unwrap();
    late.create(&env.at("late"), b"", &mine).await.unwrap();
}

pub async fn auth_fails(env: Env) {
    let client = env.client().await;
    fails(client.auth("nonsense", b"x").await, Error::AuthFailed);
    eventually("a failed session", || async {
        client.state() == SessionState::AuthFailed
    })
    .await;
}

pub async fn multi_commits_as_one(env: Env) {
    let client = env.client_with_root().await;
    client
        .create(&env.at("old"), b"", PERSISTENT)
        .await
        .unwrap();
    let mut writer = client.new_multi_writer();
    writer.add_check_version(&env.path, 0).unwrap();
    writer.add_create(&env.at("e"), b"e", EPHEMERAL).unwrap();
    writer.add_create(&env.at("s-"), b"s", SEQUENTIAL).unwrap();
    writer.add_create(&env.at("c"), b"c", CONTAINER).unwrap();
    writer.add_set_data(&env.path, b"set", Some(0)).unwrap();
    writer.add_delete(&env.at("old"), None).unwrap();
    let results = writer.commit().await.unwrap();
    assert_eq!(results.len(), 6);
    assert_eq!(results[0], MultiWriteResult::Check);
    assert_eq!(results[5], MultiWriteResult::Delete);
    let MultiWriteResult::SetData { stat: set } = &results[4] else {
        panic!("{results:?}")
    };
    for (index, name) in [(1, "e"), (2, "s-0000000002"), (3, "c")] {
        let MultiWriteResult::Create { path, stat } = &results[index] else {
            panic!("{results:?}")
        };
        assert_eq!((path, stat.czxid), (&env.at(name), set.mzxid));
        assert_eq!(client.check_stat(path).await.unwrap().as_ref(), Some(stat));
    }
    assert_eq!(client.check_stat(&env.at("old")).await.unwrap(), None);

    let mut writer = client.new_check_writer(&env.path, Some(1)).unwrap();
    writer.add_set_data(&env.path, b"again", None).unwrap();
    assert_eq!(writer.commit().await.unwrap().len(), 1);
    assert_eq!(client.new_multi_writer().commit().await.unwrap(), []);
}

pub async fn multi_fails_as_one(env: Env) {
    let client = env.client_with_root().await;
    let mut writer = client.new_multi_writer();
    writer.add_create(&env.at("a"), b"", PERSISTENT).unwrap();
    writer.add_check_version(&env.path, 9).unwrap();
    writer.add_delete(&env.at("a"), None).unwrap();
    let error = MultiWriteError::OperationFailed {
        index: 1,
        source: Error::BadVersion,
    };
    assert_eq!(writer.commit().await, Err(error));
    assert_eq!(client.check_stat(&env.at("a")).await.unwrap(), None);

    let mut writer = client.new_check_writer(&env.at("none"), None).unwrap();
    writer.add_create(&env.at("a"), b"", PERSISTENT).unwrap();
    let error = CheckWriteError::CheckFailed {
        source: Error::NoNode,
    };
    assert_eq!(writer.commit().await, Err(error));
    let mut writer = client.new_check_writer(&env.path, Some(0)).unwrap();
    writer.add_create(&env.path, b"", PERSISTENT).unwrap();
    let error = CheckWriteError::OperationFailed {
        index: 0,
        source: Error::NodeExists,
    };
    assert_eq!(writer.commit().await, Err(error));
    let mut writer = client.new_multi_writer();
    writer.add_create(&env.at("a"), b"", PERSISTENT).unwrap();
    writer.abort();
    assert_eq!(writer.commit().await.unwrap(), []);
}

pub async fn multi_reads(env: Env) {
    let client = env.client_with_root().await;
    client.create(&env.at("a"), b"1", PERSISTENT).await.unwrap();
    let mut reader = client.new_multi_reader();
    reader.add_get_data(&env.at("a")).unwrap();
    reader.add_get_children(&env.path).unwrap();
    reader.add_get_data(&env.at("none")).unwrap();
    reader.add_get_children(&env.at("a")).unwrap();
    let results = reader.commit().await.unwrap();
    let stat_of_a = client.check_stat(&env.at("a")).await.unwrap().unwrap();
    let [
        MultiReadResult::Data { data, stat },
        MultiReadResult::Children { children },
        MultiReadResult::Error { err },
        MultiReadResult::Children { children: none },
    ] = results.as_slice()
    else {
        panic!("{results:?}")
    };
    assert_eq!((data.as_slice(), *stat), (&b"1"[..], stat_of_a));
    assert_eq!(
        (children.as_slice(), none.len()),
        (&["a".to_owned()][..], 0)
    );
    assert_eq!(*err, Error::NoNode);
}

pub async fn members_of_a_standalone_server(env: Env) {
    let client = env.client().await;
    let (config, _) = client.get_config().await.unwrap();
    assert_eq!(config, b"");
    let (config, _, _watcher) = client.get_and_watch_config().await.unwrap();
    assert_eq!(config, b"");
    let joining = EnsembleUpdate::Incremental {
        joinings: ["server.9=127.0.0.1:1:2;3"].iter().copied(),
        leavings: [].iter().copied(),
    };
    fails(
        client.update_ensemble(joining, None).await,
        Error::ReconfigDisabled,
    );
}
