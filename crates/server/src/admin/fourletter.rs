//! Four-letter words.

use crate::state::Server;
use std::sync::Arc;
use zooid_node::Link;

/// The answer to a word, given what follows it in the same segment.
pub fn answer(server: &Arc<Server>, link: &Arc<Link>, word: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let _ = (link, rest);
    let name = String::from_utf8_lossy(&word).into_owned();
    if !server.config.four_letter_words.allows(&name) {
        return format!("{name} is not executed because it is not in the whitelist.\n")
            .into_bytes();
    }
    match &word {
        b"ruok" => b"imok".to_vec(),
        b"srvr" => format!(
            "Zookeeper version: {}\nMode: standalone\n",
            crate::COMPATIBLE_VERSION
        )
        .into_bytes(),
        _ => Vec::new(),
    }
}
