//! A bounded queue of byte chunks between the blocking world and the asynchronous one.
//!
//! Each side of a queue may be either: a channel's input is pushed by a thread and popped by a task, its output the
//! other way round. One side each, so a single stored wake-up is enough for the task that pops. A task that pushes
//! waits for a [`Budget`], which queues may share.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// The queue. Shared by reference counting; see the module.
pub(super) struct ByteQueue {
    budget: Arc<Budget>,
    state: Mutex<State>,
    thread: Condvar,
    task: Notify,
}

/// What one queue may hold, or several together, in bytes. Pushing waits while that much is queued, so it is exceeded
/// by one chunk a queue at most.
pub(super) struct Budget {
    capacity: usize,
    used: AtomicUsize,
    freed: Notify,
}

impl Budget {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, used: AtomicUsize::new(0), freed: Notify::new() })
    }

    fn is_spent(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.capacity
    }
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    end: Option<End>,
}

enum End {
    /// Nothing more will be pushed.
    Finished,
    /// The other side is gone, for this reason.
    Failed(String),
}

/// What a pop finds when no chunk is left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    Chunk(Bytes),
    Finished,
    Failed,
}

impl ByteQueue {
    /// A queue with a budget of its own.
    pub(super) fn new(capacity: usize) -> Self {
        Self::within(&Budget::new(capacity))
    }

    /// A queue that shares `budget`.
    pub(super) fn within(budget: &Arc<Budget>) -> Self {
        let budget = Arc::clone(budget);
        Self { budget, state: Mutex::default(), thread: Condvar::new(), task: Notify::new() }
    }

    /// Queues `chunk`, blocking while the queue is full. Only room in this queue is waited for, so its budget has to be
    /// its own.
    ///
    /// # Errors
    /// When the queue has ended.
    pub(super) fn push_blocking(&self, chunk: Bytes) -> io::Result<()> {
        let full = |state: &mut State| state.end.is_none() && self.budget.is_spent();
        let state = self.thread.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        self.put(state, chunk)
    }

    /// Queues `chunk`, waiting while the budget is spent.
    pub(super) async fn push(&self, chunk: Bytes) -> io::Result<()> {
        loop {
            let freed = self.budget.freed.notified();
            tokio::pin!(freed);
            // Registered before looking, so that a wake-up between looking and waiting is not lost.
            freed.as_mut().enable();
            {
                let state = self.lock();
                if state.end.is_some() || !self.budget.is_spent() {
                    return self.put(state, chunk);
                }
            }
            freed.await;
        }
    }

    fn put(&self, mut state: MutexGuard<'_, State>, chunk: Bytes) -> io::Result<()> {
        let length = chunk.len();
        state.push(chunk)?;
        self.budget.used.fetch_add(length, Ordering::Relaxed);
        self.wake(state);
        Ok(())
    }

    /// Takes the next chunk, blocking for one; `None` once the queue is finished and empty.
    ///
    /// # Errors
    /// When the queue failed and nothing is left in it.
    pub(super) fn pop_blocking(&self) -> io::Result<Option<Bytes>> {
        let empty = |state: &mut State| state.end.is_none() && state.chunks.is_empty();
        let mut state = self.thread.wait_while(self.lock(), empty).unwrap_or_else(PoisonError::into_inner);
        match state.pop() {
            Some(chunk) => {
                self.free(state, chunk.len());
                Ok(Some(chunk))
            }
            None => match &state.end {
                Some(End::Failed(reason)) => {
                    Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason.clone()))
                }
                Some(End::Finished) | None => Ok(None),
            },
        }
    }

    /// Takes the next chunk, waiting for one.
    pub(super) async fn pop(&self) -> Popped {
        loop {
            if let Some(popped) = self.try_pop() {
                return popped;
            }
            self.task.notified().await;
        }
    }

    /// Says that nothing more will be pushed; what is queued can still be popped.
    pub(super) fn finish(&self) {
        self.end(End::Finished);
    }

    /// Makes pushes fail, and pops after what is queued.
    pub(super) fn fail(&self, reason: &str) {
        self.end(End::Failed(reason.to_owned()));
    }

    /// Makes pushes and pops fail at once and drops what is queued.
    pub(super) fn abort(&self, reason: &str) {
        let mut state = self.lock();
        state.chunks.clear();
        state.end = Some(End::Failed(reason.to_owned()));
        let length = std::mem::take(&mut state.bytes);
        self.free(state, length);
    }

    fn try_pop(&self) -> Option<Popped> {
        let mut state = self.lock();
        if let Some(chunk) = state.pop() {
            self.free(state, chunk.len());
            return Some(Popped::Chunk(chunk));
        }
        match &state.end {
            None => None,
            Some(End::Finished) => Some(Popped::Finished),
            Some(End::Failed(_)) => Some(Popped::Failed),
        }
    }

    /// The first end counts: a connection lost after the end of the output is no error for the output.
    fn end(&self, end: End) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(end);
        }
        self.wake(state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `length` bytes back to the budget.
    fn free(&self, state: MutexGuard<'_, State>, length: usize) {
        self.budget.used.fetch_sub(length, Ordering::Relaxed);
        self.wake(state);
    }

    fn wake(&self, state: MutexGuard<'_, State>) {
        drop(state);
        self.thread.notify_all();
        self.task.notify_one();
        self.budget.freed.notify_waiters();
    }
}

