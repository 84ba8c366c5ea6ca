//! Counts the gaps that are open in files being built, so that a source that leaves gap after gap fills no memory.

use crate::pass::PassError;
use crate::wire::OPEN_GAPS;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a source may have open, and as many again that it has filled since, in content still on its way to us: an
/// operation costs at least 64 bytes of the window of 16 MiB.
const LIMIT: usize = 2 * OPEN_GAPS;

/// The gaps of one file, counted with those of all others.
#[derive(Debug)]
pub(super) struct OpenGaps {
    all: Arc<AtomicUsize>,
    mine: usize,
}

impl OpenGaps {
    /// None yet.
    pub(super) fn new(all: Arc<AtomicUsize>) -> OpenGaps {
        OpenGaps { all, mine: 0 }
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.mine > 0
    }

    /// The file has so many now.
    pub(super) fn set(&mut self, gaps: usize) -> Result<(), PassError> {
        if gaps == self.mine {
            return Ok(());
        }
        self.all.fetch_sub(self.mine, Ordering::Relaxed);
        self.mine = gaps;
        let others = self.all.fetch_add(gaps, Ordering::Relaxed);
        if others.saturating_add(gaps) > LIMIT {
            return Err(PassError::Protocol("too many gaps are left at once"));
        }
        Ok(())
    }
}

impl Drop for OpenGaps {
    fn drop(&mut self) {
        self.all.fetch_sub(self.mine, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_of_all_files_count_together() {
        let all = Arc::default();
        let (mut first, mut second) = (OpenGaps::new(Arc::clone(&all)), OpenGaps::new(all));
        first.set(LIMIT - 10).unwrap();
        second.set(10).unwrap();
        assert!(second.set(11).is_err());
        drop(first);
        second.set(LIMIT).unwrap();
        assert!(second.any());
    }
}
