//! What every check stands on: a server of its own, clients, waiting, and the runner.

use std::future::Future;
use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use zookeeper_client::{Acls, Client, Connector, CreateMode, CreateOptions, Error, WatchedEvent};

/// A check that has not ended by then has failed; the others still run.
const CHECK_DEADLINE: Duration = Duration::from_secs(40);
const WAIT_DEADLINE: Duration = Duration::from_secs(15);
/// Checks that run at the same time: the long ones wait for a session to expire.
const AT_ONCE: usize = 3;

pub const PERSISTENT: &CreateOptions<'static> =
    &CreateMode::Persistent.with_acls(Acls::anyone_all());
pub const EPHEMERAL: &CreateOptions<'static> = &CreateMode::Ephemeral.with_acls(Acls::anyone_all());
pub const SEQUENTIAL: &CreateOptions<'static> =
    &CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
pub const CONTAINER: &CreateOptions<'static> = &CreateMode::Container.with_acls(Acls::anyone_all());

/// A check passes when it returns; it fails by panicking.
pub struct Check {
    pub name: &'static str,
    pub run: fn(Env) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// One check's view: its server and a path that only it uses.
pub struct Env {
    folder: PathBuf,
    pub server: Arc<Server>,
    pub path: String,
}

/// One server process with a port and a folder of its own.
pub struct Server {
    folder: PathBuf,
    port: u16,
}

static STARTED: Mutex<Vec<Arc<Server>>> = Mutex::new(Vec::new());

impl Server {
    async fn new(folder: PathBuf) -> Result<Arc<Server>, String> {
        let printed = Command::new(script()?.with_file_name("ports.sh"))
            .output()
            .await
            .map_err(|error| format!("ports.sh: {error}"))?;
        let port = String::from_utf8_lossy(&printed.stdout)
            .trim()
            .parse()
            .map_err(|_| format!("ports.sh: {}", String::from_utf8_lossy(&printed.stderr)))?;
        let server = Arc::new(Server { folder, port });
        STARTED.lock().unwrap().push(server.clone());
        server.try_start().await?;
        Ok(server)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    async fn try_start(&self) -> Result<(), String> {
        let kind = std::env::var("SERVER").unwrap_or_default();
        self.call(&["start", &kind, &self.port.to_string()]).await
    }

    pub async fn start(&self) {
        self.try_start().await.unwrap();
    }

    /// Ends the process as a crash does (kill -9).
    pub async fn kill(&self) {
        self.call(&["kill"]).await.unwrap();
    }

    async fn call(&self, words: &[&str]) -> Result<(), String> {
        // Containers and TTL nodes go with the first sweep after their time: a short interval
        // keeps the suite short.
        let flags = "-Dzookeeper.extendedTypesEnabled=true -Dznode.container.checkIntervalMs=300";
        let done = Command::new(script()?)
            .args(words)
            .arg(&self.folder)
            .env("JVMFLAGS", flags)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| format!("server.sh: {error}"))?;
        if done.status.success() {
            return Ok(());
        }
        Err(format!(
            "server.sh {}: {}",
            words[0],
            String::from_utf8_lossy(&done.stderr)
        ))
    }
}

/// `interop/server.sh`.
fn script() -> Result<PathBuf, String> {
    let script = std::env::var_os("SERVER_SH").ok_or("SERVER_SH is not set")?;
    Ok(PathBuf::from(script))
}

impl Env {
    /// Gives this check a server that it may kill.
    pub async fn own_server(&mut self) {
        let folder = self.folder.join(format!("server-of-{}", &self.path[1..]));
        self.server = Server::new(folder).await.unwrap();
    }

    /// The path of a node under this check's own.
    pub fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    pub fn connector(&self) -> Connector {
        Client::connector().with_session_timeout(Duration::from_secs(10))
    }

    pub async fn client(&self) -> Client {
        self.connector()
            .connect(&self.server.address())
            .await
            .unwrap()
    }

