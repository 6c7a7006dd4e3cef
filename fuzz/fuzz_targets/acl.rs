//! ACLs as the shell reads them, as they travel, and as a server takes them; auth packets.

#![no_main]

// The shell is a program and no library.
#[path = "../../crates/cli/src/shell/acls.rs"]
mod text;

use zooid_fuzz::memory::Bound;
use zooid_fuzz::{Bytes, target};
use zooid_node::acl::{accept, allows};
use zooid_node::auth::{Scheme, authenticate, ip_identity, user_of};
use zooid_node::{DigestAlgorithm, Settings};
use zooid_proto::client::AuthPacket;
use zooid_proto::records::Acl;
use zooid_proto::{Jute, Reader};

// An entry is at least 3 bytes of text and 72 in memory, in a vector that doubles; the server makes
// a second list.
const BOUND: Bound = Bound {
    fixed: 64 << 10,
    per_byte: 300,
};

target!(BOUND, |input: &[u8]| {
    let mut input = Bytes(input);
    let mode = input.byte();
    let algorithm = match mode >> 4 {
        0 => DigestAlgorithm::Sha224,
        1 => DigestAlgorithm::Sha256,
        2 => DigestAlgorithm::Sha384,
        3 => DigestAlgorithm::Sha512,
        _ => DigestAlgorithm::Sha1,
    };
    let settings = Settings {
        digest_algorithm: algorithm,
        digest_auth: mode & 8 == 0,
        ..Settings::default()
    };
    let peer = match mode & 4 {
        0 => [127, 0, 0, 1].into(),
        _ => [0, 0, 0, 0, 0, 0xffff, 0x7f00, 1].into(),
    };
    let mut ids = vec![ip_identity(peer)];
    let text = String::from_utf8_lossy(input.0);
    let list = match mode & 3 {
        0 => text::parse(&text).ok(),
        1 => Option::<Vec<Acl<'_>>>::read(&mut Reader::of_request(input.0)).unwrap_or_default(),
        _ => {
            let (scheme, auth) = text.split_once(':').unwrap_or((&text, ""));
            let packet = AuthPacket {
                kind: 0,
                scheme: Some(scheme.into()),
                auth: Some(auth.as_bytes().into()),
            };
            ids.extend(authenticate(&settings, &packet, peer).unwrap_or_default());
            for scheme in [Scheme::Ip, Scheme::Digest] {
                let _ = scheme.matches(auth, auth);
                // What may stand in an ACL can be compared with any identity.
                if scheme.accepts(auth) {
                    let _ = scheme.matches("127.0.0.1", auth);
                }
            }
            Some(vec![Acl::new(31, scheme, auth), Acl::new(1, "auth", "")])
        }
    };
    for id in &ids {
        let _ = user_of(id);
    }
    let Ok(taken) = accept(&settings, list, &ids) else {
        return;
    };
    assert!(!taken.is_empty());
    let _ = (allows(&settings, &taken, 1, &ids), text::show(&taken));
    let again = accept(&settings, Some(taken.clone()), &ids);
    assert_eq!(
        again.as_ref(),
        Ok(&taken),
        "an accepted list is accepted again"
    );
});
