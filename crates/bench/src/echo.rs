//! A server that knows only frames: it answers each with a reply of the length that a good answer
//! would have, and a change with as many events as there are connections that asked to be told. No
//! node, no session, no log. It shows what the machine, its network and this generator allow at
//! most.

use crate::wire::arrive;
use bytes::{Buf, BytesMut};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use zooid_proto::Writer;
use zooid_proto::client::{ConnectResponse, xid};
use zooid_proto::ops::OpCode;

/// Longest frame that it takes, bytes.
const LONGEST: usize = 16 << 20;

/// Bytes of a reply header, of the state of a node.
const HEADER: usize = 16;
const STAT: usize = 68;

/// Connections that want to know of the next change.
type Watchers = Arc<Mutex<Vec<Arc<OwnedWriteHalf>>>>;

/// Answers connections until the task is dropped. A getData is answered with `size` bytes of data.
pub async fn serve(listener: TcpListener, size: usize) -> std::io::Result<()> {
    let watchers = Watchers::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let watchers = watchers.clone();
        tokio::spawn(async move {
            // Whoever breaks off is gone; there is nobody to tell.
            let _ = answer(stream, size, &watchers).await;
        });
    }
}

async fn answer(stream: TcpStream, size: usize, watchers: &Watchers) -> std::io::Result<()> {
    let (mut from, to) = stream.into_split();
    let to = Arc::new(to);
    let (mut input, mut output) = (BytesMut::new(), Vec::new());
    let mut greeted = false;
    loop {
        if arrive(&mut from, &mut input).await? == 0 {
            return Ok(());
        }
        let mut at = 0;
        let mut last = false;
        while let Some(head) = input.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            let length = usize::try_from(i32::from_be_bytes(*head))
                .ok()
                .filter(|length| (8..=LONGEST).contains(length))
                .ok_or(ErrorKind::InvalidData)?;
            let Some(frame) = input.get(at + 4..at + 4 + length) else {
                break;
            };
            at += 4 + length;
            if !greeted {
                greet(&mut output);
                greeted = true;
                continue;
            }
            let op = OpCode::from_i32(number(frame, 4));
            reply(frame, op, size, &mut output);
            last = op == Some(OpCode::CloseSession);
            if op == Some(OpCode::SetData) {
                tell(watchers, frame);
            } else if op == Some(OpCode::GetData) && frame.last() == Some(&1) {
                watchers.lock().expect("no panic inside").push(to.clone());
            }
        }
        input.advance(at);
        send(&to, &output).await?;
        output.clear();
        if last {
            return Ok(());
        }
    }
}

async fn send(to: &OwnedWriteHalf, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match to.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => to.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes an event to all who wait for one, on all cores.
fn tell(watchers: &Watchers, change: &[u8]) {
    let all = std::mem::take(&mut *watchers.lock().expect("no panic inside"));
    if all.is_empty() {
        return;
    }
    let event = event(change);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for share in all.chunks(all.len().div_ceil(cores)) {
        let (share, event) = (share.to_vec(), event.clone());
        tokio::spawn(async move {
            for to in share {
                let _ = to.try_write(&event);
            }
        });
    }
}

/// An event of a change: type, state, and its path.
fn event(change: &[u8]) -> Vec<u8> {
    let length = usize::try_from(number(change, 8)).unwrap_or(0);
    let path = change.get(12..12 + length).unwrap_or_default();
    let mut event = vec![0; 4 + HEADER];
    event[4..8].copy_from_slice(&xid::NOTIFICATION.to_be_bytes());
    for number in [3, 3, path.len() as i32] {
        event.extend_from_slice(&number.to_be_bytes());
    }
    event.extend_from_slice(path);
    let length = (event.len() - 4) as i32;
    event[..4].copy_from_slice(&length.to_be_bytes());
    event
}

/// A number of a frame; 0 behind its end.
fn number(frame: &[u8], at: usize) -> i32 {
    let bytes = frame.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| i32::from_be_bytes(*bytes))
}

