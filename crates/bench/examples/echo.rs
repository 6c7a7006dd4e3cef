//! The bare echo server: `echo [SIZE]` prints its address and answers until its standard input ends.

use std::io::{Read, Write};
use tokio::net::TcpSocket;

/// A storm of connections finds room.
const BACKLOG: u32 = 4096;

fn main() -> anyhow::Result<()> {
    let size = std::env::args()
        .nth(1)
        .map_or(Ok(100), |size| size.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        socket.listen(BACKLOG)
    })?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    runtime.spawn(zooid_bench::echo::serve(listener, size));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
