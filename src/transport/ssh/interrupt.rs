//! Giving up on connecting, from another thread.

use std::sync::Arc;

use tokio::sync::watch;

use crate::transport::Error;

/// Ends whatever waits for the server: the connecting under way, and all that is begun later. Clones end the same.
/// A connection that is made stays; that is for its [`Control`](crate::transport::Control) to end.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<watch::Sender<bool>>);

impl Interrupt {
    /// One that has not been used.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Ends the connecting. Does not wait; may be called at any time, any number of times.
    pub fn interrupt(&self) {
        self.0.send_replace(true);
    }

    /// Does `work` for `host` unless interrupted before its end.
    pub(super) async fn unless<T>(
        &self,
        host: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut state = self.0.subscribe();
        tokio::select! {
            biased;
            // Cannot fail: the sender is held here.
            _ = state.wait_for(|interrupted| *interrupted) => Err(Error::Interrupted { host: host.to_owned() }),
            result = work => result,
        }
    }
}

impl Default for Interrupt {
    fn default() -> Self {
        Self::new()
    }
}
