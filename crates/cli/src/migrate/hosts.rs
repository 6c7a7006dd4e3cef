//! Where the members are: from the command line, from a zoo.cfg, from the list of members.

use std::path::Path;

use zooid_config::{Member, Membership, properties};

/// Port of a server whose address names none.
const DEFAULT_PORT: u16 = 2181;

/// Reads `host:port,host:port`.
///
/// # Errors
/// Which address is wrong, and how.
pub(super) fn parse(list: &str) -> Result<Vec<String>, String> {
    let hosts = list
        .split(',')
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .map(one)
        .collect::<Result<Vec<_>, _>>()?;
    if hosts.is_empty() {
        return Err("no server is named: expected host:port,host:port".to_owned());
    }
    Ok(hosts)
}

fn one(text: &str) -> Result<String, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("{text:?}: the port is not a number from 1 to 65535"))?,
    };
    // It goes into commands that a shell runs.
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]%".contains(c);
    if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
        return Err(format!("{text:?}: not a host name or an address"));
    }
    Ok(join(host, port))
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The host of an address that [`parse`] gave, without brackets.
pub(super) fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The port of an address that [`parse`] gave.
pub(super) fn port_of(address: &str) -> &str {
    address.rsplit_once(':').map_or("", |(_, port)| port)
}

/// What a configuration file says of members.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FromFile {
    /// Their addresses for clients.
    pub(super) hosts: Vec<String>,
    /// Port for clients, which members have in common as a rule.
    pub(super) client_port: Option<u16>,
}

/// Reads the members of a configuration file, and of the dynamic one that it names.
///
/// # Errors
/// Which file cannot be read, or what is wrong in it.
pub(super) fn from_file(file: &Path) -> Result<FromFile, String> {
    let read = |path: &Path| {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        properties::parse_text(&properties::latin1(&bytes))
            .map_err(|malformed| format!("{}: {}", path.display(), malformed[0]))
    };
    let mut entries = read(file)?;
    let dynamic = entries
        .iter()
        .find(|entry| entry.key == "dynamicConfigFile")
        .map(|entry| entry.value.trim().to_owned());
    if let Some(dynamic) = dynamic {
        entries.extend(read(Path::new(&dynamic))?);
    }
    let port = entries.iter().rev().find(|entry| entry.key == "clientPort");
    let client_port = port.and_then(|entry| entry.value.trim().parse().ok());
    let mut membership = Membership::default();
    for entry in &entries {
        if entry.key.starts_with("server.") {
            membership
                .add(&entry.key, entry.value.trim(), true)
                .map_err(|why| format!("{}: {}: {why}", file.display(), entry.key))?;
        }
    }
    let mut hosts = Vec::new();
    for member in membership.members.values() {
        hosts.extend(client_address(member, client_port));
    }
    if membership.members.is_empty() {
        hosts.extend(client_port.map(|port| join("localhost", port)));
    }
    Ok(FromFile { hosts, client_port })
}

/// Where clients reach a member, if its line or the common port tell.
pub(super) fn client_address(member: &Member, common_port: Option<u16>) -> Option<String> {
    let host = &member.addresses.first()?.host;
    let text = match &member.client {
        Some(client) => {
            let everywhere = matches!(client.host.as_str(), "0.0.0.0" | "::" | "");
            join(if everywhere { host } else { &client.host }, client.port)
        }
        None => join(host, common_port?),
    };
    // The list of members is from the ensemble, and what it names goes into commands, too.
    one(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_wrong_ones_named() {
        assert_eq!(
            parse("a, b:1 ,[::1]:3,::1").unwrap(),
            ["a:2181", "b:1", "[::1]:3", "[::1]:2181"]
        );
        for wrong in ["", "a:0", "a:x", ":1", "a b:1", "$(reboot):1", "-x:1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(host_of("[::1]:3"), "::1");
        assert_eq!((host_of("b:1"), port_of("b:1")), ("b", "1"));
    }

    #[test]
    fn files_tell_members() {
        let dir = tempfile::tempdir().unwrap();
        let (file, dynamic) = (dir.path().join("zoo.cfg"), dir.path().join("dynamic"));
        std::fs::write(
            &dynamic,
            "server.1=a:1:2:participant;0.0.0.0:5\nserver.2=b:1:2;c:6\n",
        )
        .unwrap();
        let text = format!("clientPort=7\ndynamicConfigFile={}\n", dynamic.display());
        std::fs::write(&file, text).unwrap();
        let found = from_file(&file).unwrap();
        assert_eq!(found.hosts, ["a:5", "c:6"]);
        std::fs::write(&file, "clientPort=7\nserver.1=a:1:2\nserver.2=b:1:2\n").unwrap();
        assert_eq!(from_file(&file).unwrap().hosts, ["a:7", "b:7"]);
        let missing = from_file(&dir.path().join("none")).unwrap_err();
        assert!(missing.contains("none"), "{missing}");
    }
}
