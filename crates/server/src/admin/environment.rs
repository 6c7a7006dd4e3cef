//! What `envi` shows. There is no Java virtual machine: its keys stay, because scripts look for
//! single ones.

use crate::COMPATIBLE_VERSION;
use rustix::process::getuid;
use rustix::system::uname;
use std::ffi::CStr;
use std::path::Path;

const NONE: &str = "n/a";

/// The text of `envi`.
pub fn text() -> String {
    let system = uname();
    let lossy = |text: &CStr| text.to_string_lossy().into_owned();
    let (name, home) = user();
    let current = std::env::current_dir();
    let (free, total) = memory();
    let none = || NONE.to_owned();
    let pairs = [
        ("zookeeper.version", COMPATIBLE_VERSION.to_owned()),
        ("host.name", lossy(system.nodename())),
        ("java.version", none()),
        ("java.vendor", none()),
        ("java.home", none()),
        ("java.class.path", none()),
        ("java.library.path", none()),
        ("java.io.tmpdir", shown(&std::env::temp_dir())),
        ("java.compiler", none()),
        ("os.name", lossy(system.sysname())),
        ("os.arch", architecture().to_owned()),
        ("os.version", lossy(system.release())),
        ("user.name", name.unwrap_or_else(none)),
        ("user.home", home.unwrap_or_else(none)),
        (
            "user.dir",
            current.map_or_else(|_| none(), |dir| shown(&dir)),
        ),
        ("os.memory.free", megabytes(free)),
        ("os.memory.max", megabytes(total)),
        ("os.memory.total", megabytes(total)),
    ];
    let mut out = "Environment:\n".to_owned();
    for (key, value) in pairs {
        // A value with a line end would look like a key.
        let value = value.replace(['\n', '\r'], " ");
        out.push_str(&format!("{key}={value}\n"));
    }
    out
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Java's names of architectures.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        other => other,
    }
}

/// Name and home of the user that the process runs as: from the list of users, else from the
/// environment.
fn user() -> (Option<String>, Option<String>) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    if let Some((name, home)) = find_user(&users, getuid().as_raw()) {
        return (Some(name.to_owned()), Some(home.to_owned()));
    }
    (std::env::var("USER").ok(), std::env::var("HOME").ok())
}

fn find_user(users: &str, uid: u32) -> Option<(&str, &str)> {
    let uid = uid.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(())?;
        Some((name, fields.nth(2)?))
    })
}

/// Memory of the machine, available and in all, bytes. Java shows its heap here.
fn memory() -> (Option<u64>, Option<u64>) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    (
        find_memory(&text, "MemAvailable:"),
        find_memory(&text, "MemTotal:"),
    )
}

fn find_memory(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| NONE.to_owned(), |bytes| format!("{}MB", bytes >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_java_are_there_in_order() {
        let text = text();
        let keys: Vec<_> = text
            .lines()
            .map(|line| line.split('=').next().unwrap())
            .collect();
        let expected = "Environment: zookeeper.version host.name java.version java.vendor \
            java.home java.class.path java.library.path java.io.tmpdir java.compiler os.name \
            os.arch os.version user.name user.home user.dir os.memory.free os.memory.max \
            os.memory.total";
        assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
        assert!(text.contains("\nzookeeper.version=3.9.5-"));
    }

    #[test]
    fn the_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbad\nzk:x:10:10::/home/zk:/bin/sh\n";
        assert_eq!(find_user(users, 10), Some(("zk", "/home/zk")));
        assert_eq!(find_user(users, 1), None);
    }

    #[test]
    fn memory_is_read_in_kib() {
        let text = "MemTotal:       2048 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(find_memory(text, "MemAvailable:"), Some(1 << 20));
        assert_eq!(find_memory(text, "Swap:"), None);
        assert_eq!(megabytes(Some(370 << 20)), "370MB");
    }
}
