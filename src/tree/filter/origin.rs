//! Where a rule stands, and what it said about a path: what `--explain` tells.

use crate::tree::filter::rules::Verdict;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Where a rule stands. It is no part of the rule, and does not travel with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// An option of the command line, which is named so.
    Option(Cow<'static, str>),
    /// An entry of a file.
    File {
        /// Its name as given, or its path below the top of the transfer.
        #[serde(with = "shared")]
        file: Arc<[u8]>,
        /// The number of its line, from 1; in files that are not read by lines, of the rule.
        entry: usize,
    },
}

/// What a rule said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Its verdict.
    pub verdict: Verdict,
    /// The rule as it can be written.
    pub text: Vec<u8>,
    /// Where it stands, if that is known.
    pub origin: Option<Origin>,
}

/// Shared bytes as bytes.
mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(Arc::from)
    }
}