fn greet(out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    ConnectResponse {
        timeout_ms: 30_000,
        session_id: 1,
        password: [0; 16],
        read_only: Some(false),
    }
    .write(&mut Writer::wire(out));
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a reply.
fn reply(frame: &[u8], op: Option<OpCode>, size: usize, out: &mut Vec<u8>) {
    let body = match op {
        Some(OpCode::GetData) => 4 + size + STAT,
        Some(OpCode::Exists | OpCode::SetData) => STAT,
        // No names.
        Some(OpCode::GetChildren) => 4,
        // A path of usual length.
        Some(OpCode::Create) => 4 + 28,
        _ => 0,
    };
    let start = out.len();
    out.extend_from_slice(&((HEADER + body) as i32).to_be_bytes());
    out.extend_from_slice(&frame[..4]);
    out.resize(start + 4 + HEADER + body, 0);
    if op == Some(OpCode::GetData) {
        let length = start + 4 + HEADER;
        out[length..length + 4].copy_from_slice(&(size as i32).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operation, Plan};
    use std::time::Duration;

    async fn plan(operation: Operation) -> Plan {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        tokio::spawn(serve(listener, 100));
        Plan {
            connections: 3,
            outstanding: 4,
            keys: 10,
            warm_up: Duration::from_millis(10),
            duration: Duration::from_millis(200),
            ..Plan::new(&address, operation)
        }
    }

    async fn run(plan: &Plan) -> crate::Outcome {
        crate::run(plan, |_| Ok(()), async {}).await.expect("a run")
    }

    #[tokio::test]
    async fn the_closed_loop_asks_until_the_end() {
        let outcome = run(&plan(Operation::Get).await).await;
        assert!(outcome.requests > 0 && outcome.in_all >= outcome.requests);
        assert_eq!(outcome.reads_us.len(), outcome.requests);
        assert!(outcome.errors.is_empty());
    }

    /// However slow the machine: what was due in the time was sent and is counted.
    #[tokio::test]
    async fn the_open_loop_sends_what_was_due() {
        let plan = Plan {
            rate: Some(1000.0),
            ..plan(Operation::Mixed { writes_percent: 10 }).await
        };
        let outcome = run(&plan).await;
        assert_eq!(outcome.in_all, 210);
        let late = outcome.late_us.expect("it was paced");
        assert_eq!(late.len(), 200);
    }

    #[tokio::test]
    async fn values_of_a_megabyte_do_not_block_both_sides() {
        let plan = Plan {
            size: 1_000_000,
            keys: 2,
            connections: 1,
            outstanding: 16,
            ..plan(Operation::Mixed { writes_percent: 50 }).await
        };
        let outcome = run(&plan).await;
        assert!(outcome.in_all > 0 && outcome.errors.is_empty());
    }

    #[tokio::test]
    async fn a_storm_opens_what_it_should() {
        let plan = Plan {
            sessions: 50,
            abandon: 20,
            ..plan(Operation::Storm).await
        };
        let outcome = run(&plan).await;
        assert_eq!((outcome.requests, outcome.writes_us.len()), (50, 50));
        assert_eq!(outcome.more, vec![("connected", 30.0)]);
    }

    #[tokio::test]
    async fn all_watchers_are_told_of_each_change() {
        let plan = Plan {
            connections: 20,
            rounds: 3,
            ..plan(Operation::Fanout).await
        };
        let outcome = run(&plan).await;
        assert_eq!((outcome.requests, outcome.reads_us.len()), (60, 60));
    }

    #[tokio::test]
    async fn nobody_there_is_said() {
        // The port was free a moment ago, and nobody listens on it now.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        drop(listener);
        let plan = Plan::new(&address, Operation::Get);
        let error = crate::run(&plan, |_| Ok(()), async {})
            .await
            .expect_err("nobody");
        let text = format!("{error:#}");
        assert!(
            text.contains(&address) && text.contains("refused"),
            "{text}"
        );
    }
}