impl Drop for ByteQueue {
    fn drop(&mut self) {
        self.abort("");
    }
}

impl State {
    fn push(&mut self, chunk: Bytes) -> io::Result<()> {
        match &self.end {
            None => {}
            Some(End::Finished) => return Err(io::ErrorKind::BrokenPipe.into()),
            Some(End::Failed(reason)) => {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, reason.clone()));
            }
        }
        self.bytes = self.bytes.saturating_add(chunk.len());
        self.chunks.push_back(chunk);
        Ok(())
    }

    fn pop(&mut self) -> Option<Bytes> {
        let chunk = self.chunks.pop_front()?;
        self.bytes = self.bytes.saturating_sub(chunk.len());
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    fn chunk(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn what_was_queued_before_the_end_is_delivered() {
        let queue = ByteQueue::new(100);
        queue.push_blocking(chunk("one")).unwrap();
        queue.fail("cable cut");
        assert_eq!(queue.pop_blocking().unwrap(), Some(chunk("one")));
        assert_eq!(queue.pop_blocking().unwrap_err().to_string(), "cable cut");
        assert!(queue.push_blocking(chunk("two")).is_err());
    }

    #[test]
    fn the_first_end_counts_but_an_abort_overrides() {
        let queue = ByteQueue::new(100);
        queue.push_blocking(chunk("one")).unwrap();
        queue.finish();
        queue.fail("late");
        assert_eq!(queue.pop_blocking().unwrap(), Some(chunk("one")));
        assert_eq!(queue.pop_blocking().unwrap(), None);
        queue.abort("closed");
        assert!(queue.pop_blocking().is_err());
    }

    #[test]
    fn a_full_queue_blocks_until_the_task_pops() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let queue = Arc::new(ByteQueue::new(4));
        let pushing = Arc::clone(&queue);
        let thread = std::thread::spawn(move || {
            for _ in 0..1000 {
                pushing.push_blocking(chunk("four")).unwrap();
            }
            pushing.finish();
        });
        let mut chunks = 0;
        while let Popped::Chunk(_) = runtime.block_on(queue.pop()) {
            chunks += 1;
        }
        assert_eq!(chunks, 1000);
        thread.join().unwrap();
    }

    #[test]
    fn queues_of_one_budget_wait_for_each_other() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let budget = Budget::new(4);
        let queues = [ByteQueue::within(&budget), ByteQueue::within(&budget)].map(Arc::new);
        let [full, other] = queues.clone();
        let waits = async |frees: Box<dyn Fn()>| {
            full.push(chunk("four")).await.unwrap();
            let mut pushing = std::pin::pin!(other.push(chunk("more")));
            let short = Duration::from_millis(20);
            assert!(tokio::time::timeout(short, &mut pushing).await.is_err());
            frees();
            tokio::time::timeout(Duration::from_secs(10), pushing).await.unwrap().unwrap();
        };
        runtime.block_on(async {
            let (first, second) = (queues[0].clone(), queues[1].clone());
            waits(Box::new(move || assert!(first.pop_blocking().unwrap().is_some()))).await;
            assert!(second.pop_blocking().unwrap().is_some());
            let first = queues[0].clone();
            waits(Box::new(move || first.abort("closed"))).await;
        });
        drop((queues, full, other));
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_blocked_thread_wakes_on_abort() {
        let queue = Arc::new(ByteQueue::new(1));
        queue.push_blocking(chunk("x")).unwrap();
        let blocked = Arc::clone(&queue);
        let thread = std::thread::spawn(move || blocked.push_blocking(chunk("y")));
        std::thread::sleep(Duration::from_millis(20));
        queue.abort("closed");
        assert_eq!(thread.join().unwrap().unwrap_err().to_string(), "closed");
    }
}
