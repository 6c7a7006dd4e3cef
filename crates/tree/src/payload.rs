//! Names and data of nodes, packed: slots in steps of four bytes, side by side without a gap.
//!
//! An allocator rounds 135 bytes up to 160, which for a million nodes is as much as their places in
//! the index. And where values change their size, or most nodes go, what is left here moves
//! together: the last slot of its size fills the hole, and chunks at the end are given back.

use crate::arena::{NodeId, Slab};

/// Where the payload of a node is. Vacant slots of the arena have none.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Payload {
    /// Bytes: a head that holds the length of the name and whether the data are null, then the
    /// name, then the data. 0 only without a payload.
    len: u32,
    /// Chunk and slot in it, or the index of a large one.
    at: u32,
}

impl Payload {
    pub(crate) fn is_vacant(self) -> bool {
        self.len == 0
    }
}

/// Heads below this are the whole head; this one announces four bytes of length.
const LONG: u8 = 0xFE;

/// Longer payloads are allocations of their own: rounding them costs less than a tenth of the node.
const LONGEST: usize = 508;

/// Each slot begins with the id of its node, which is told when the slot moves.
const OWNER: usize = size_of::<NodeId>();
const STEP: usize = 4;
/// An allocator adds a page to each, or more.
const CHUNK: usize = 256 << 10;

/// Slots of the smallest size in a chunk fit into so many bits.
const SLOT_BITS: u32 = 12;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
const MOST_SLOTS: usize = 1 << SLOT_BITS;

#[derive(Debug, Default)]
pub(crate) struct Payloads {
    /// By size of slot in steps.
    sizes: Vec<Vec<Vec<u8>>>,
    large: Slab<Box<[u8]>>,
    scratch: Vec<u8>,
}

/// A slot that moved: its node has to know.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Moved {
    pub(crate) owner: NodeId,
    at: u32,
}

impl Moved {
    /// What the owner has from now on.
    pub(crate) fn apply(&self, payload: &mut Payload) {
        payload.at = self.at;
    }
}

/// A payload for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View<'p> {
    pub(crate) name: &'p [u8],
    pub(crate) data: Option<&'p [u8]>,
}

impl Payloads {
    pub(crate) fn add(&mut self, owner: NodeId, name: &[u8], data: Option<&[u8]>) -> Payload {
        let (head, head_len) = head(name.len(), data.is_none());
        let pieces = [&head[..head_len], name, data.unwrap_or_default()];
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let len = u32::try_from(bytes).expect("a node is shorter than 4 GiB");
        if bytes > LONGEST {
            let at = self.large.insert(pieces.concat().into());
            return Payload { len, at };
        }
        let slot = slot_len(bytes);
        let class = slot / STEP;
        if self.sizes.len() <= class {
            self.sizes.resize_with(class + 1, Vec::new);
        }
        let chunks = &mut self.sizes[class];
        let slots = slots_of(slot);
        if chunks.last().is_none_or(|last| last.len() == slots * slot) {
            assert!(
                chunks.len() < 1 << (32 - SLOT_BITS),
                "a tree holds fewer than 2^20 chunks of payloads of one size"
            );
            chunks.push(Vec::with_capacity(slots * slot));
        }
        let number = chunks.len() - 1;
        let chunk = &mut chunks[number];
        let start = chunk.len();
        chunk.extend_from_slice(&owner.to_le_bytes());
        pieces
            .iter()
            .for_each(|piece| chunk.extend_from_slice(piece));
        chunk.resize(start + slot, 0);
        let at = (number as u32) << SLOT_BITS | (start / slot) as u32;
        Payload { len, at }
    }

    /// The slot at the end may move to where this one was.
    pub(crate) fn remove(&mut self, payload: Payload) -> Option<Moved> {
        assert!(!payload.is_vacant(), "a node is removed once");
        if payload.len as usize > LONGEST {
            self.large.remove(payload.at);
            return None;
        }
        let slot = slot_len(payload.len as usize);
        let chunks = &mut self.sizes[slot / STEP];
        let (number, start) = place(payload.at, slot);
        let last = chunks.last_mut().expect("the slot is in one of them");
        let end = last.len() - slot;
        self.scratch.clear();
        self.scratch.extend_from_slice(&last[end..]);
        last.truncate(end);
        let was_last = number == chunks.len() - 1 && start == end;
        if end == 0 {
            chunks.pop();
        }
        if was_last {
            return None;
        }
        chunks[number][start..start + slot].copy_from_slice(&self.scratch);
        let owner = self.scratch.first_chunk().expect("a slot has an owner");
        Some(Moved {
            owner: NodeId::from_le_bytes(*owner),
            at: payload.at,
        })
    }

    /// Other data for a node; its payload from now on, and whose slot moved.
    pub(crate) fn set_data(
        &mut self,
        owner: NodeId,
        payload: Payload,
        data: Option<&[u8]>,
    ) -> (Payload, Option<Moved>) {
        let bytes = self.bytes_mut(payload);
        let (start, end) = name_range(bytes);
        let new = data.unwrap_or_default();
        let len = end + new.len();
        // The usual case: values of about the same size.
        if len == bytes.len() || fits(len, bytes.len()) {
            bytes[0] = bytes[0] & !1 | u8::from(data.is_none());
            let at = payload.at;
            let payload = Payload {
                len: len as u32,
                at,
            };
            self.bytes_mut(payload)[end..].copy_from_slice(new);
            return (payload, None);
        }
        let name = bytes[start..end].to_vec();
        let moved = self.remove(payload);
        (self.add(owner, &name, data), moved)
    }

