//! Programs that tests need beyond the Rust toolchain: found, or installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::target;

struct Tool {
    name: &'static str,
    /// Succeeds when the tool is there and complete.
    check: &'static [&'static str],
    source: Source,
}

enum Source {
    /// A Debian package.
    Debian(&'static str),
    /// A component of the toolchain, which rustup adds.
    Rustup,
    /// A crate with the version that the results were seen with.
    Crate {
        name: &'static str,
        version: &'static str,
    },
    /// What is part of a system or not.
    System,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "rustfmt",
        check: &["cargo", "fmt", "--version"],
        source: Source::Rustup,
    },
    Tool {
        name: "clippy",
        check: &["cargo", "clippy", "--version"],
        source: Source::Rustup,
    },
    Tool {
        name: "cargo-deny",
        check: &["cargo", "deny", "--version"],
        source: Source::Crate {
            name: "cargo-deny",
            version: "0.20.2",
        },
    },
    // A runtime without the compiler is not enough.
    Tool {
        name: "java",
        check: &["javac", "-version"],
        source: Source::Debian("openjdk-17-jdk-headless"),
    },
    Tool {
        name: "mvn",
        check: &["mvn", "-version"],
        source: Source::Debian("maven"),
    },
    Tool {
        name: "python3",
        check: &["python3", "--version"],
        source: Source::Debian("python3"),
    },
    // Debian's python3 has no virtual environments without this package.
    Tool {
        name: "python3-venv",
        check: &["python3", "-c", "import venv, ensurepip"],
        source: Source::Debian("python3-venv"),
    },
    Tool {
        name: "go",
        check: &["go", "version"],
        source: Source::Debian("golang-go"),
    },
    Tool {
        name: "gcc",
        check: &["gcc", "--version"],
        source: Source::Debian("gcc"),
    },
    Tool {
        name: "valgrind",
        check: &["valgrind", "--version"],
        source: Source::Debian("valgrind"),
    },
    // With `tc`.
    Tool {
        name: "ip",
        check: &["ip", "-V"],
        source: Source::Debian("iproute2"),
    },
    Tool {
        name: "nft",
        check: &["nft", "--version"],
        source: Source::Debian("nftables"),
    },
    Tool {
        name: "faketime",
        check: &["faketime", "--version"],
        source: Source::Debian("faketime"),
    },
    Tool {
        name: "unshare",
        check: &["unshare", "--mount", "--net", "--pid", "--fork", "true"],
        source: Source::System,
    },
    // For libFuzzer.
    Tool {
        name: "c++",
        check: &["c++", "--version"],
        source: Source::Debian("g++"),
    },
    Tool {
        name: "apt-get",
        check: &["apt-get", "--version"],
        source: Source::System,
    },
];

/// Makes sure that a tool of the table is there; else says what is missing and how to get it.
pub(crate) fn provide(name: &str) -> Result<(), String> {
    let tool = find(name);
    if succeeds(tool.check) {
        return Ok(());
    }
    let (install, may) = match &tool.source {
        Source::Debian(package) => (
            format!(
                "apt-get -qq update && \
                 DEBIAN_FRONTEND=noninteractive apt-get -y -qq install --no-install-recommends {package}"
            ),
            // A user without the right to install decides himself.
            is_root() && succeeds(&["apt-get", "--version"]),
        ),
        Source::Rustup => (format!("rustup component add {name}"), true),
        // Without optimisation and debug information it is built in a third of the time, and it
        // runs for a second.
        Source::Crate { name, version } => (
            format!(
                "CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug {name} \
                 --version {version} --root '{}'",
                tools_folder().display()
            ),
            true,
        ),
        Source::System => return Err(format!("{name} is missing")),
    };
    if may {
        println!("       installing {name}");
        if succeeds(&["sh", "-c", &install]) && succeeds(tool.check) {
            return Ok(());
        }
        return Err(format!(
            "{name} is missing, and this did not provide it: {install}"
        ));
    }
    match &tool.source {
        Source::Debian(package) => Err(format!("{name} is missing (Debian package {package})")),
        _ => Err(format!("{name} is missing")),
    }
}

/// True if a tool of the table is there.
pub(crate) fn is_there(name: &str) -> bool {
    succeeds(find(name).check)
}

/// True if a tool of the table is missing and would come from Debian.
pub(crate) fn asks_debian(name: &str) -> bool {
    let tool = find(name);
    matches!(tool.source, Source::Debian(_)) && !succeeds(tool.check)
}

fn find(name: &str) -> &'static Tool {
    TOOLS
        .iter()
        .find(|tool| tool.name == name)
        .expect("every part names known tools")
}

/// `PATH` with the folder of the programs that were installed for the tests alone.
pub(crate) fn path() -> std::ffi::OsString {
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    folders.push(tools_folder().join("bin"));
    std::env::join_paths(folders).expect("the target folder's name has no colon")
}

fn tools_folder() -> PathBuf {
    target().join("xtask/tools")
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn succeeds(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .env("PATH", path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
