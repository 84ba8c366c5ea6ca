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

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;

/// Channel data is held back while this much waits to be sent, in bytes. Enough to keep the fastest socket busy
/// between two wake-ups; the path's own buffering is the kernel's.
pub(super) const HIGH_WATER: usize = 4 << 20;

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
    pending: BytesMut,
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
    while let Some(mut bytes) = outbox.take().await {
        while bytes.has_remaining() {
            match socket.write(&bytes).await {
                Ok(0) => return outbox.fail(io::ErrorKind::WriteZero),
                Ok(count) => {
                    bytes.advance(count.min(bytes.remaining()));
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

    /// Takes all that is pending; `None` once the stream is shut down and everything was taken.
    async fn take(&self) -> Option<Bytes> {
        loop {
            {
                let mut state = self.lock();
                if !state.pending.is_empty() {
                    let bytes = state.pending.split().freeze();
                    state.in_flight = bytes.len();
                    return Some(bytes);
                }
                if state.closing {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    fn sent(&self, count: usize) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(count);
        let waiting = if state.held() < LIMIT { state.waiting_session.take() } else { None };
        let below = state.held() < HIGH_WATER;
        drop(state);
        if below {
            self.drained.notify_waiters();
        }
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn fail(&self, kind: io::ErrorKind) {
        let mut state = self.lock();
        state.failed = Some(kind);
        state.pending = BytesMut::new();
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
    /// Waits until less than [`HIGH_WATER`] bytes wait to be sent, or nothing will be sent any more.
    pub(super) async fn pass(&self) {
        self.wait_until(|state| state.held() < HIGH_WATER || state.is_over()).await;
    }

    /// Waits until the session has shut its stream down and all is sent, or sending failed.
    pub(super) async fn closed(&self) {
        self.wait_until(|state| state.failed.is_some() || state.closing && state.held() == 0).await;
    }

    async fn wait_until(&self, is_time: impl Fn(&State) -> bool) {
        loop {
            let drained = self.0.drained.notified();
            tokio::pin!(drained);
            // Registered before looking, so that a wake-up between looking and waiting is not lost.
            drained.as_mut().enable();
            if is_time(&self.0.lock()) {
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
        drop(state);
        self.outbox.filled.notify_one();
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
