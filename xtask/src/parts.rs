//! The table of all parts of `cargo xtask test`, in the order in which they run: what needs no server,
//! one after the other, then suites, two at a time. Of those the long ones come first, so that both lanes end at
//! the same time, and then those that run alone.

use crate::repo;

/// One part of the tests.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
    /// After this time the part is ended and has failed.
    pub(crate) limit_s: u64,
    /// Names in the table of `tools`.
    pub(crate) tools: &'static [&'static str],
}

/// How a part runs and what its output looks like.
pub(crate) enum Kind {
    /// The rules of the house, in this process.
    Tidy,
    /// One command that succeeds or fails.
    Command(&'static [&'static str]),
    /// The same, and what it says is shown also when it succeeds.
    Report(&'static [&'static str]),
    /// One command that counts its checks as suites do.
    Checks(&'static [&'static str]),
    /// A `cargo test`, whose results are counted.
    CargoTest(&'static [&'static str]),
    /// A folder `interop/NAME` with an `install`, which other suites need.
    Install,
    /// A folder `interop/NAME` with `install` and `run`.
    Suite {
        /// Its `install` waits for the network more than for the processor, and calls no cargo: it
        /// may run while cargo builds.
        downloads: bool,
        /// It uses all processors, so no other suite runs beside it.
        alone: bool,
    },
}

impl Part {
    /// True if it tests the built server.
    pub(crate) fn needs_server(&self) -> bool {
        matches!(self.kind, Kind::Suite { .. })
    }

    /// True if its `install` may run ahead, in the background.
    pub(crate) fn downloads(&self) -> bool {
        matches!(
            self.kind,
            Kind::Install
                | Kind::Suite {
                    downloads: true,
                    ..
                }
        )
    }

    /// True if no other part may run beside it.
    pub(crate) fn alone(&self) -> bool {
        !matches!(self.kind, Kind::Suite { alone: false, .. })
    }
}

const MINUTE_S: u64 = 60;
/// A first build of everything on two cores.
const COLD_BUILD_S: u64 = 25 * MINUTE_S;
/// A multiple of what the longest suite takes beside another one.
const SUITE_S: u64 = 25 * MINUTE_S;

/// The workspace, and those that stand beside it.
const FMT: &str = "cargo fmt --all --check \
    && cargo fmt --check --manifest-path fuzz/Cargo.toml \
    && cargo fmt --check --manifest-path interop/rust/Cargo.toml";

const JAVA: &[&str] = &["java", "mvn"];
const PYTHON_AND_JAVA: &[&str] = &["python3", "java", "mvn"];
const VENV_AND_JAVA: &[&str] = &["python3-venv", "java", "mvn"];

const fn cargo(
    name: &'static str,
    about: &'static str,
    kind: Kind,
    tools: &'static [&'static str],
) -> Part {
    Part {
        name,
        about,
        kind,
        limit_s: COLD_BUILD_S,
        tools,
    }
}

const fn suite(
    name: &'static str,
    about: &'static str,
    downloads: bool,
    tools: &'static [&'static str],
) -> Part {
    Part {
        name,
        about,
        kind: Kind::Suite {
            downloads,
            alone: false,
        },
        limit_s: SUITE_S,
        tools,
    }
}

/// A suite beside which nothing runs: it takes all processors, or is a short one of a client library
/// whose own clocks a busy machine may break.
const fn alone(
    name: &'static str,
    about: &'static str,
    downloads: bool,
    tools: &'static [&'static str],
) -> Part {
    Part {
        kind: Kind::Suite {
            downloads,
            alone: true,
        },
        ..suite(name, about, downloads, tools)
    }
}

