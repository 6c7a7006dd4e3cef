//! A server that knows only frames: it answers each with a reply of the length that a good answer
//! would have. No node, no session, no log. It shows what the machine, its network and this
//! generator allow at most.

use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zooid_proto::Writer;
use zooid_proto::client::ConnectResponse;
use zooid_proto::ops::OpCode;

/// Longest frame that it takes, bytes.
const LONGEST: usize = 16 << 20;

/// Bytes of a reply header, of the state of a node.
const HEADER: usize = 16;
const STAT: usize = 68;

/// Buffers start at this size, as a server's would.
const BUFFER: usize = 64 * 1024;

/// Answers connections until the task is dropped. A getData is answered with `size` bytes of data.
pub async fn serve(listener: TcpListener, size: usize) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // Whoever breaks off is gone; there is nobody to tell.
            let _ = answer(stream, size).await;
        });
    }
}

async fn answer(mut stream: TcpStream, size: usize) -> std::io::Result<()> {
    let (mut input, mut output) = (Vec::with_capacity(BUFFER), Vec::with_capacity(BUFFER));
    let mut greeted = false;
    loop {
        if stream.read_buf(&mut input).await? == 0 {
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
            if greeted {
                last = reply(frame, size, &mut output);
            } else {
                greet(&mut output);
                greeted = true;
            }
        }
        input.drain(..at);
        stream.write_all(&output).await?;
        output.clear();
        if last {
            return Ok(());
        }
    }
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

/// Appends a reply; true if it was the last one.
fn reply(frame: &[u8], size: usize, out: &mut Vec<u8>) -> bool {
    let number = |at: usize| i32::from_be_bytes(*frame[at..].first_chunk().expect("8 bytes"));
    let op = OpCode::from_i32(number(4));
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
    op == Some(OpCode::CloseSession)
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
