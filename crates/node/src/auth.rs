//! Who a connection is, and what the schemes accept (`ProviderRegistry` in Java).

use crate::settings::{DigestAlgorithm, Settings};
use base64::Engine;
use sha1::Digest;
use std::net::{IpAddr, Ipv6Addr};
use zooid_proto::client::AuthPacket;
use zooid_proto::records::Id;

/// The scheme of the identity that may do everything.
pub const SUPER: &str = "super";

/// The schemes that can prove an identity here. `world`, `auth` and `super` are not among them,
/// as in Java.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `user:base64(hash(user:password))`.
    Digest,
    /// Address of the peer.
    Ip,
}

impl Scheme {
    /// The scheme of a name, if it is switched on.
    pub fn by_name(settings: &Settings, name: &str) -> Option<Scheme> {
        match name {
            "digest" if settings.digest_auth => Some(Scheme::Digest),
            "ip" => Some(Scheme::Ip),
            _ => None,
        }
    }

    /// Whether its identities count as authenticated, so that `auth` in an ACL stands for them.
    pub fn authenticates(self) -> bool {
        self == Scheme::Digest
    }

    /// Whether `id` can stand in an ACL under the scheme.
    pub fn accepts(self, id: &str) -> bool {
        match self {
            // Java splits at colons and drops empty parts at the end: exactly two must be left.
            Scheme::Digest => {
                let trimmed = id.trim_end_matches(':');
                !trimmed.is_empty() && trimmed.split(':').count() == 2
            }
            Scheme::Ip => parse_network(id).is_some(),
        }
    }

    /// Whether the identity `id` of a connection is meant by the ACL entry `entry`.
    pub fn matches(self, id: &str, entry: &str) -> bool {
        match self {
            Scheme::Digest => id == entry,
            Scheme::Ip => match (parse_network(entry), parse_address(id)) {
                (Some((network, bits)), Some(address)) => {
                    network.len() == address.len() && same_bits(&network, &address, bits)
                }
                _ => false,
            },
        }
    }
}

/// The identities that an auth packet adds to a connection; `None` refuses it.
pub fn authenticate(
    settings: &Settings,
    packet: &AuthPacket<'_>,
    peer: IpAddr,
) -> Option<Vec<Id<'static>>> {
    match Scheme::by_name(settings, packet.scheme.as_deref()?)? {
        Scheme::Ip => Some(vec![ip_identity(peer)]),
        Scheme::Digest => {
            let text = String::from_utf8_lossy(packet.auth.as_deref()?);
            let digest = digest_of(settings.digest_algorithm, &text);
            let mut ids = Vec::new();
            if settings.super_digest.as_deref() == Some(digest.as_str()) {
                ids.push(identity(SUPER, String::new()));
            }
            ids.push(identity("digest", digest));
            Some(ids)
        }
    }
}

/// `user:base64(hash(user:password))` for `user:password`
/// (`DigestAuthenticationProvider.generateDigest` in Java).
pub fn digest_of(algorithm: DigestAlgorithm, text: &str) -> String {
    let hash: Vec<u8> = match algorithm {
        DigestAlgorithm::Sha1 => sha1::Sha1::digest(text).to_vec(),
        DigestAlgorithm::Sha224 => sha2::Sha224::digest(text).to_vec(),
        DigestAlgorithm::Sha384 => sha2::Sha384::digest(text).to_vec(),
        DigestAlgorithm::Sha256 => sha2::Sha256::digest(text).to_vec(),
        DigestAlgorithm::Sha512 => sha2::Sha512::digest(text).to_vec(),
    };
    let user = text.split(':').next().unwrap_or("");
    format!(
        "{user}:{}",
        base64::engine::general_purpose::STANDARD.encode(hash)
    )
}

/// The identity that every connection has from the start.
pub fn ip_identity(peer: IpAddr) -> Id<'static> {
    identity("ip", address_text(peer))
}

