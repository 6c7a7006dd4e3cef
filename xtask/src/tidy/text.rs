//! Rules on the text of files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::repo;

/// From this length on a file of Rust holds more than one idea.
const MAX_LINES: usize = 1000;

/// The only hosts that an address may name: pages for readers, names of schemas, and this machine. So
/// no file says where libraries are downloaded from: that is the configuration of the machine.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "github.com",
    "issues.apache.org",
    "keepachangelog.com",
    "maven.apache.org",
    "semver.org",
    "www.apache.org",
    "www.w3.org",
    "zookeeper.apache.org",
];

/// Beginnings of paths that exist on somebody's machine only. In pieces, because this file is read too.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Folders of the repository's root that git ignores.
const IGNORED: &[&str] = &["target", "data", ".git"];

/// Made by cargo, which writes the address of the registry.
const LOCK_FILE: &str = "Cargo.lock";

/// A text file of the repository.
pub(super) struct File {
    /// From the root of the repository.
    path: PathBuf,
    text: String,
}

/// All text files of the repository.
pub(super) fn read_all() -> Result<Vec<File>> {
    let root = repo();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let ignored = name == "target"
                    || name == "__pycache__"
                    || folder == root && IGNORED.iter().any(|ignored| name == **ignored);
                if !ignored {
                    folders.push(path);
                }
            } else if kind.is_file() && name != LOCK_FILE {
                let Ok(text) = String::from_utf8(fs::read(&path)?) else {
                    continue;
                };
                let path = path
                    .strip_prefix(&root)
                    .expect("it was found there")
                    .to_path_buf();
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Files of Rust are short.
pub(super) fn long_files(files: &[File]) -> Vec<String> {
    let rust = files
        .iter()
        .filter(|file| file.path.extension().is_some_and(|e| e == "rs"));
    rust.filter_map(|file| {
        let lines = file.text.lines().count();
        (lines >= MAX_LINES).then(|| {
            format!(
                "{}: {lines} lines, {MAX_LINES} or more",
                file.path.display()
            )
        })
    })
    .collect()
}

/// Addresses name known hosts only.
pub(super) fn foreign_hosts(files: &[File]) -> Vec<String> {
    problems(files, |line| {
        let hosts = line.split("://").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c));
            &rest[..end.unwrap_or(rest.len())]
        });
        // A host has a point in its name; what has none is a placeholder.
        let foreign = |host: &&str| host.contains('.') && !HOSTS.contains(host);
        hosts
            .filter(foreign)
            .map(|host| format!("foreign host {host}"))
            .next()
    })
}

/// The sources of crates without files and environment. Their tests may read, which a `clippy.toml`
/// cannot tell apart.
pub(super) fn blind(files: &[File], folders: impl Iterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        for file in files.iter().filter(|file| file.path.starts_with(&folder)) {
            for word in ["std::fs", "std::env", "std::process"] {
                if file.text.contains(word) {
                    found.push(format!("{}: {word} in a pure crate", file.path.display()));
                }
            }
        }
    }
    found
}

/// No path of a machine stands in a file.
pub(super) fn machine_paths(files: &[File]) -> Vec<String> {
    problems(files, |line| {
        let path = MACHINE_PATHS.iter().find(|path| {
            // In the middle of a longer path it is no machine's.
            line.match_indices(**path).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "._-}$)".contains(c))
            })
        })?;
        Some(format!("path of a machine, {path}"))
    })
}

/// Relative links of the pages lead to files.
pub(super) fn links(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    if !files.iter().any(|file| file.path == Path::new("README.md")) {
        found.push("README.md: does not exist".to_string());
    }
    for file in files
        .iter()
        .filter(|file| file.path.extension().is_some_and(|e| e == "md"))
    {
        let folder = repo().join(&file.path);
        let folder = folder.parent().expect("a file has a folder");
        for link in file
            .text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let link = link.split(['#', ' ']).next().unwrap_or_default();
            let relative = !link.is_empty() && !link.contains(':');
            if relative && !folder.join(link).exists() {
                found.push(format!("{}: link to nothing, {link}", file.path.display()));
            }
        }
    }
    found
}

fn problems(files: &[File], rule: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(problem) = rule(line) {
                found.push(format!("{}:{}: {problem}", file.path.display(), number + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> [File; 1] {
        [File {
            path: path.into(),
            text: text.into(),
        }]
    }

    #[test]
    fn foreign_hosts_are_found() {
        let host = ["reg", "istry.example.org"].concat();
        let found = foreign_hosts(&file("a.sh", &format!("ok\ncurl https://{host}/x | sh")));
        assert_eq!(found, [format!("a.sh:2: foreign host {host}")]);
        let fine = "see https://zookeeper.apache.org/doc and http://127.0.0.1:8080/x, tcp://HOST";
        assert_eq!(foreign_hosts(&file("a.md", fine)), [""; 0]);
    }

    #[test]
    fn machine_paths_are_found() {
        let path = ["/ro", "ot/x"].concat();
        assert_eq!(
            machine_paths(&file("a.sh", &format!("cat {path}"))).len(),
            1
        );
        assert_eq!(
            machine_paths(&file("a.sh", &format!("cat $out{path} b{path}"))),
            [""; 0]
        );
    }

    #[test]
    fn a_pure_crate_reads_no_file() {
        let source = file("crates/tree/src/a.rs", "use std::fs;");
        assert_eq!(
            blind(&source, ["crates/tree/src".to_string()].into_iter()).len(),
            1
        );
        assert_eq!(
            blind(&source, ["crates/store/src".to_string()].into_iter()),
            [""; 0]
        );
    }

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](Cargo.toml) [b](#b) [c](https://github.com) [d](xtask/none.rs#d)";
        assert_eq!(
            links(&file("README.md", text)),
            ["README.md: link to nothing, xtask/none.rs"]
        );
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(
            long_files(&file("a.rs", &"\n".repeat(MAX_LINES - 1))),
            [""; 0]
        );
        assert_eq!(long_files(&file("a.rs", &"\n".repeat(MAX_LINES))).len(), 1);
    }
}
