//! A whole state on its way from the leader: finds its end.

use zooid_proto::quorum::{Limits, SnapshotDecoder, SnapshotItem, SnapshotStreamError};

/// A state that is not whole yet.
#[derive(Debug)]
pub(crate) struct Incoming {
    zxid: i64,
    began: u64,
    total: u64,
    decoder: SnapshotDecoder,
}

/// What has come of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// To pass on.
    pub(crate) bytes: Vec<u8>,
    /// If it is whole: what came behind it.
    pub(crate) rest: Option<Vec<u8>>,
}

impl Incoming {
    pub(crate) fn new(zxid: i64, now: u64, limits: Limits) -> Incoming {
        Incoming {
            zxid,
            began: now,
            total: 0,
            decoder: SnapshotDecoder::new(limits),
        }
    }

    pub(crate) fn zxid(&self) -> i64 {
        self.zxid
    }

    /// When it began, ms.
    pub(crate) fn began(&self) -> u64 {
        self.began
    }

    /// Bytes so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Part, SnapshotStreamError> {
        self.decoder.push(bytes);
        let mut whole = false;
        while let Some(item) = self.decoder.next_item()? {
            if item == SnapshotItem::End {
                whole = true;
                break;
            }
        }
        let rest = whole.then(|| self.decoder.take_rest());
        let taken = bytes.len() - rest.as_ref().map_or(0, Vec::len);
        self.total += taken as u64;
        let bytes = bytes[..taken].to_vec();
        Ok(Part { bytes, rest })
    }
}
