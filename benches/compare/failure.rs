//! The one error of the harness: a sentence saying what was being done and why it failed.
//!
//! Nobody handles these by kind; the run ends and the sentence is printed. So there is no enum to match on.

use std::fmt;

/// What was being done, and what went wrong.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure with no other error beneath it.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds what was being done to an error.
pub(crate) trait Doing<T> {
    /// Turns an error into "`what`: error".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{}: {error}", what())))
    }
}
