//! Where a rule stands, and what it said about a path: what `--explain` tells.

use crate::tree::filter::rules::Verdict;
use std::sync::Arc;

/// Where a rule stands. It is no part of the rule, and does not travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An option of the command line, which is named so.
    Option(&'static str),
    /// An entry of a file.
    File {
        /// Its name as given, or its path below the top of the transfer.
        file: Arc<[u8]>,
        /// The number of its line, from 1; in files that are not read by lines, of the rule.
        entry: usize,
    },
}

/// What a rule said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Its verdict.
    pub verdict: Verdict,
    /// The rule as it can be written.
    pub text: Vec<u8>,
    /// Where it stands, if that is known.
    pub origin: Option<Origin>,
}
