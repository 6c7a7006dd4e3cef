//! What the stored owner of a node says about its life (`EphemeralType` in Java).

/// Owner of a container.
pub const CONTAINER_OWNER: i64 = i64::MIN;

/// Longest time to live, ms.
pub const MAX_TTL_MS: i64 = (1 << 40) - 1;

const EXTENDED: i64 = 0xFF << 56;

/// The kinds of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerClass {
    /// Lives until it is deleted.
    Void,
    /// Lives as long as a session.
    Ephemeral(i64),
    /// Goes when its last child is gone.
    Container,
    /// Goes when it has no children and was not set for that many ms.
    Ttl(i64),
    /// An extended type that no release defines.
    Illegal,
}

impl OwnerClass {
    /// Classifies a stored owner. `extended` is `zookeeper.extendedTypesEnabled`, `emulate353` is
    /// `zookeeper.emulate353TTLNodes`.
    pub fn of(owner: i64, extended: bool, emulate353: bool) -> OwnerClass {
        match owner {
            0 => OwnerClass::Void,
            CONTAINER_OWNER => OwnerClass::Container,
            _ if extended && emulate353 && owner < 0 => OwnerClass::Ttl(owner & MAX_TTL_MS),
            _ if extended && owner & EXTENDED == EXTENDED => {
                if owner >> 40 & 0xFFFF == 0 {
                    OwnerClass::Ttl(owner & MAX_TTL_MS)
                } else {
                    OwnerClass::Illegal
                }
            }
            _ => OwnerClass::Ephemeral(owner),
        }
    }

    /// The session that clients see as owner, else 0.
    pub fn session(self) -> i64 {
        match self {
            OwnerClass::Ephemeral(session) => session,
            _ => 0,
        }
    }
}

/// The stored owner of a node with a time to live in ms, of which 40 bits are kept.
pub fn ttl_owner(ttl_ms: i64) -> i64 {
    EXTENDED | (ttl_ms & MAX_TTL_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_classify_in_the_order_of_java() {
        let ttl = ttl_owner(5_000);
        assert_eq!(ttl as u64, 0xFF00_0000_0000_1388);
        let cases = [
            (0, true, true, OwnerClass::Void),
            (CONTAINER_OWNER, true, true, OwnerClass::Container),
            (CONTAINER_OWNER, false, false, OwnerClass::Container),
            (ttl, true, false, OwnerClass::Ttl(5_000)),
            (ttl, false, false, OwnerClass::Ephemeral(ttl)),
            (ttl, false, true, OwnerClass::Ephemeral(ttl)),
            (ttl | 1 << 40, true, false, OwnerClass::Illegal),
            (ttl | 1 << 40, true, true, OwnerClass::Ttl(5_000)),
            (-7, true, true, OwnerClass::Ttl(MAX_TTL_MS - 6)),
            (i64::MIN + 9, true, true, OwnerClass::Ttl(9)),
            (
                i64::MIN + 9,
                true,
                false,
                OwnerClass::Ephemeral(i64::MIN + 9),
            ),
            (
                0x1000_0000_0001,
                true,
                true,
                OwnerClass::Ephemeral(0x1000_0000_0001),
            ),
        ];
        for (owner, extended, emulate353, class) in cases {
            assert_eq!(
                OwnerClass::of(owner, extended, emulate353),
                class,
                "{owner:#x}"
            );
        }
    }
}
