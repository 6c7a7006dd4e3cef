//! Frames made ahead, and a connection that reads as little of a reply as it can.

use crate::{Operation, Plan};
use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zooid_proto::client::{
    ConnectRequest, ConnectResponse, CreateRequest, DeleteRequest, Empty, ExistsRequest,
    GetChildrenRequest, GetChildrenResponse, GetDataRequest, RequestHeader, SetDataRequest,
};
use zooid_proto::ops::Request;
use zooid_proto::records::{Acl, perms};
use zooid_proto::{Jute, Reader, Writer};

/// Bytes of length and reply header.
const HEAD: usize = 4 + 16;

fn framed(xid: i32, request: &Request<'_>) -> Vec<u8> {
    let mut frame = vec![0; 4];
    let to = &mut Writer::wire(&mut frame);
    RequestHeader {
        xid,
        op: request.op().code(),
    }
    .write(to);
    request.write(to);
    let length = i32::try_from(frame.len() - 4).expect("a request is shorter than 2 GiB");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A create of an open, persistent node.
pub(crate) fn create(path: &str, data: &[u8]) -> Vec<u8> {
    framed(
        1,
        &Request::Create(CreateRequest {
            path: Some(path.into()),
            data: Some(data.into()),
            acl: Some(vec![Acl::new(perms::ALL, "world", "anyone")]),
            flags: 0,
        }),
    )
}

/// The requests of one connection.
pub(crate) struct Frames {
    reads: Vec<Vec<u8>>,
    writes: Vec<Vec<u8>>,
    operation: Operation,
    root: String,
    data: Vec<u8>,
    connection: usize,
    count: u64,
}

impl Frames {
    pub(crate) fn new(plan: &Plan, root: &str, data: &[u8], connection: usize) -> Frames {
        let path = |key: usize| Some(format!("{root}/key-{key}").into());
        let reads = (0..plan.keys)
            .map(|key| match plan.operation {
                Operation::Exists => framed(
                    1,
                    &Request::Exists(ExistsRequest {
                        path: path(key),
                        watch: false,
                    }),
                ),
                Operation::Children => {
                    let path = Some(root.to_owned().into());
                    framed(
                        1,
                        &Request::GetChildren(GetChildrenRequest { path, watch: false }),
                    )
                }
                _ => framed(
                    1,
                    &Request::GetData(GetDataRequest {
                        path: path(key),
                        watch: false,
                    }),
                ),
            })
            .collect();
        let writes = (0..plan.keys)
            .map(|key| {
                let data = Some(data.into());
                framed(
                    1,
                    &Request::SetData(SetDataRequest {
                        path: path(key),
                        data,
                        version: -1,
                    }),
                )
            })
            .collect();
        Frames {
            reads,
            writes,
            operation: plan.operation,
            root: root.to_owned(),
            data: data.to_vec(),
            connection,
            count: 0,
        }
    }

    /// Appends the next request.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) {
        let count = self.count;
        self.count += 1;
        // Spread over the keys, each connection in an order of its own.
        let key = (count.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize + self.connection;
        let read = &self.reads[key % self.reads.len()];
        let write = &self.writes[key % self.writes.len()];
        match self.operation {
            Operation::Get | Operation::Exists | Operation::Children => out.extend_from_slice(read),
            Operation::Set => out.extend_from_slice(write),
            Operation::Mixed { writes_percent } if count % 100 < u64::from(writes_percent) => {
                out.extend_from_slice(write);
            }
            Operation::Mixed { .. } => out.extend_from_slice(read),
            Operation::Create => {
                let path = format!("{}/c{}-{count}", self.root, self.connection);
                out.extend_from_slice(&create(&path, &self.data));
            }
        }
    }
}

/// A session with a server.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    input: BytesMut,
}

impl Connection {
    pub(crate) async fn open(server: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(server)
            .await
            .with_context(|| format!("cannot reach {server}"))?;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            stream,
            input: BytesMut::new(),
        };
        let mut frame = vec![0; 4];
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 30_000,
            session_id: 0,
            password: Some(vec![0; 16].into()),
            read_only: Some(false),
        }
        .write(&mut Writer::wire(&mut frame));
        let length = i32::try_from(frame.len() - 4).expect("a handshake is short");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        connection.stream.write_all(&frame).await?;
        let reply = connection.frame().await?;
        let response = ConnectResponse::read(&mut Reader::new(&reply))?;
        if response.session_id == 0 {
            bail!("{server} refused a session");
        }
        Ok(connection)
    }

    async fn frame(&mut self) -> anyhow::Result<BytesMut> {
        loop {
            if let Some(head) = self.input.first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*head))?;
                if self.input.len() >= 4 + length {
                    self.input.advance(4);
                    return Ok(self.input.split_to(length));
                }
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                bail!("the server closed the connection");
            }
        }
    }

    /// Sends one request and returns the body of its reply.
    pub(crate) async fn call(&mut self, frame: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.stream.write_all(frame).await?;
        let reply = self.frame().await?;
        let err = reply
            .get(12..16)
            .map(|b| i32::from_be_bytes(b.try_into().expect("4 bytes")));
        if err != Some(0) {
            bail!("the server answered with error {err:?}");
        }
        Ok(reply[16..].to_vec())
    }

    /// Waits for at least one reply; calls `each` with the error of each that is there.
    pub(crate) async fn replies(&mut self, mut each: impl FnMut(i32)) -> anyhow::Result<usize> {
        loop {
            let mut at = 0;
            let mut count = 0;
            while let Some(head) = self.input.get(at..at + HEAD) {
                let number =
                    |at: usize| i32::from_be_bytes(head[at..at + 4].try_into().expect("4 bytes"));
                let end = at + 4 + usize::try_from(number(0))?;
                if self.input.len() < end {
                    break;
                }
                each(number(16));
                count += 1;
                at = end;
            }
            self.input.advance(at);
            if count > 0 {
                return Ok(count);
            }
            self.input.reserve(64 * 1024);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                bail!("the server closed the connection");
            }
        }
    }

    /// Deletes a node and its children.
    pub(crate) async fn delete_all(&mut self, root: &str) -> anyhow::Result<()> {
        let path = Some(root.to_owned().into());
        let list = framed(
            1,
            &Request::GetChildren(GetChildrenRequest { path, watch: false }),
        );
        let body = self.call(&list).await?;
        let children = GetChildrenResponse::read(&mut Reader::new(&body))?.children;
        let delete = |path: String| {
            framed(
                1,
                &Request::Delete(DeleteRequest {
                    path: Some(path.into()),
                    version: -1,
                }),
            )
        };
        // In portions: the replies must not fill the sockets while requests are written.
        let children = children.unwrap_or_default();
        for portion in children.chunks(256) {
            let mut frames = Vec::new();
            for child in portion.iter().flatten() {
                frames.extend_from_slice(&delete(format!("{root}/{child}")));
            }
            self.stream.write_all(&frames).await?;
            let mut left = portion.len();
            while left > 0 {
                left -= self.replies(|_| {}).await?;
            }
        }
        self.call(&delete(root.to_owned())).await?;
        Ok(())
    }

    /// Ends the session.
    pub(crate) async fn close(&mut self) -> anyhow::Result<()> {
        self.call(&framed(1, &Request::CloseSession(Empty {})))
            .await?;
        Ok(())
    }
}
