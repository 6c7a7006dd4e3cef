//! The binary as an operator meets it: what it says, what it leaves on disk, what it ends with.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest time for anything to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is killed when a test ends.
struct Server {
    child: Child,
    lines: Receiver<String>,
    /// What it said until it served.
    said: String,
    port: u16,
}

impl Server {
    /// Starts the binary and waits until it serves.
    fn start(command: &mut Command) -> Server {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("it is piped");
        let (line, lines) = channel();
        std::thread::spawn(move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    break;
                }
            }
        });
        let mut server = Server {
            child,
            lines,
            said: String::new(),
            port: 0,
        };
        let address = server.wait_for("serving clients address=");
        let port = address
            .split_whitespace()
            .next()
            .and_then(|word| word.rsplit(':').next());
        server.port = port.and_then(|port| port.parse().ok()).expect("a port");
        server
    }

    /// What stands behind `text` in the first line that has it.
    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no {text:?} in:\n{}", self.said));
            self.said.push_str(&line);
            self.said.push('\n');
            if let Some((_, behind)) = line.split_once(text) {
                return behind.to_owned();
            }
        }
    }

    fn word(&self, word: &str) -> String {
        let mut to = TcpStream::connect(("127.0.0.1", self.port)).expect("it serves");
        to.write_all(word.as_bytes()).expect("it reads");
        let mut answer = String::new();
        to.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Ends it as an operator does. Returns its exit code.
    fn stop(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with nothing of the environment that could configure it.
fn zooid(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zooid"));
    command.current_dir(dir);
    for name in [
        "JVMFLAGS",
        "SERVER_JVMFLAGS",
        "ZOOCFGDIR",
        "ZOOCFG",
        "ZOOID_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

/// What a command that ends by itself says, on both ways out, and its exit code.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
}

/// Every file below a directory, but for the lock.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("a readable directory").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.ends_with("zooid.lock") {
            let bytes = fs::read(&path).expect("readable");
            found.insert(path, bytes);
        }
    }
    found
}

/// A copy of what Apache ZooKeeper wrote.
fn fixture(name: &str, to: &Path) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/java-3.9.5");
    let from = from.join(name).join("data/version-2");
    let data = to.join(name);
    fs::create_dir_all(data.join("version-2")).expect("room for a copy");
    for entry in fs::read_dir(from).expect("the fixtures are part of the repository") {
        let path = entry.expect("a readable directory").path();
        let name = path.file_name().expect("it came from a directory");
        fs::copy(&path, data.join("version-2").join(name)).expect("room for a copy");
    }
    data
}

#[test]
fn it_serves_from_data_without_any_configuration() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(zooid(dir.path()).args(["--client-port", "0"]));
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert_says(
        &server.said,
        &[
            &version,
            "3.9.5",
            "data_dir=./data",
            "a new database",
            "zxid=0x0",
            "nodes=",
        ],
    );
    assert_says(&server.word("srvr"), &["Mode: standalone", "Zxid: 0x0"]);
    assert_eq!(server.stop(), Some(0));
    assert!(dir.path().join("data/version-2/snapshot.0").exists());
    let again = Server::start(zooid(dir.path()).args(["serve", "--client-port", "0"]));
    assert_says(&again.said, &["data/version-2/snapshot.0", "zxid=0x0"]);
}

#[test]
fn it_says_what_it_recovered() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = fixture("standalone-all", dir.path());
    let server = Server::start(
        zooid(dir.path())
            .args([
                "--client-port",
                "0",
                "-Dzookeeper.extendedTypesEnabled=true",
            ])
            .arg("--data-dir")
            .arg(data),
    );
    assert_says(
        &server.said,
        &["zxid=0x38", "nodes=35", "sessions=1", "ms="],
    );
    // Java counts the root twice.
    assert_says(&server.word("srvr"), &["Zxid: 0x38", "Node count: 36"]);
}

#[test]
fn java_flags_of_the_environment_are_heard() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(
        zooid(dir.path())
            .args(["--client-port", "0"])
            .env("JVMFLAGS", "-Xmx1g -Dzookeeper.4lw.commands.whitelist=ruok"),
    );
    assert_eq!(server.word("ruok"), "imok");
    let refused = "stat is not executed because it is not in the whitelist.\n";
    assert_eq!(server.word("stat"), refused);
}

#[test]
fn a_directory_has_one_server() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let first = Server::start(zooid(dir.path()).args(["--client-port", "0"]));
    let (code, said) = run(zooid(dir.path()).args(["--client-port", "0"]));
    assert_eq!(code, Some(3), "{said}");
    let pid = format!("process {}", first.child.id());
    assert_says(&said, &["./data/zooid.lock", &pid]);
    assert_says(&first.word("srvr"), &["Mode: standalone"]);
}

#[test]
fn a_port_has_one_server() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let taken = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let (code, said) = run(zooid(dir.path()).args(["--client-port", &port]));
    assert_eq!(code, Some(1), "{said}");
    assert_says(
        &said,
        &[&port, "another server uses the port", "--client-port"],
    );
}

#[test]
fn damaged_data_stop_the_start_and_stay_as_they_are() {
    for (name, file, what) in [
        (
            "corrupt-crc-middle",
            "corrupt-crc-middle/version-2/log.1",
            "at offset 3580",
        ),
        (
            "corrupt-torn-sector",
            "corrupt-torn-sector/version-2/log.1",
            "at offset 6527",
        ),
        (
            "corrupt-zxid-gap",
            "corrupt-zxid-gap/version-2/log.1f",
            "missing",
        ),
        (
            "standalone-all",
            "standalone-all",
            "extendedTypesEnabled=true",
        ),
    ] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fixture(name, dir.path());
        let before = contents(dir.path());
        let on_data = ["--client-port", "0", "--data-dir", name];
        let (code, said) = run(zooid(dir.path()).args(on_data));
        assert_eq!(code, Some(1), "{name}: {said}");
        let (code_of_verify, verified) = run(zooid(dir.path()).args(["verify", name]));
        assert_eq!(code_of_verify, Some(1), "{name}: {verified}");
        for said in [said, verified] {
            assert_says(&said, &[file, what]);
        }
        assert!(contents(dir.path()) == before, "{name}: files were changed");
    }
}

#[test]
fn a_bad_configuration_stops_the_start_with_its_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = "dataDir=./data\nclientPort=0\n# a comment\ntickTime=2s\n";
    fs::write(dir.path().join("zoo.cfg"), config).expect("room for a file");
    for words in [&["--config", "zoo.cfg"], &["check-config", "zoo.cfg"]] {
        let (code, said) = run(zooid(dir.path()).args(words));
        assert_eq!(code, Some(2), "{said}");
        assert_says(&said, &["zoo.cfg:4: tickTime=2s: expected"]);
    }
    assert!(!dir.path().join("data").exists());
    let (code, said) = run(zooid(dir.path()).args(["--config", "absent.cfg"]));
    assert_eq!(code, Some(2), "{said}");
    assert_says(&said, &["absent.cfg"]);
}

#[test]
fn help_is_for_newcomers() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (code, said) = run(zooid(dir.path()).arg("--help"));
    assert_eq!(code, Some(0), "{said}");
    assert_says(
        &said,
        &[
            "2181",
            "./data",
            "serve",
            "check-config",
            "cli",
            "--config",
            "--client-port",
        ],
    );
    let (code, said) = run(zooid(dir.path()).arg("--client-prot=1"));
    assert_eq!(code, Some(2), "{said}");
    assert_says(&said, &["--client-port"]);
}