/// All parts. A suite that is not here is never run: `tidy` looks for that.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "tidy",
        about: "the rules of the house: who may know whom, sizes of files, links, hosts",
        kind: Kind::Tidy,
        limit_s: MINUTE_S,
        tools: &[],
    },
    cargo(
        "fmt",
        "rustfmt",
        Kind::Command(&["sh", "-c", FMT]),
        &["rustfmt"],
    ),
    cargo(
        "clippy",
        "clippy, and what pure crates may not use",
        Kind::Command(&[
            "cargo",
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--keep-going",
            "--",
            "-D",
            "warnings",
        ]),
        &["clippy"],
    ),
    cargo(
        "unit",
        "tests of the crates",
        Kind::CargoTest(&["cargo", "test", "--locked", "--workspace", "--no-fail-fast"]),
        &[],
    ),
    cargo(
        "unit-mutations",
        "tests of agreement and of the simulator with members of Java, which need a feature",
        Kind::CargoTest(&[
            "cargo",
            "test",
            "--locked",
            "--package",
            "zooid-zab",
            "--package",
            "zooid-sim",
            "--features",
            "zooid-sim/mutations",
            "--no-fail-fast",
        ]),
        &[],
    ),
    cargo(
        "fuzz",
        "fuzz targets, from the kept corpus",
        Kind::Checks(&["cargo", "xtask", "fuzz"]),
        &["c++", "clippy"],
    ),
    cargo(
        "deny",
        "licences, banned and foreign libraries",
        Kind::Command(&[
            "cargo", "deny", "--locked", "check", "bans", "licenses", "sources",
        ]),
        &["cargo-deny"],
    ),
    cargo(
        "build",
        "the server, optimised",
        Kind::Command(&[
            "cargo",
            "build",
            "--locked",
            "--release",
            "--package",
            "zooid-cli",
        ]),
        &[],
    ),
    cargo(
        "instructions",
        "instructions of small pieces, compared with those noted: tells, and fails for names only",
        Kind::Report(&["cargo", "xtask", "bench-instructions"]),
        &["valgrind"],
    ),
    Part {
        name: "oracle",
        about: "Apache ZooKeeper, to compare with",
        kind: Kind::Install,
        limit_s: SUITE_S,
        tools: JAVA,
    },
    Part {
        name: "oracle38",
        about: "Apache ZooKeeper 3.8, for ensembles",
        kind: Kind::Install,
        limit_s: SUITE_S,
        tools: JAVA,
    },
    // Two at a time from here on.
    suite(
        "ensemble",
        "ensembles of Zooid, of Apache ZooKeeper 3.9 and 3.8, and of all of them",
        true,
        VENV_AND_JAVA,
    ),
    suite(
        "move",
        "an ensemble that moves from Apache ZooKeeper to Zooid and back under clients in three languages",
        true,
        &["python3-venv", "java", "mvn", "go"],
    ),
    suite(
        "disk",
        "data directories that go from Java to Zooid and back",
        true,
        JAVA,
    ),
    suite(
        "sessions",
        "local sessions and servers that only read, in ensembles of both kinds",
        true,
        VENV_AND_JAVA,
    ),
    suite(
        "observers",
        "observers at followers, and two voters with an oracle, in ensembles of both kinds",
        true,
        VENV_AND_JAVA,
    ),
    suite(
        "differential",
        "the same random requests to Apache ZooKeeper and to Zooid",
        false,
        JAVA,
    ),
    suite(
        "crash",
        "killed servers, full disks, hostile bytes",
        true,
        &["python3", "gcc"],
    ),
    suite(
        "kafka-ensemble",
        "two Kafka brokers on three servers that move to Zooid and back, and whose leaders are killed",
        true,
        JAVA,
    ),
    suite(
        "partitions",
        "ensembles in network namespaces: partitions, loss, full disks, wrong clocks; histories checked",
        true,
        &["go", "python3", "ip", "nft", "faketime", "unshare"],
    ),
    suite(
        "reconfig",
        "members that come, go and change while ensembles of both kinds run",
        true,
        VENV_AND_JAVA,
    ),
    suite(
        "migrate",
        "zooid migrate: an ensemble of Apache ZooKeeper that moves to Zooid and back, and what forbids it",
        true,
        PYTHON_AND_JAVA,
    ),
    suite(
        "crashpoints",
        "a simulated server, crashed at every step of its disk",
        false,
        &[],
    ),
    suite(
        "differential-ensemble",
        "the same random requests to ensembles of both kinds and of Apache ZooKeeper, on every member",
        false,
        JAVA,
    ),
    suite(
        "kafka",
        "two Kafka brokers, killed and restarted servers",
        true,
        JAVA,
    ),
    suite("shell", "zooid cli", true, PYTHON_AND_JAVA),
    suite(
        "bench",
        "the load generator: does it do what it counts",
        false,
        &[],
    ),
    suite(
        "client",
        "the client library of this repository",
        false,
        &[],
    ),
    suite("words", "four-letter words", true, PYTHON_AND_JAVA),
    alone("curator", "Curator and its recipes", true, JAVA),
    alone("java", "the official Java client", true, JAVA),
    alone("rust", "the crate zookeeper-client", false, &[]),
    alone("python", "kazoo and its recipes", true, &["python3-venv"]),
    alone("c", "the C client and its shell", true, &["gcc", "apt-get"]),
    alone("go", "go-zookeeper/zk", true, &["go"]),
    alone(
        "simulation",
        "simulated ensembles under every fault, with the guards of the protocol and without",
        false,
        &[],
    ),
];

/// Folders of `interop/` that measure: they are run by hand.
const MEASUREMENTS: &[&str] = &["failover"];

/// The folders of `interop/` that hold a suite.
pub(crate) fn suites_on_disk() -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(repo().join("interop"))? {
        let entry = entry?;
        if entry.path().join("run").is_file() || entry.path().join("install").is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !MEASUREMENTS.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names.sort();
    Ok(names)
}
