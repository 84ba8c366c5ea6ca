//! The first words of a server, kept to say what it is where it turns out to be none of SSH.
//!
//! SSH servers may say other lines first, but one that begins with `SSH-` has to come (RFC 4253, section 4.2).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::transport::ssh::server_text::visible;

/// How much is kept, in bytes.
const KEPT: usize = 512;

/// The most of it that is told, in characters.
const TOLD: usize = 80;

/// What was heard.
#[derive(Clone, Default)]
pub(super) struct Greeting(Arc<Mutex<Vec<u8>>>);

impl Greeting {
    /// What the server said, where that was something and not what an SSH server says.
    pub(super) fn of_another_protocol(&self) -> Option<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ssh = heard.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"SSH-"));
        if heard.is_empty() || is_ssh {
            return None;
        }
        let text = String::from_utf8_lossy(&heard);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Some(visible(&line.chars().take(TOLD).collect::<String>()))
    }
}

/// A stream whose beginning is kept.
pub(super) struct Kept<R> {
    stream: R,
    greeting: Greeting,
    left: usize,
}

impl<R> Kept<R> {
    pub(super) fn new(stream: R) -> (Self, Greeting) {
        let greeting = Greeting::default();
        (Self { stream, greeting: greeting.clone(), left: KEPT }, greeting)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Kept<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.left > 0 {
            let new = buffer.filled().get(before..).unwrap_or_default();
            let new = new.get(..self.left).unwrap_or(new);
            self.greeting.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(new);
            self.left = self.left.saturating_sub(new.len());
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_of_ssh_is_told() {
        for (heard, expected) in [
            ("", None),
            ("SSH-2.0-x\r\n", None),
            ("welcome\nSSH-2.0-x\r\n", None),
            ("HTTP/1.0 400 Bad Request\r\n\r\nx", Some("HTTP/1.0 400 Bad Request")),
            ("\n220 mail\x1b[2J\r\n", Some("220 mail\\u{1b}[2J")),
        ] {
            let greeting = Greeting(Arc::new(Mutex::new(heard.as_bytes().to_vec())));
            assert_eq!(greeting.of_another_protocol().as_deref(), expected, "{heard:?}");
        }
    }

    #[test]
    fn all_bytes_pass_and_the_first_are_kept() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bytes = vec![b'x'; 3 * KEPT];
            let (mut kept, greeting) = Kept::new(&bytes[..]);
            let mut read = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut kept, &mut read).await.unwrap();
            assert_eq!((read.len(), greeting.0.lock().unwrap().len()), (3 * KEPT, KEPT));
        });
    }
}
