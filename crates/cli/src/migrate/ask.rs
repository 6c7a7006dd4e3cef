//! Questions to servers: four-letter words, and the admin server where those are not allowed.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection and an answer may take, each.
const PATIENCE: Duration = Duration::from_secs(8);
/// The longest answer that is read: `cons` has a line for each connection.
const LONGEST: usize = 64 << 20;

/// The answer to a four-letter word, which may be followed by more on the same line.
pub(super) async fn word(address: &str, word: &str) -> io::Result<String> {
    let bytes = exchange(address, word.as_bytes()).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The JSON that a command of the admin server answers.
pub(super) async fn admin(host: &str, port: u16, command: &str) -> Option<serde_json::Value> {
    let address = format!("{host}:{port}");
    let request = format!("GET /commands/{command} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    let bytes = exchange(&address, request.as_bytes()).await.ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    if head.split_whitespace().nth(1) != Some("200") {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    (json.get("error") == Some(&serde_json::Value::Null)).then_some(json)
}

async fn exchange(address: &str, question: &[u8]) -> io::Result<Vec<u8>> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    let mut stream = timeout(PATIENCE, TcpStream::connect(address))
        .await
        .map_err(late)??;
    let mut answer = Vec::new();
    let talk = async {
        stream.write_all(question).await?;
        let mut bounded = (&mut stream).take(LONGEST as u64);
        match bounded.read_to_end(&mut answer).await {
            // Java closes before it has read what is behind a word, which resets the connection
            // behind its answer.
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(()),
        }
    };
    match timeout(PATIENCE, talk).await {
        Ok(ended) => ended?,
        Err(late_by) if answer.is_empty() => return Err(late(late_by)),
        Err(_) => {}
    }
    Ok(answer)
}
