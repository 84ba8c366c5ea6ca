//! Which extended attributes take part, by what the rules with the modifier `x` say of their names.
//!
//! As everywhere, what is excluded is hidden on the sender, and on the receiver neither changed nor removed, as long as
//! the entry stays the one it is; a rule may be limited to one side. A receiver takes no attribute that its rules
//! exclude, so a sender need not send it either: both sides compare what is left. As in rsync, rules in files of
//! directories act on the sender alone, and on what is in the directory, not on the directory itself.

use crate::tree::filter::{Scope, Side, Verdict};

/// The rules for the names of extended attributes that hold in a directory, as one side sees them.
#[derive(Debug, Clone)]
pub struct XattrRules {
    scope: Scope,
    side: Side,
}

impl XattrRules {
    /// Those among the rules that hold in a directory; `None` if there are none.
    pub fn among(scope: &Scope, side: Side) -> Option<XattrRules> {
        scope.have_xattr_rules().then(|| XattrRules { scope: scope.clone(), side })
    }

    /// Whether attributes of this name take part.
    pub fn include(&self, name: &[u8]) -> bool {
        let includes = |side| self.scope.check_xattr(name, side) == Verdict::Included;
        includes(Side::Receiver) && (self.side == Side::Receiver || includes(Side::Sender))
    }
}
