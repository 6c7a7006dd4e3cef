//! Frames for clients: length, header, body.

use zooid_proto::client::{ReplyHeader, WatcherEvent, event, xid};
use zooid_proto::{ErrorCode, Jute, Writer};

/// Bytes of length and header in front of a body.
const HEAD: usize = 4 + 16;

/// Room for a usual reply to a write, or an event, bytes: a mailbox that starts empty does not grow
/// field by field.
const USUAL: usize = 160;

/// Appends a reply. A body that ends in an error leaves no trace: the reply is then a header with
/// that error.
pub(crate) fn reply(
    out: &mut Vec<u8>,
    xid: i32,
    zxid: i64,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), ErrorCode>,
) -> ErrorCode {
    let start = begin(out);
    let err = match body(out) {
        Ok(()) => ErrorCode::Ok,
        Err(code) => {
            out.truncate(start + HEAD);
            code
        }
    };
    finish(out, start, xid, zxid, err);
    err
}

/// Appends a reply whose header carries `err` in front of a body, as few do.
pub(crate) fn reply_with_error(
    out: &mut Vec<u8>,
    xid: i32,
    zxid: i64,
    err: ErrorCode,
    body: impl FnOnce(&mut Writer<'_>),
) {
    let start = begin(out);
    body(&mut Writer::wire(out));
    finish(out, start, xid, zxid, err);
}

/// Appends a reply that is a header only.
pub(crate) fn header(out: &mut Vec<u8>, xid: i32, zxid: i64, err: ErrorCode) {
    reply_with_error(out, xid, zxid, err, |_| {});
}

/// Appends a notification.
pub(crate) fn notification(out: &mut Vec<u8>, zxid: i64, kind: i32, path: &str) {
    let event = WatcherEvent {
        kind,
        state: event::STATE_CONNECTED,
        path: Some(path.into()),
    };
    reply_with_error(out, xid::NOTIFICATION, zxid, ErrorCode::Ok, |to| {
        event.write(to)
    });
}

/// Makes room for the head; where it starts.
fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.reserve(USUAL);
    out.extend_from_slice(&[0; HEAD]);
    start
}

fn finish(out: &mut [u8], start: usize, xid: i32, zxid: i64, err: ErrorCode) {
    let length = i32::try_from(out.len() - start - 4).expect("a reply is shorter than 2 GiB");
    let head = &mut out[start..start + HEAD];
    head[..4].copy_from_slice(&length.to_be_bytes());
    let header = ReplyHeader {
        xid,
        zxid,
        err: err.code(),
    };
    head[4..8].copy_from_slice(&header.xid.to_be_bytes());
    head[8..16].copy_from_slice(&header.zxid.to_be_bytes());
    head[16..20].copy_from_slice(&header.err.to_be_bytes());
}

/// Appends a frame that has no reply header, as the answer to a handshake.
pub(crate) fn bare(out: &mut Vec<u8>, body: impl FnOnce(&mut Writer<'_>)) {
    let start = out.len();
    out.resize(start + 4, 0);
    body(&mut Writer::wire(out));
    let length = i32::try_from(out.len() - start - 4).expect("a frame is shorter than 2 GiB");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_leaves_a_header_only() {
        let mut out = vec![9];
        let err = reply(&mut out, 7, 5, |out| {
            out.extend_from_slice(b"half a body");
            Err(ErrorCode::NoNode)
        });
        assert_eq!(err, ErrorCode::NoNode);
        assert_eq!(out.len(), 1 + HEAD);
        assert_eq!(out[1..5], 16i32.to_be_bytes());
        assert_eq!(out[17..], (-101i32).to_be_bytes());
    }
}
