//! What can be wrong with filter rules.
//!
//! A rule given as an argument is quoted in its error. A rule read from a file is only located, by file and line: the
//! file may hold more than rules, and messages may travel to the other side of the connection.

use std::io;

use thiserror::Error;

use crate::tree::filter::rule::MAX_PATTERN_BYTES;
use crate::tree::filter::rules::{MAX_MERGE_DEPTH, MAX_RULES};

/// A rule list could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A rule or pattern given as an argument is malformed.
    #[error("Filter rule {rule:?}")]
    Argument {
        /// The argument, with bytes that are not UTF-8 replaced.
        rule: String,
        /// What is wrong with it.
        source: SyntaxError,
    },
    /// A line of a file of rules is malformed.
    #[error("Filter rule in {file}, entry {entry}")]
    File {
        /// The file's name as given, with bytes that are not UTF-8 replaced.
        file: String,
        /// Number of the line, from 1; for files of NUL-ended or blank-separated rules, of the entry.
        entry: usize,
        /// What is wrong with it.
        source: SyntaxError,
    },
    /// A file of rules could not be read.
    #[error("Reading filter rules from {file}")]
    Read {
        /// The file's name as given, with bytes that are not UTF-8 replaced.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// Files of rules merge one another too deeply, most likely in a circle.
    #[error("Reading filter rules from {file}: files merge one another more than {MAX_MERGE_DEPTH} deep")]
    MergeDepth {
        /// The file that was not read any more.
        file: String,
    },
    /// A file of git's patterns has too many of them, or they are too much to be matched.
    #[error("Reading patterns from {file}: they are too many or too large")]
    TooMuch {
        /// The file's name, with bytes that are not UTF-8 replaced.
        file: String,
    },
    /// The list has more than [`MAX_RULES`] rules.
    #[error("More than {MAX_RULES} filter rules")]
    TooManyRules,
    /// A rule decoded from a message breaks a limit that parsing would have kept.
    #[error("Filter rule number {number}")]
    Decoded {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        source: SyntaxError,
    },
}

/// What is wrong with one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SyntaxError {
    /// The rule does not begin with a letter or word that names a rule.
    #[error("it begins with no known rule name")]
    UnknownRule,
    /// A modifier is unknown, or does not go with this rule or with an earlier modifier.
    #[error("the modifier at position {position} is unknown or does not fit this rule")]
    BadModifier {
        /// Offset in bytes from the start of the rule.
        position: usize,
    },
    /// The pattern or file name is missing.
    #[error("the pattern or file name is missing")]
    MissingPattern,
    /// Something follows a list-clearing rule.
    #[error("a clear rule takes no pattern")]
    ClearWithPattern,
    /// The rule names a side, and so does the merge rule that brought its file in.
    #[error("it names a side, and the rule that merges its file names one already")]
    SideGivenTwice,
    /// The pattern is longer than any path.
    #[error("the pattern is longer than {MAX_PATTERN_BYTES} bytes")]
    PatternTooLong,
    /// A NUL byte, which no name can contain.
    #[error("it contains a NUL byte")]
    NulByte,
    /// A part of the rule language that dsync does not have yet.
    #[error("{0} are not supported yet")]
    NotSupported(&'static str),
}

impl FilterError {
    pub(super) fn argument(rule: &[u8], source: SyntaxError) -> Self {
        FilterError::Argument { rule: String::from_utf8_lossy(rule).into_owned(), source }
    }
}
