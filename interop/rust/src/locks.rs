//! The crate's lock: contested, of each kind of name, and as a guard of writes.

use std::sync::Arc;

use zookeeper_client::{Acls, Error, LockOptions, LockPrefix};

use crate::harness::{Env, Flag, PERSISTENT, ends, eventually, fails};

pub async fn lock_contested(env: Env) {
    // A read and a write without a version, so that only the lock keeps increments from getting
    // lost.
    const WORKERS: usize = 8;
    const EACH: usize = 5;
    let client = env.client_with_root().await;
    client
        .create(&env.at("counter"), b"0", PERSISTENT)
        .await
        .unwrap();
    let inside = Arc::new(Flag::default());
    let mut tasks = Vec::new();
    for _ in 0..WORKERS {
        let (client, inside) = (env.client().await, inside.clone());
        let (dir, counter) = (env.at("lock"), env.at("counter"));
        tasks.push(tokio::spawn(async move {
            let options = LockOptions::new(Acls::anyone_all())
                .with_ancestor_options(PERSISTENT.clone())
                .unwrap();
            for _ in 0..EACH {
                let prefix = LockPrefix::new_curator(&dir, "lock-").unwrap();
                let lock = client.lock(prefix, b"me", options.clone()).await.unwrap();
                assert!(!inside.set(true), "two inside at once");
                let (data, _) = client.get_data(&counter).await.unwrap();
                let value: usize = String::from_utf8(data).unwrap().parse().unwrap();
                let next = (value + 1).to_string();
                client
                    .set_data(&counter, next.as_bytes(), None)
                    .await
                    .unwrap();
                assert!(inside.set(false));
                drop(lock);
            }
        }));
    }
    for task in tasks {
        ends(task).await.unwrap();
    }
    let (data, _) = client.get_data(&env.at("counter")).await.unwrap();
    assert_eq!(data, (WORKERS * EACH).to_string().as_bytes());
    eventually("all locks are let go", || async {
        client
            .list_children(&env.at("lock"))
            .await
            .unwrap()
            .is_empty()
    })
    .await;
}

pub async fn lock_kinds(env: Env) {
    let (one, two) = (env.client_with_root().await, env.client().await);
    for kind in ["curator", "shared", "custom"] {
        let dir = env.at(kind);
        one.create(&dir, b"", PERSISTENT).await.unwrap();
        let shared = format!("{dir}/n-");
        let prefix = |session: i64| match kind {
            "curator" => LockPrefix::new_curator(&dir, "latch-").unwrap(),
            "shared" => LockPrefix::new_shared(&shared).unwrap(),
            _ => LockPrefix::new_custom(format!("{dir}/x-{session}-"), "x-").unwrap(),
        };
        let first = one
            .lock(prefix(one.session_id().0), b"one", Acls::anyone_all())
            .await
            .unwrap();
        let (data, stat) = one.get_data(first.lock_path()).await.unwrap();
        assert_eq!(
            (data.as_slice(), stat.ephemeral_owner),
            (&b"one"[..], one.session_id().0)
        );

        let second = two.lock(prefix(two.session_id().0), b"two", Acls::anyone_all());
        let release = async {
            eventually("two in line", || async {
                one.list_children(&dir).await.unwrap().len() == 2
            })
            .await;
            drop(first);
        };
        let (second, ()) = ends(async { tokio::join!(second, release) }).await;
        assert_eq!(two.list_children(&dir).await.unwrap().len(), 1);
        drop(second.unwrap());
    }
}

pub async fn lock_guards_writes(env: Env) {
    let client = env.client_with_root().await;
    let prefix = LockPrefix::new_curator(&env.path, "lock-").unwrap();
    let lock = client.lock(prefix, b"", Acls::anyone_all()).await.unwrap();
    let node = env.at("guarded");
    lock.create(&node, b"1", PERSISTENT).await.unwrap();
    assert_eq!(
        lock.set_data(&node, b"2", Some(0)).await.unwrap().version,
        1
    );
    fails(lock.create(&node, b"", PERSISTENT).await, Error::NodeExists);
    let mut writer = lock.new_check_writer();
    writer.add_set_data(&node, b"3", None).unwrap();
    writer.commit().await.unwrap();

    // Somebody takes the lock away: no write goes through any more.
    let owned = lock.into_owned();
    client.delete(owned.lock_path(), None).await.unwrap();
    fails(
        owned.set_data(&node, b"4", None).await,
        Error::RuntimeInconsistent,
    );
    fails(owned.delete(&node, None).await, Error::RuntimeInconsistent);
    assert_eq!(owned.client().get_data(&node).await.unwrap().0, b"3");
}

pub async fn lock_of_an_ended_session(env: Env) {
    let (one, two) = (env.client_with_root().await, env.client().await);
    let prefix = || LockPrefix::new_curator(&env.path, "lock-").unwrap();
    // Forgotten, so that nothing but the end of the session lets it go.
    std::mem::forget(one.lock(prefix(), b"", Acls::anyone_all()).await.unwrap());
    let second = two.lock(prefix(), b"", Acls::anyone_all());
    let end = async {
        eventually("two in line", || async {
            two.list_children(&env.path).await.unwrap().len() == 2
        })
        .await;
        drop(one);
    };
    let (second, ()) = ends(async { tokio::join!(second, end) }).await;
    second.unwrap();
}
