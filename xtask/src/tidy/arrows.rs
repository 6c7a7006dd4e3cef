//! Who may know whom: the direction of dependencies between the crates.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::repo;

/// One package of the workspace.
struct Room {
    /// Its name without `zooid-`.
    name: &'static str,
    /// The crates of the workspace that it may know.
    knows: &'static [&'static str],
    /// Those that its tests may know besides.
    tests_know: &'static [&'static str],
    /// It has no clock, thread, socket or random hash state: its `clippy.toml` forbids them.
    pure: bool,
    /// It reads files or the environment.
    reads: bool,
}

const fn room(name: &'static str, knows: &'static [&'static str]) -> Room {
    Room {
        name,
        knows,
        tests_know: &[],
        pure: false,
        reads: true,
    }
}

const fn pure(name: &'static str, knows: &'static [&'static str]) -> Room {
    Room {
        name,
        knows,
        tests_know: &[],
        pure: true,
        reads: false,
    }
}

/// The whole layout. A crate that is not here may not exist.
const ROOMS: &[Room] = &[
    pure("proto", &[]),
    // It shares the text of member lists with all who send it.
    Room {
        reads: true,
        ..pure("config", &["proto"])
    },
    // Its tests load directories that Java wrote.
    Room {
        tests_know: &["store"],
        ..pure("tree", &["proto"])
    },
    // It sees transactions as opaque bytes: never the tree.
    pure("zab", &["proto"]),
    // It sees the body of a snapshot as a stream of bytes: never the tree.
    Room {
        reads: true,
        ..pure("store", &["proto"])
    },
    pure("node", &["proto", "tree", "zab", "store"]),
    room(
        "server",
        &["proto", "tree", "zab", "store", "node", "config"],
    ),
    room("client", &["proto"]),
    room("recipes", &["proto", "client"]),
    room("bench", &["proto", "client", "recipes"]),
    // `node` is what `zooid verify` recovers a directory with.
    room(
        "cli",
        &[
            "proto", "store", "node", "config", "server", "client", "recipes", "bench",
        ],
    ),
    // A run must be the same for the same seed. Its examples read their arguments.
    Room {
        reads: true,
        ..pure("sim", &["proto", "tree", "zab", "store", "node", "client"])
    },
    // It does pieces of the server one by one, for who counts their instructions.
    room("microbench", &["proto", "tree", "store", "node"]),
    room("differential", &["proto"]),
    room("xtask", &[]),
];

/// What pure crates may know of the outside: libraries that compute, keep or describe, and never ask
/// the system. A library that does ask belongs into a crate above.
const PURE_LIBRARIES: &[&str] = &[
    "base64",
    "bytes",
    "crc32fast",
    "flate2",
    "foldhash",
    "hashbrown",
    "parking_lot",
    "sha1",
    "sha2",
    "simd-adler32",
    "snap",
    "thiserror",
    "tracing",
];

/// What cargo knows of the workspace. Also fails when `Cargo.lock` is not up to date.
pub(super) fn metadata() -> Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(repo())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata")
}

/// Every dependency between crates of the workspace is in the table.
pub(super) fn directions(metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for package in members(metadata) {
        let name = short(text(package, "name"));
        let Some(room) = find(name) else {
            problems.push(format!(
                "{name}: not in the table of xtask/src/tidy/arrows.rs"
            ));
            continue;
        };
        for dependency in list(package, "dependencies") {
            // Only those in the workspace have a path.
            if dependency["path"].is_null() {
                continue;
            }
            let other = short(text(dependency, "name"));
            let test = dependency["kind"] == "dev";
            if !(room.knows.contains(&other) || test && room.tests_know.contains(&other)) {
                let who = if test { "the tests of " } else { "" };
                problems.push(format!(
                    "{}: {who}{name} may not know {other} (xtask/src/tidy/arrows.rs)",
                    manifest(package)
                ));
            }
        }
    }
    problems
}

/// Pure crates know only pure libraries, and have the `clippy.toml` that forbids the rest.
pub(super) fn pure_crates(metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for package in members(metadata) {
        let name = short(text(package, "name"));
        if !find(name).is_some_and(|room| room.pure) {
            continue;
        }
        for dependency in list(package, "dependencies") {
            let library = text(dependency, "name");
            if dependency["path"].is_null()
                && dependency["kind"].is_null()
                && !PURE_LIBRARIES.contains(&library)
            {
                problems.push(format!(
                    "{}: {library} is not known to be free of clocks, threads and sockets \
                     (xtask/src/tidy/arrows.rs)",
                    manifest(package)
                ));
            }
        }
        let lints = Path::new(text(package, "manifest_path")).with_file_name("clippy.toml");
        let lints = fs::read_to_string(lints).unwrap_or_default();
        for forbidden in [
            "std::time::Instant::now",
            "std::thread::spawn",
            "std::net::TcpStream",
        ] {
            if !lints.contains(forbidden) {
                problems.push(format!(
                    "crates/{name}/clippy.toml: does not forbid {forbidden}"
                ));
            }
        }
    }
    problems
}

/// The folders of crates whose sources may not read files or the environment.
pub(super) fn blind_sources() -> impl Iterator<Item = String> {
    ROOMS
        .iter()
        .filter(|room| !room.reads)
        .map(|room| format!("crates/{}/src", room.name))
}

/// Every package takes the lints of the workspace.
pub(super) fn lints(metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for package in members(metadata) {
        let toml = fs::read_to_string(text(package, "manifest_path")).unwrap_or_default();
        if !toml.contains("[lints]\nworkspace = true") {
            problems.push(format!(
                "{}: does not take the workspace's lints",
                manifest(package)
            ));
        }
    }
    problems
}

fn find(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

/// The packages of the workspace: those that come from no registry.
fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    list(metadata, "packages")
        .iter()
        .filter(|package| package["source"].is_null())
}

fn short(package: &str) -> &str {
    package.strip_prefix("zooid-").unwrap_or(package)
}

fn manifest(package: &Value) -> String {
    let path = Path::new(text(package, "manifest_path"));
    path.strip_prefix(repo())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace(name: &str, dependency: Value) -> Value {
        json!({"packages": [{
            "name": name, "source": null, "manifest_path": "/none/Cargo.toml",
            "dependencies": [dependency],
        }]})
    }

    #[test]
    fn an_arrow_against_the_layout_is_a_problem() {
        let up = json!({"name": "zooid-node", "path": "/none", "kind": null});
        let problems = directions(&workspace("zooid-tree", up));
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("tree may not know node"),
            "{problems:?}"
        );

        let down = json!({"name": "zooid-proto", "path": "/none", "kind": null});
        assert_eq!(directions(&workspace("zooid-tree", down)), [""; 0]);
    }

    #[test]
    fn tests_may_know_more() {
        let dependency =
            |kind: Value| json!({"name": "zooid-store", "path": "/none", "kind": kind});
        assert_eq!(
            directions(&workspace("zooid-tree", dependency(json!("dev")))),
            [""; 0]
        );
        assert_eq!(
            directions(&workspace("zooid-tree", dependency(json!(null)))).len(),
            1
        );
    }

    #[test]
    fn the_table_names_only_rooms_that_stand_in_it() {
        for room in ROOMS {
            for other in room.knows.iter().chain(room.tests_know) {
                assert!(find(other).is_some(), "{} knows {other}", room.name);
            }
        }
    }

    #[test]
    fn a_pure_crate_has_no_runtime() {
        let tokio = json!({"name": "tokio", "path": null, "kind": null});
        let problems = pure_crates(&workspace("zooid-node", tokio));
        assert!(
            problems.iter().any(|problem| problem.contains("tokio")),
            "{problems:?}"
        );
    }
}
