//! A way from a client to the server that can be cut and mended.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to a server while it is not cut.
pub struct Line {
    pub address: String,
    cut: Arc<watch::Sender<bool>>,
}

impl Line {
    pub async fn to(server: String) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cut = Arc::new(watch::Sender::new(false));
        let state = cut.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut state = state.clone();
                let server = server.clone();
                tokio::spawn(async move {
                    if *state.borrow() {
                        return;
                    }
                    tokio::select! {
                        () = forward(client, server) => {}
                        _ = state.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Line { address, cut }
    }

    /// Ends all connections, and each new one at once, until `mend`.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

async fn forward(mut client: TcpStream, server: String) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        // Either side may end the connection at any time.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