    /// A client, after it made this check's own node.
    pub async fn client_with_root(&self) -> Client {
        let client = self.client().await;
        client
            .create(&self.path, b"root", PERSISTENT)
            .await
            .unwrap();
        client
    }
}

/// Polls until the condition holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let end = Instant::now() + WAIT_DEADLINE;
    while !condition().await {
        assert!(Instant::now() < end, "not in {WAIT_DEADLINE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the node is gone.
pub async fn gone(client: &Client, path: &str) {
    eventually(&format!("{path} is gone"), || async {
        client.check_stat(path).await.unwrap().is_none()
    })
    .await;
}

/// Waits for a watcher's next event.
#[track_caller]
pub fn soon(event: impl Future<Output = WatchedEvent>) -> impl Future<Output = WatchedEvent> {
    ends(event)
}

/// Waits for a future that has to end, such as getting a lock.
#[track_caller]
pub fn ends<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        match timeout(WAIT_DEADLINE, future).await {
            Ok(value) => value,
            Err(_) => panic!("nothing in {WAIT_DEADLINE:?} at {caller}"),
        }
    }
}

/// Requires exactly this error.
#[track_caller]
pub fn fails<T: std::fmt::Debug>(result: Result<T, Error>, want: Error) {
    assert_eq!(result.expect_err("an error"), want);
}

type Failure = Arc<Mutex<String>>;

tokio::task_local! {
    /// Where the running check's panic is noted.
    static FAILURE: Failure;
}

/// Notes a check's panic with its place; those of other tasks go to the standard error.
fn note_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        let noted = FAILURE.try_with(|failure| failure.lock().unwrap().clone_from(&text));
        if noted.is_err() {
            eprintln!("{text}");
        }
    }));
}

/// Runs the checks (those named in `wanted`, if any) and gives the exit code.
pub async fn run_all(checks: &[Check], wanted: &[String]) -> i32 {
    note_panics();
    let folder = std::env::temp_dir().join(format!("zooid-rust-{}", std::process::id()));
    let code = tokio::select! {
        code = run_in(&folder, checks, wanted) => code,
        () = asked_to_end() => 143,
    };
    let started = std::mem::take(&mut *STARTED.lock().unwrap());
    for server in started {
        server.kill().await;
    }
    let _ = std::fs::remove_dir_all(&folder);
    code
}

async fn asked_to_end() {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a signal handler");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn run_in(folder: &Path, checks: &[Check], wanted: &[String]) -> i32 {
    let shared = match Server::new(folder.join("server")).await {
        Ok(server) => server,
        Err(error) => {
            say(format_args!("FAIL start: {error}"));
            return 1;
        }
    };
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for check in checks {
        let name = check.name.replace('_', "-");
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let env = Env {
            folder: folder.to_owned(),
            server: shared.clone(),
            path: format!("/{name}"),
        };
        let (places, run) = (places.clone(), check.run);
        let task = tokio::spawn(async move {
            let _place = places.acquire().await;
            let failure = Failure::default();
            let check = tokio::spawn(FAILURE.scope(failure.clone(), run(env)));
            match timeout(CHECK_DEADLINE, check).await {
                Ok(Ok(())) => None,
                Ok(Err(_)) => Some(failure.lock().unwrap().clone()),
                Err(_) => Some(format!("no end in {CHECK_DEADLINE:?}")),
            }
        });
        running.push((name, task));
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, task) in running {
        match task.await.unwrap_or_else(|error| Some(error.to_string())) {
            None => {
                passed += 1;
                say(format_args!("ok {name}"));
            }
            Some(failure) => {
                failed += 1;
                say(format_args!("FAIL {name}: {}", failure.replace('\n', " ")));
            }
        }
    }
    say(format_args!("{passed} passed, {failed} failed"));
    if failed == 0 && passed > 0 { 0 } else { 1 }
}

/// Prints a line; a reader that stops reading (`run | head`) must not end the suite before its
/// servers.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A flag that one task sets and others read.
#[derive(Default)]
pub struct Flag(AtomicBool);

impl Flag {
    /// Sets it and gives the value before.
    pub fn set(&self, value: bool) -> bool {
        self.0.swap(value, Ordering::SeqCst)
    }
}
