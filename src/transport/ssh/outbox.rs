//! The stream a session writes to: takes everything at once and sends it from a task of its own.
//!
//! A russh session awaits each socket write and reads nothing meanwhile. If the peer does the same, as another
//! russh end does, and both socket buffers are full, neither ever reads again. Here the session's writes end up in
//! memory, so they complete at once. What bounds that memory is the [`Gate`]: whoever gives the session channel data
//! first waits until the outbox is below [`HIGH_WATER`]. What remains beside data are replies to the peer; a peer
//! that provokes them without end and never reads runs into [`LIMIT`], where the session waits after all and so
//! stops reading from it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;

/// Channel data is held back while this much waits to be sent, in bytes. Enough to keep the fastest socket busy
/// between two wake-ups; the path's own buffering is the kernel's.
pub(super) const HIGH_WATER: usize = 1 << 20;

/// The most that ever waits, in bytes; far above the gate's limit and all that the session's own queue can add.
const LIMIT: usize = 32 << 20;

/// What a session reads and writes instead of its socket.
pub(super) struct OutboxStream<R> {
    reading: R,
    outbox: Arc<Outbox>,
}

/// Holds data back while the outbox is high.
#[derive(Clone)]
pub(super) struct Gate(Arc<Outbox>);

struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    drained: Notify,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    /// Given to the session since it last wrote. It takes all it can get before it does, without looking here.
    given: usize,
    /// Bytes taken from `pending` that the socket has not taken yet.
    in_flight: usize,
    closing: bool,
    failed: Option<io::ErrorKind>,
    waiting_session: Option<Waker>,
}

impl State {
    fn held(&self) -> usize {
        self.pending.len().saturating_add(self.in_flight)
    }

    fn is_low(&self) -> bool {
        self.held().saturating_add(self.given) < HIGH_WATER
    }

    fn is_over(&self) -> bool {
        self.closing || self.failed.is_some()
    }
}

/// Puts an outbox between a session and its socket. The task that sends lives until the session shuts its stream
/// down or the socket fails.
pub(super) fn buffered<R, W>(reading: R, writing: W) -> (OutboxStream<R>, Gate)
where
    W: AsyncWrite + Unpin + Send + 'static,
{
    let outbox = Arc::new(Outbox { state: Mutex::default(), filled: Notify::new(), drained: Notify::new() });
    tokio::spawn(send(Arc::clone(&outbox), writing));
    (OutboxStream { reading, outbox: Arc::clone(&outbox) }, Gate(outbox))
}

async fn send<W: AsyncWrite + Unpin>(outbox: Arc<Outbox>, mut socket: W) {
    // Two buffers in turns, one to be filled and one to be sent: new ones of such sizes would scatter the heap.
    let mut bytes = Vec::new();
    while outbox.take(&mut bytes).await {
        let mut unsent = &bytes[..];
        while !unsent.is_empty() {
            match socket.write(unsent).await {
                Ok(0) => return outbox.fail(io::ErrorKind::WriteZero),
                Ok(count) => {
                    unsent = unsent.get(count..).unwrap_or_default();
                    outbox.sent(count);
                }
                Err(error) => return outbox.fail(error.kind()),
            }
        }
    }
    // The peer may have closed its side first; there is nobody left to tell.
    let _ = socket.shutdown().await;
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all that is pending, in exchange for a buffer. Returns whether there was anything, which is so until the
    /// stream is shut down and everything was taken.
    async fn take(&self, into: &mut Vec<u8>) -> bool {
        into.clear();
        loop {
            {
                let mut state = self.lock();
                if !state.pending.is_empty() {
                    std::mem::swap(&mut state.pending, into);
                    state.in_flight = into.len();
                    return true;
                }
                if state.closing {
                    return false;
                }
            }
            self.filled.notified().await;
        }
    }

    fn sent(&self, count: usize) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(count);
        let waiting = if state.held() < LIMIT { state.waiting_session.take() } else { None };
        let low = state.is_low();
        drop(state);
        if low {
            self.drained.notify_waiters();
        }
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn fail(&self, kind: io::ErrorKind) {
        let mut state = self.lock();
        state.failed = Some(kind);
        state.pending = Vec::new();
        let waiting = state.waiting_session.take();
        drop(state);
        self.drained.notify_waiters();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn close(&self) {
        self.lock().closing = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }
}

impl Gate {
    /// Waits until less than [`HIGH_WATER`] bytes wait to be sent, or nothing will be sent any more. Then the session
    /// may be given so many bytes; all that wait for a channel's window at a time have to be far below the high water.
    pub(super) async fn pass(&self, length: usize) {
        self.wait_until(|state| {
            let passes = state.is_low() || state.is_over();
            state.given = state.given.saturating_add(if passes { length } else { 0 });
            passes
        })
        .await;
    }

    /// Waits until the session has shut its stream down and all is sent, or sending failed.
    pub(super) async fn closed(&self) {
        self.wait_until(|state| state.failed.is_some() || state.closing && state.held() == 0).await;
    }

    async fn wait_until(&self, is_time: impl Fn(&mut State) -> bool) {
        loop {
            let drained = self.0.drained.notified();
            tokio::pin!(drained);
            // Registered before looking, so that a wake-up between looking and waiting is not lost.
            drained.as_mut().enable();
            if is_time(&mut self.0.lock()) {
                return;
            }
            drained.await;
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for OutboxStream<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reading).poll_read(context, buffer)
    }
}

impl<R: Unpin> AsyncWrite for OutboxStream<R> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.outbox.lock();
        if let Some(kind) = state.failed {
            return Poll::Ready(Err(kind.into()));
        }
        if state.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.held() >= LIMIT {
            state.waiting_session = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.pending.extend_from_slice(bytes);
        state.given = 0;
        let low = state.is_low();
        drop(state);
        self.outbox.filled.notify_one();
        if low {
            self.outbox.drained.notify_waiters();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbox.close();
        Poll::Ready(Ok(()))
    }
}

impl<R> Drop for OutboxStream<R> {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A session takes what waits for it before it writes any of that, so what it has taken counts.
    #[test]
    fn what_the_session_was_given_and_has_not_written_holds_back_more() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut stream, gate) = buffered(tokio::io::empty(), tokio::io::sink());
            gate.pass(HIGH_WATER).await;
            let mut next = std::pin::pin!(gate.pass(1));
            assert!(tokio::time::timeout(Duration::from_millis(20), &mut next).await.is_err());
            stream.write_all(b"some of it").await.unwrap();
            tokio::time::timeout(Duration::from_secs(10), next).await.unwrap();
        });
    }
}
