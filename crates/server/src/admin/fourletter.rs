//! Four-letter words: who may ask, and how an answer travels.

use crate::admin::commands::{self, Ask};
use crate::state::Server;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zooid_node::Link;
use zooid_node::conn::TELNET_CLOSE;

/// Java sends an answer in pieces of this many characters, and counts each as a packet
/// (`BufferedWriter` in `NIOServerCnxn`).
const PACKET_CHARS: usize = 8192;

/// The answer to a word, given what follows it in the same segment. The connection is closed
/// behind it; an empty answer closes it at once.
pub fn answer(server: &Arc<Server>, link: &Arc<Link>, word: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let stats = &server.shared.stats;
    stats.received(link.id, 1, 4);
    link.counters.received.fetch_add(1, Ordering::Relaxed);
    let name = match word {
        TELNET_CLOSE => "telnet close",
        _ => std::str::from_utf8(&word).unwrap_or_default(),
    };
    tracing::debug!(word = name, peer = %link.peer, "four-letter word");
    let ask = Ask {
        server,
        link,
        rest,
        now: server.clock.now(),
    };
    let text = text(&ask, name).unwrap_or_default();
    let packets = text.chars().count().div_ceil(PACKET_CHARS) as u64;
    stats.sent(link.id, packets);
    link.counters.sent.fetch_add(packets, Ordering::Relaxed);
    text.into_bytes()
}

fn text(ask: &Ask<'_>, name: &str) -> Option<String> {
    let words = &ask.server.config.four_letter_words;
    if !words.all && !words.allows(name) {
        return Some(format!(
            "{name} is not executed because it is not in the whitelist.\n"
        ));
    }
    let command = commands::find(name)?;
    match command.not_serving {
        Some(instead) if !ask.server.shared.is_serving() => Some(instead.to_owned()),
        _ => (command.text)(ask),
    }
}
