//! How the parts of a multi are decoded: one after the other, and the first that is refused decides
//! (`MultiOperationRecord.deserialize` in Java).

use zooid_proto::Reader;
use zooid_proto::client::{MultiOp, MultiRequest, create_mode};

/// A multi that is refused as a whole, with a marshalling error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// The refusal is a transaction: it takes a zxid.
    Numbered,
    /// It takes none, as that of other requests.
    Unnumbered,
}

/// Decodes the body of a multi or multiRead: all parts write, or all read.
pub(crate) fn decode(body: &[u8]) -> Result<Vec<MultiOp<'_>>, Undecodable> {
    let mut ops: Vec<MultiOp<'_>> = Vec::new();
    let refused = MultiRequest::read_each(&mut Reader::of_request(body), |op| {
        let refusal = refusal(&op).or_else(|| {
            let mixed = ops
                .first()
                .is_some_and(|first| first.is_read() != op.is_read());
            mixed.then_some(Undecodable::Numbered)
        });
        ops.push(op);
        refusal
    });
    match refused {
        Ok(None) => Ok(ops),
        Ok(Some(refusal)) => Err(refusal),
        Err(_) => Err(Undecodable::Numbered),
    }
}

fn refusal(op: &MultiOp<'_>) -> Option<Undecodable> {
    let (MultiOp::Create(r) | MultiOp::Create2(r) | MultiOp::CreateContainer(r)) = op else {
        return None;
    };
    if !(0..=create_mode::PERSISTENT_SEQUENTIAL_WITH_TTL).contains(&r.flags) {
        Some(Undecodable::Numbered)
    } else if r.acl.is_none() {
        Some(Undecodable::Unnumbered)
    } else {
        create_mode::is_ttl(r.flags).then_some(Undecodable::Numbered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zooid_proto::client::{CreateRequest, GetDataRequest};
    use zooid_proto::{Jute, Writer};

    fn create(flags: i32, acl: bool) -> MultiOp<'static> {
        let acl = acl.then(Vec::new);
        MultiOp::Create(CreateRequest {
            path: Some("/a".into()),
            data: None,
            acl,
            flags,
        })
    }

    fn get() -> MultiOp<'static> {
        MultiOp::GetData(GetDataRequest {
            path: Some("/a".into()),
            watch: false,
        })
    }

    fn decoded(ops: Vec<MultiOp<'static>>) -> Result<usize, Undecodable> {
        let mut body = Vec::new();
        MultiRequest { ops }.write(&mut Writer::wire(&mut body));
        decode(&body).map(|ops| ops.len())
    }

    #[test]
    fn the_first_part_that_is_refused_decides() {
        assert_eq!(decoded(vec![create(0, true), create(4, true)]), Ok(2));
        assert_eq!(decoded(vec![create(31, true)]), Err(Undecodable::Numbered));
        assert_eq!(decoded(vec![create(5, true)]), Err(Undecodable::Numbered));
        assert_eq!(
            decoded(vec![create(5, false)]),
            Err(Undecodable::Unnumbered)
        );
        assert_eq!(
            decoded(vec![get(), create(0, true), create(0, false)]),
            Err(Undecodable::Numbered)
        );
        assert_eq!(
            decoded(vec![create(0, false), create(5, true)]),
            Err(Undecodable::Unnumbered)
        );
        assert_eq!(decode(&[0, 0]), Err(Undecodable::Numbered));
    }
}
