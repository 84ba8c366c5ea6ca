//! Numbers of users and of groups: types of their own, so that neither is taken for the other or for a mode.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a user, on one host. Written and sent as the number alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(pub u32);

/// The number of a group, on one host. Written and sent as the number alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gid(pub u32);

impl Uid {
    /// The user who may do everything, on every host.
    pub const ROOT: Uid = Uid(0);
}

impl Gid {
    /// The group of that user, on every host.
    pub const ROOT: Gid = Gid(0);
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
