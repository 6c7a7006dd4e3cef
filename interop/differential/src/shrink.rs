//! The search for the shortest case that still shows a difference.

use std::time::Instant;

use anyhow::Result;
use zooid_proto::client::MultiRequest;
use zooid_proto::ops::Request;

use crate::difference::Difference;
use crate::item::{Item, Req};

/// Drops steps, and parts of steps, as long as the difference stays of the same kind.
pub(crate) fn shrink(
    items: &mut Vec<Item>,
    difference: &mut Difference,
    deadline: Instant,
    mut replay: impl FnMut(&[Item]) -> Result<Option<Difference>>,
) -> Result<()> {
    let mut fails = |fewer: Vec<Item>, items: &mut Vec<Item>| -> Result<bool> {
        match replay(&fewer)? {
            Some(found) if found.signature == difference.signature => {
                *items = fewer;
                *difference = found;
                Ok(true)
            }
            _ => Ok(false),
        }
    };
    let mut size = items.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < items.len() && Instant::now() < deadline {
            let mut fewer = items[..at].to_vec();
            fewer.extend_from_slice(&items[(at + size).min(items.len())..]);
            if !fails(fewer, items)? {
                at += size;
            }
        }
        size = if size == 1 {
            0
        } else {
            size.div_ceil(2).min(size - 1)
        };
    }
    let mut at = 0;
    while at < items.len() {
        let candidates = match &items[at] {
            Item::Request { req, .. } => simpler(req),
            _ => Vec::new(),
        };
        let mut smaller = false;
        for candidate in candidates {
            if Instant::now() >= deadline {
                return Ok(());
            }
            let mut fewer = items.clone();
            if let Item::Request { req, .. } = &mut fewer[at] {
                *req = candidate;
            }
            if fails(fewer, items)? {
                smaller = true;
                break;
            }
        }
        if !smaller {
            at += 1;
        }
    }
    Ok(())
}

/// The same request with a part less.
fn simpler(req: &Req) -> Vec<Req> {
    let Some(request) = req.decode() else {
        return Vec::new();
    };
    let made = [Req::new, Req::new_utf8]
        .into_iter()
        .find(|make| make(req.xid, &request).body == req.body);
    let Some(make) = made else { return Vec::new() };
    let mut out = Vec::new();
    let mut push = |request: Request<'_>| {
        out.push(Req {
            shape: req.shape,
            ..make(req.xid, &request)
        });
    };
    match &request {
        Request::Multi(MultiRequest { ops }) | Request::MultiRead(MultiRequest { ops }) => {
            for i in 0..ops.len() {
                let mut ops = ops.clone();
                ops.remove(i);
                let fewer = MultiRequest { ops };
                push(match request {
                    Request::Multi(_) => Request::Multi(fewer),
                    _ => Request::MultiRead(fewer),
                });
            }
        }
        Request::SetWatches(watches) => {
            for list in 0..3 {
                let mut fewer = watches.clone();
                let lists = [&mut fewer.data, &mut fewer.exist, &mut fewer.child];
                if shorter(lists, list) {
                    push(Request::SetWatches(fewer));
                }
            }
        }
        Request::SetWatches2(watches) => {
            for list in 0..5 {
                let mut fewer = watches.clone();
                let lists = [
                    &mut fewer.data,
                    &mut fewer.exist,
                    &mut fewer.child,
                    &mut fewer.persistent,
                    &mut fewer.recursive,
                ];
                if shorter(lists, list) {
                    push(Request::SetWatches2(fewer));
                }
            }
        }
        _ => {}
    }
    out
}

fn shorter<T, const N: usize>(lists: [&mut Option<Vec<T>>; N], which: usize) -> bool {
    lists
        .into_iter()
        .nth(which)
        .and_then(|list| list.as_mut())
        .is_some_and(|list| list.pop().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use zooid_proto::client::{CheckVersionRequest, Empty, MultiOp};

    #[test]
    fn what_does_not_matter_is_dropped() {
        let check = |path: &'static str| {
            MultiOp::Check(CheckVersionRequest {
                path: Some(path.into()),
                version: 0,
            })
        };
        let multi = Request::Multi(MultiRequest {
            ops: vec![check("/a"), check("/bad"), check("/c")],
        });
        let request = |xid, request: &Request<'_>| Item::Request {
            slot: 0,
            glued: true,
            req: Req::new(xid, request),
        };
        let mut items: Vec<Item> = (0..40)
            .map(|xid| request(xid, &Request::Ping(Empty {})))
            .collect();
        items[29] = request(29, &multi);
        let found = |items: &[Item]| {
            let at = items.iter().position(|item| {
                matches!(item, Item::Request { req, .. } if req.body.windows(4).any(|w| w == b"/bad"))
            })?;
            let signature = String::from("the same");
            let text = String::new;
            Some(Difference {
                signature,
                origin: Some(at),
                place: text(),
                left: text(),
                right: text(),
            })
        };
        let mut difference = found(&items).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        shrink(&mut items, &mut difference, deadline, |items| {
            Ok(found(items))
        })
        .unwrap();
        let shortest = Request::Multi(MultiRequest {
            ops: vec![check("/bad")],
        });
        assert_eq!(items, [request(29, &shortest)]);
        assert_eq!(difference.origin, Some(0));
    }
}
