//! What the parts of a peer share: effects on their way out, and numbers that are given once.

use std::collections::VecDeque;

use crate::io::{ConnId, DiskOp, Effect, Port, Sid, Token};

/// Bytes of one effect, above which the next send is another one.
const MAX_TOGETHER: usize = 64 << 10;

/// Effects in order, and the counters behind connections, disk operations and random choices.
#[derive(Debug)]
pub(crate) struct Out {
    effects: VecDeque<Effect>,
    next_conn: u64,
    next_token: Token,
    random: u64,
}

impl Out {
    pub(crate) fn new(seed: u64) -> Out {
        Out {
            effects: VecDeque::new(),
            next_conn: 1,
            next_token: 1,
            random: seed,
        }
    }

    /// The oldest effect.
    pub(crate) fn pop(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn dial(
        &mut self,
        sid: Sid,
        port: Port,
        addresses: Vec<String>,
        timeout_ms: u64,
    ) -> ConnId {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.push(Effect::Dial {
            conn,
            sid,
            port,
            addresses,
            timeout_ms,
        });
        conn
    }

    pub(crate) fn send(&mut self, conn: ConnId, bytes: Vec<u8>) {
        self.push(Effect::Send { conn, bytes });
    }

    /// Sends bytes; what goes to one connection in a row goes together.
    pub(crate) fn send_on(&mut self, conn: ConnId, bytes: Vec<u8>) {
        match self.effects.back_mut() {
            Some(Effect::Send {
                conn: last,
                bytes: before,
            }) if *last == conn && before.len() < MAX_TOGETHER => before.extend_from_slice(&bytes),
            _ => self.push(Effect::Send { conn, bytes }),
        }
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        self.push(Effect::Close { conn });
    }

    /// Asks for a disk operation; [`Input::Persisted`](crate::Input::Persisted) with the token
    /// follows.
    pub(crate) fn disk(&mut self, op: DiskOp) -> Token {
        let token = self.next_token;
        self.next_token += 1;
        self.push(Effect::Disk { token, op });
        token
    }

    /// A number from 0 to `bound - 1` (SplitMix64).
    pub(crate) fn random(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }
}
