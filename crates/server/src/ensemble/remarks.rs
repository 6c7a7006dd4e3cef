//! What operators are told of connections that are not as they should be: the first of a kind at once,
//! of those that follow within a while their number and the last one. So whoever knocks on a port of
//! members a thousand times costs a few lines, and one that has to do with a member is not lost among
//! them.

use crate::strangers;
use std::collections::BTreeMap;
use zooid_zab::Sid;

/// One line per member, and one for all that are none, in so many ms.
const ONCE_IN_MS: i64 = 5_000;

/// The first bytes that are kept of a connection, to name who speaks.
pub const FIRST_BYTES: usize = 16;

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The address at the other end, and which port of this server it is, or what is known of it.
    pub peer: String,
    /// What is to be said.
    pub what: String,
    /// How many there were since the last line, this one with them.
    pub times: u64,
}

/// What was said, and what waits.
#[derive(Debug, Default)]
pub struct Remarks {
    /// By the number of the member; `None` for all others.
    windows: BTreeMap<Option<Sid>, Window>,
}

#[derive(Debug)]
struct Window {
    ends_ms: i64,
    /// Those that were not told, and the last of them.
    held: Option<Line>,
}

impl Remarks {
    /// Something happened: the line, if it is to be told now. `sid` is one of the members or `None`, so
    /// that there are only so many.
    pub fn note(
        &mut self,
        sid: Option<Sid>,
        peer: String,
        what: String,
        now_ms: i64,
    ) -> Option<Line> {
        let line = Line {
            peer,
            what,
            times: 1,
        };
        if let Some(window) = self.windows.get_mut(&sid) {
            let before = window.held.as_ref().map_or(0, |held| held.times);
            let times = before + 1;
            window.held = Some(Line { times, ..line });
            return None;
        }
        let ends_ms = now_ms + ONCE_IN_MS;
        self.windows.insert(
            sid,
            Window {
                ends_ms,
                held: None,
            },
        );
        Some(line)
    }

    /// What was held back long enough.
    pub fn due(&mut self, now_ms: i64) -> Vec<Line> {
        let mut due = Vec::new();
        self.windows.retain(|_, window| {
            if now_ms < window.ends_ms {
                return true;
            }
            let held = window.held.take();
            let told = held.is_some();
            due.extend(held);
            window.ends_ms = now_ms + ONCE_IN_MS;
            told
        });
        due
    }

    /// Writes a line.
    pub fn tell(line: &Line) {
        match line.times {
            1 => tracing::warn!("connection with {} {}", line.peer, line.what),
            times => tracing::warn!(
                times,
                "{times} more connections, the last one with {} {}",
                line.peer,
                line.what
            ),
        }
    }
}

/// Who speaks on a port of members, if these first bytes tell.
pub fn name(first: &[u8]) -> Option<&'static str> {
    match first {
        [0x16, 0x03, ..] => Some("a TLS client (members speak plain text here; see sslQuorum)"),
        _ => strangers::name(first).or_else(|| {
            // The handshake of a client of ZooKeeper: its length, and protocol version 0.
            let handshake = matches!(first, [0, 0, 0, 44 | 45, 0, 0, 0, 0, ..]);
            let word = zooid_node::conn::FOUR_LETTER_WORDS
                .iter()
                .any(|word| first.starts_with(&word[..]));
            (handshake || word).then_some(
                "a client of ZooKeeper (this is a port for members; clients use clientPort)",
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(remarks: &mut Remarks, sid: Option<Sid>, at: i64) -> Option<Line> {
        remarks.note(sid, format!("peer {at}"), "is odd".into(), at)
    }

    #[test]
    fn the_first_is_told_and_the_rest_counted() {
        let mut remarks = Remarks::default();
        assert_eq!(note(&mut remarks, None, 0).unwrap().times, 1);
        for at in 1..100 {
            assert_eq!(note(&mut remarks, None, at), None);
        }
        assert_eq!(remarks.due(ONCE_IN_MS - 1), []);
        let due = remarks.due(ONCE_IN_MS);
        assert_eq!((due.len(), due[0].times), (1, 99));
        assert_eq!(due[0].peer, "peer 99");
        // It goes on: still one line in a while.
        assert_eq!(note(&mut remarks, None, ONCE_IN_MS + 1), None);
        assert_eq!(remarks.due(2 * ONCE_IN_MS)[0].times, 1);
        assert_eq!(remarks.due(3 * ONCE_IN_MS), []);
        assert!(note(&mut remarks, None, 3 * ONCE_IN_MS).is_some());
    }

    #[test]
    fn a_member_is_not_lost_among_strangers() {
        let mut remarks = Remarks::default();
        assert!(note(&mut remarks, None, 0).is_some());
        assert!(note(&mut remarks, None, 1).is_none());
        assert!(note(&mut remarks, Some(3), 2).is_some());
        assert!(note(&mut remarks, Some(3), 3).is_none());
        assert!(note(&mut remarks, Some(2), 4).is_some());
    }

    #[test]
    fn who_took_the_wrong_port_is_named() {
        assert!(name(b"GET / HTTP/1.1").unwrap().contains("HTTP"));
        assert!(name(&[0x16, 3, 1, 2, 0]).unwrap().contains("sslQuorum"));
        assert!(name(b"srvr").unwrap().contains("clientPort"));
        let handshake = [0, 0, 0, 45, 0, 0, 0, 0, 0, 0];
        assert!(name(&handshake).unwrap().contains("clientPort"));
        // What a member says first on either port.
        assert_eq!(name(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]), None);
        assert_eq!(name(&[0, 0, 0, 11, 0, 0, 0, 0]), None);
    }
}
