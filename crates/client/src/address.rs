//! The connect string: `host:port,host:port/chroot`.

use zooid_proto::path;

use crate::error::Error;

/// Port of a server whose address names none.
pub const DEFAULT_PORT: u16 = 2181;

/// Servers, and the node that this client takes for the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// `host:port` each, at least one; IPv6 addresses in brackets.
    pub(crate) hosts: Vec<String>,
    /// Empty, or a path without a slash at its end.
    pub(crate) chroot: String,
}

impl Addresses {
    pub(crate) fn parse(text: &str) -> Result<Addresses, Error> {
        let (list, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let chroot = if chroot == "/" { "" } else { chroot };
        if !chroot.is_empty() && path::validate(chroot).is_err() {
            return Err(wrong(chroot, "not a valid path"));
        }
        let hosts = list
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(host_and_port)
            .collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(wrong(text, "no server named, expected host:port"));
        }
        Ok(Addresses {
            hosts,
            chroot: chroot.to_owned(),
        })
    }
}

fn host_and_port(text: &str) -> Result<String, Error> {
    // A second colon outside brackets can only be IPv6 without a port.
    let (host, port) = if text.starts_with('[') {
        match text.find(']') {
            Some(end) if end + 1 == text.len() => (text, None),
            Some(end) if text[end + 1..].starts_with(':') => {
                (&text[..=end], Some(&text[end + 2..]))
            }
            _ => return Err(wrong(text, "a bracket is not closed")),
        }
    } else if text.matches(':').count() > 1 {
        return Ok(format!("[{text}]:{DEFAULT_PORT}"));
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() || host == "[]" {
        return Err(wrong(text, "the host is missing"));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| wrong(text, "the port is not a number from 1 to 65535"))?,
    };
    Ok(format!("{host}:{port}"))
}

fn wrong(address: &str, reason: &'static str) -> Error {
    Error::Address {
        address: address.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<String>, String) {
        let addresses = Addresses::parse(text).unwrap();
        (addresses.hosts, addresses.chroot)
    }

    #[test]
    fn lists_ports_and_chroots() {
        assert_eq!(parsed("a:1"), (vec!["a:1".into()], String::new()));
        assert_eq!(
            parsed("a, b:2 ,[::1]:3,[::1],::1/x/y"),
            (
                ["a:2181", "b:2", "[::1]:3", "[::1]:2181", "[::1]:2181"]
                    .map(String::from)
                    .to_vec(),
                "/x/y".into()
            )
        );
        assert_eq!(parsed("a/").1, "");
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (text, culprit) in [
            ("", "\"\""),
            ("/x", "\"/x\""),
            ("a:0", "\"a:0\""),
            ("a:x", "\"a:x\""),
            ("a:70000", "\"a:70000\""),
            ("[::1", "\"[::1\""),
            (":2181", "\":2181\""),
            ("a/x//y", "\"/x//y\""),
            ("a/x/", "\"/x/\""),
        ] {
            let message = Addresses::parse(text).unwrap_err().to_string();
            assert!(message.contains(culprit), "{text}: {message}");
        }
    }
}