    pub(crate) fn view(&self, payload: Payload) -> View<'_> {
        let bytes = self.bytes(payload);
        let (start, end) = name_range(bytes);
        View {
            name: &bytes[start..end],
            data: (bytes[0] & 1 == 0).then(|| &bytes[end..]),
        }
    }

    pub(crate) fn name(&self, payload: Payload) -> &[u8] {
        let bytes = self.bytes(payload);
        let (start, end) = name_range(bytes);
        &bytes[start..end]
    }

    /// Bytes of data, 0 for null.
    pub(crate) fn data_len(&self, payload: Payload) -> usize {
        payload.len as usize - name_range(self.bytes(payload)).1
    }

    fn bytes(&self, payload: Payload) -> &[u8] {
        let len = payload.len as usize;
        if len > LONGEST {
            return &self.large[payload.at];
        }
        let slot = slot_len(len);
        let (number, start) = place(payload.at, slot);
        &self.sizes[slot / STEP][number][start + OWNER..start + OWNER + len]
    }

    fn bytes_mut(&mut self, payload: Payload) -> &mut [u8] {
        let len = payload.len as usize;
        if len > LONGEST {
            return &mut self.large[payload.at];
        }
        let slot = slot_len(len);
        let (number, start) = place(payload.at, slot);
        &mut self.sizes[slot / STEP][number][start + OWNER..start + OWNER + len]
    }
}

/// The head of a payload and how long it is.
fn head(name_len: usize, null: bool) -> ([u8; 5], usize) {
    if name_len < usize::from(LONG >> 1) {
        return ([(name_len as u8) << 1 | u8::from(null), 0, 0, 0, 0], 1);
    }
    let len = u32::try_from(name_len).expect("a name is shorter than 4 GiB");
    let [a, b, c, d] = len.to_le_bytes();
    ([LONG | u8::from(null), a, b, c, d], 5)
}

/// Start and end of the name.
fn name_range(bytes: &[u8]) -> (usize, usize) {
    let head = bytes[0];
    if head < LONG {
        return (1, 1 + usize::from(head >> 1));
    }
    let len = u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    (5, 5 + len as usize)
}

/// Bytes of the slot of a payload.
fn slot_len(payload: usize) -> usize {
    OWNER + payload.next_multiple_of(STEP)
}

/// Whether two payloads have slots of the same size.
fn fits(one: usize, other: usize) -> bool {
    one.max(other) <= LONGEST && slot_len(one) == slot_len(other)
}

fn slots_of(slot: usize) -> usize {
    (CHUNK / slot).min(MOST_SLOTS)
}

/// Which chunk, and where in it.
fn place(at: u32, slot: usize) -> (usize, usize) {
    ((at >> SLOT_BITS) as usize, (at & SLOT_MASK) as usize * slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'p>(name: &'p [u8], data: Option<&'p [u8]>) -> View<'p> {
        View { name, data }
    }

    #[test]
    fn payloads_keep_null_and_empty_apart_for_names_of_any_length() {
        for len in [0usize, 1, 126, 127, 128, 300, 507, 508, 70_000] {
            let name = vec![b'n'; len];
            for data in [None, Some(&b""[..]), Some(b"d"), Some(b"data")] {
                let mut payloads = Payloads::default();
                let mut payload = payloads.add(7, &name, data);
                assert_eq!(payloads.view(payload), view(&name, data));
                for next in [
                    None,
                    Some(&b""[..]),
                    Some(b"x"),
                    None,
                    Some(b"xy"),
                    Some(b"zz"),
                ] {
                    let moved;
                    (payload, moved) = payloads.set_data(7, payload, next);
                    assert_eq!(moved, None, "it is alone");
                    assert_eq!(payloads.view(payload), view(&name, next));
                    assert_eq!(payloads.name(payload), name);
                    assert_eq!(payloads.data_len(payload), next.map_or(0, <[u8]>::len));
                    assert!(!payload.is_vacant());
                }
            }
        }
    }

    #[test]
    fn what_is_left_moves_together_and_its_owners_know() {
        let mut payloads = Payloads::default();
        let data =
            |owner: u32, round: usize| vec![owner as u8; owner as usize * 7 % 600 / (round + 1)];
        let name = |owner: u32| format!("n{owner}").into_bytes();
        let mut nodes: Vec<Payload> = (0..5000)
            .map(|owner| payloads.add(owner, &name(owner), Some(&data(owner, 0))))
            .collect();
        let tell = |nodes: &mut Vec<Payload>, moved: Option<Moved>| {
            if let Some(moved) = moved {
                moved.apply(&mut nodes[moved.owner as usize]);
            }
        };
        for round in 1..4 {
            for owner in (0..5000u32).step_by(3) {
                let (payload, moved) =
                    payloads.set_data(owner, nodes[owner as usize], Some(&data(owner, round)));
                // The order in which the tree does it: the moved one may be any other node.
                nodes[owner as usize] = payload;
                tell(&mut nodes, moved);
            }
            for owner in 0..5000u32 {
                let round = if owner % 3 == 0 { round } else { 0 };
                let is = payloads.view(nodes[owner as usize]);
                assert_eq!(is, view(&name(owner), Some(&data(owner, round))), "{owner}");
            }
        }
        let chunks = |payloads: &Payloads| payloads.sizes.iter().map(Vec::len).sum::<usize>();
        assert!(chunks(&payloads) > 100);
        for owner in (0..5000u32).map(|at| at * 1871 % 5000) {
            let payload = std::mem::take(&mut nodes[owner as usize]);
            let moved = payloads.remove(payload);
            tell(&mut nodes, moved);
        }
        assert_eq!(chunks(&payloads), 0);
    }
}
