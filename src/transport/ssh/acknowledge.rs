//! Acknowledges at once what a server sends while a session is set up.
//!
//! sshd sends several small packets after the login, on a socket that (by Nagle's rule, RFC 896) holds back a small
//! packet until the one before it is acknowledged; this end has nothing to send then, so its system would acknowledge
//! only after its delay, 40 ms on Linux (RFC 1122, section 4.2.3.2). A session would wait that long, once, before its
//! first command. sshd turns the holding back off with that command, so this is for the first bytes only. Linux has
//! the switch for it (tcp(7), TCP_QUICKACK), and forgets it now and then; elsewhere nothing changes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

/// How many bytes are acknowledged at once: many more than connecting takes.
const AT_ONCE: usize = 64 << 10;

/// The reading half of a connection.
pub(super) struct Acknowledging {
    socket: OwnedReadHalf,
    left: usize,
}

impl Acknowledging {
    pub(super) fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, left: AT_ONCE }
    }
}

impl AsyncRead for Acknowledging {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        if self.left > 0 {
            self.left = self.left.saturating_sub(buffer.filled().len().saturating_sub(before));
            acknowledge(&self.socket);
        }
        read
    }
}

/// Acknowledges what has come. It only saves time, so a system that refuses is left alone.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn acknowledge(socket: &OwnedReadHalf) {
    let _ = socket.as_ref().set_quickack(true);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn acknowledge(_: &OwnedReadHalf) {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    #[test]
    fn what_is_read_stays_the_same_before_and_after_the_limit() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            let sent: Vec<u8> = (0..3 * AT_ONCE).map(|n| (n % 251) as u8).collect();
            let expected = sent.clone();
            let sending = tokio::spawn(async move { server.write_all(&sent).await });
            let mut reading = Acknowledging::new(client.into_split().0);
            let mut received = Vec::new();
            reading.read_to_end(&mut received).await.unwrap();
            sending.await.unwrap().unwrap();
            assert!(received == expected && reading.left == 0);
        });
    }
}
