//! What the client has to say while it connects: notices always, its steps where they are asked for.

use crate::transport::ssh::Options;
use crate::transport::{Notice, NoticeSink};

/// Says it.
#[derive(Clone)]
pub(super) struct Telling {
    sink: NoticeSink,
    steps: bool,
}

impl Telling {
    pub(super) fn of(options: &Options) -> Self {
        Self { sink: options.on_notice.clone(), steps: options.tell_steps }
    }

    /// Tells nobody.
    #[cfg(test)]
    pub(super) fn nothing() -> Self {
        Self { sink: std::sync::Arc::new(|_| {}), steps: false }
    }

    /// Tells a list all there is to tell.
    #[cfg(test)]
    pub(super) fn to_a_list() -> (Self, std::sync::Arc<std::sync::Mutex<Vec<Notice>>>) {
        let list = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let told = list.clone();
        (
            Self { sink: std::sync::Arc::new(move |notice| told.lock().unwrap().push(notice)), steps: true },
            list,
        )
    }

    pub(super) fn notice(&self, notice: Notice) {
        (self.sink)(notice);
    }

    /// Tells a step, whose words are made only if somebody wants to know.
    pub(super) fn step(&self, words: impl FnOnce() -> String) {
        if self.steps {
            (self.sink)(Notice::Step(words()));
        }
    }
}