/// What whoAmI and logs show of an identity: never more of a digest than its user.
pub fn user_of<'a>(id: &'a Id<'_>) -> &'a str {
    match id.scheme() {
        "digest" => id.name().split(':').next().unwrap_or(""),
        _ => id.name(),
    }
}

fn identity(scheme: &'static str, id: String) -> Id<'static> {
    Id {
        scheme: Some(scheme.into()),
        id: Some(id.into()),
    }
}

/// An address as Java prints it: IPv6 as eight groups without the short form.
pub fn address_text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

fn parse_network(text: &str) -> Option<(Vec<u8>, usize)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<i32>().ok()?)),
        None => (text, None),
    };
    let bytes = parse_address(address)?;
    let all = bytes.len() * 8;
    match bits {
        None => Some((bytes, all)),
        Some(bits) => usize::try_from(bits)
            .ok()
            .filter(|n| *n <= all)
            .map(|n| (bytes, n)),
    }
}

fn parse_address(text: &str) -> Option<Vec<u8>> {
    if text.contains(':') {
        if text.contains('.') {
            return None;
        }
        return text.parse::<Ipv6Addr>().ok().map(|v6| v6.octets().to_vec());
    }
    // Java parses each part as a number: leading zeros are fine.
    let parts: Vec<u8> = text
        .split('.')
        .map(|part| part.parse::<i32>().ok().and_then(|n| u8::try_from(n).ok()))
        .collect::<Option<_>>()?;
    (parts.len() == 4).then_some(parts)
}

fn same_bits(a: &[u8], b: &[u8], bits: usize) -> bool {
    let (whole, rest) = (bits / 8, bits % 8);
    let mask = if rest == 0 { 0 } else { 0xFFu8 << (8 - rest) };
    a[..whole] == b[..whole] && (rest == 0 || (a[whole] ^ b[whole]) & mask == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_digest() {
        let digest = digest_of(DigestAlgorithm::Sha1, "super:test");
        assert_eq!(digest, "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn digest_ids_have_two_parts() {
        for id in ["a:b", ":b", "a:b:"] {
            assert!(Scheme::Digest.accepts(id), "{id}");
        }
        for id in ["", "a", "a:", "a:b:c", ":"] {
            assert!(!Scheme::Digest.accepts(id), "{id}");
        }
    }

    #[test]
    fn ip_ids_are_addresses_with_a_mask_in_range() {
        for id in [
            "127.0.0.1",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "::1",
            "1:2:3:4:5:6:7:8/128",
            "fe80::/10",
        ] {
            assert!(Scheme::Ip.accepts(id), "{id}");
        }
        for id in [
            "",
            "1.2.3",
            "1.2.3.256",
            "127.0.0.1/33",
            "10.0.0.1/-1",
            "::1/256",
            "::ffff:1.2.3.4",
            "x/8",
        ] {
            assert!(!Scheme::Ip.accepts(id), "{id}");
        }
    }

    #[test]
    fn ip_matches_by_leading_bits_of_one_family() {
        assert!(Scheme::Ip.matches("10.1.2.3", "10.0.0.0/8"));
        assert!(!Scheme::Ip.matches("11.1.2.3", "10.0.0.0/8"));
        assert!(Scheme::Ip.matches("10.1.2.3", "10.1.2.2/31"));
        assert!(!Scheme::Ip.matches("10.1.2.4", "10.1.2.2/31"));
        assert!(Scheme::Ip.matches("0:0:0:0:0:0:0:1", "::1"));
        assert!(!Scheme::Ip.matches("a01:203:0:0:0:0:0:0", "10.1.2.3"));
    }

    #[test]
    fn ipv6_is_printed_as_java_prints_it() {
        assert_eq!(address_text("::1".parse().unwrap()), "0:0:0:0:0:0:0:1");
        assert_eq!(address_text("::ffff:1.2.3.4".parse().unwrap()), "1.2.3.4");
    }
}
