//! Ending a run early without breaking off what is in hand.
//!
//! Whoever wants a run to end [asks](Stop::ask) for it, and says what is to be done then: to close the link, say, which
//! breaks off whatever still goes on. From then on nothing is begun any more. What must not be broken off is
//! [held](Stop::hold): the end comes when nothing is. How long that may take is up to who asks, who can have it come
//! [now](Stop::end_now).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What ends a run early. One for both sides if both are in this process. A run that nobody asks to end holds what it
/// likes.
#[derive(Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    hand: Mutex<Hand>,
}

/// What is in hand, and what to do when nothing is.
#[derive(Default)]
struct Hand {
    held: usize,
    end: Option<Box<dyn FnOnce() + Send>>,
}

/// As long as it lives, something is in hand.
#[derive(Debug)]
pub struct InHand(Arc<Stop>);

impl Stop {
    /// Has nothing more begun. `end` is done when nothing is in hand: at once, or by whoever puts down the last.
    pub fn ask(&self, end: impl FnOnce() + Send + 'static) {
        let end = {
            let mut hand = self.hand();
            self.asked.store(true, Ordering::Relaxed);
            hand.end = Some(Box::new(end));
            hand.taken()
        };
        end.into_iter().for_each(|end| end());
    }

    /// Does what was to be done in the end, if it was not done yet, whatever is in hand.
    pub fn end_now(&self) {
        let end = self.hand().end.take();
        end.into_iter().for_each(|end| end());
    }

    /// Whether nothing more is to be begun.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The same, for those who need to know no more.
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.asked
    }

    /// Begins something that is not to be broken off; `None` if nothing more is to be begun.
    pub fn hold(self: &Arc<Stop>) -> Option<InHand> {
        let mut hand = self.hand();
        if self.is_asked() {
            return None;
        }
        hand.held = hand.held.saturating_add(1);
        Some(InHand(self.clone()))
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hand {
    fn taken(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        if self.held == 0 { self.end.take() } else { None }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let end = {
            let mut hand = self.0.hand();
            hand.held = hand.held.saturating_sub(1);
            hand.taken()
        };
        end.into_iter().for_each(|end| end());
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop").field("asked", &self.is_asked()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn asked(stop: &Stop) -> Arc<AtomicU32> {
        let ends = Arc::new(AtomicU32::new(0));
        let count = ends.clone();
        stop.ask(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        ends
    }

    fn ends(ends: &AtomicU32) -> u32 {
        ends.load(Ordering::Relaxed)
    }

    #[test]
    fn with_nothing_in_hand_the_end_comes_at_once() {
        let stop = Arc::new(Stop::default());
        drop(stop.hold().unwrap());
        assert!(!stop.is_asked());
        let count = asked(&stop);
        assert_eq!((ends(&count), stop.is_asked(), stop.flag().load(Ordering::Relaxed)), (1, true, true));
        assert!(stop.hold().is_none());
    }

    #[test]
    fn what_is_in_hand_is_finished_and_nothing_is_begun() {
        let stop = Arc::new(Stop::default());
        let (one, other) = (stop.hold().unwrap(), stop.hold().unwrap());
        let count = asked(&stop);
        assert!(stop.hold().is_none());
        drop(one);
        assert_eq!(ends(&count), 0);
        drop(other);
        assert_eq!(ends(&count), 1);
        stop.end_now();
        assert_eq!(ends(&count), 1);
    }

    #[test]
    fn the_end_can_come_before() {
        let stop = Arc::new(Stop::default());
        let held = stop.hold().unwrap();
        stop.end_now();
        let count = asked(&stop);
        assert_eq!(ends(&count), 0);
        stop.end_now();
        drop(held);
        assert_eq!(ends(&count), 1);
    }
}
