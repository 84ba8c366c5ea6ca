//! A case that fails, as small as it can be made.

use super::Case;
use crate::two_way::user::Edit;

/// How often a failing case is tried with less.
const TRIES: usize = 400;

impl Case {
    /// The whole case as it would be pasted.
    pub(super) fn text(&self) -> String {
        let Case {
            way,
            links,
            policy,
            excluded,
            in_files,
            guarded,
            met,
            base,
            more,
            left,
            right,
            turned,
            other_clocks,
            plain,
        } = self;
        format!(
            "#[test]\nfn what_went_wrong() {{\n    again(&Case {{\n        way: {way},\n        \
             links: {links},\n        policy: {policy:?},\n        excluded: {excluded:?},\n        \
             in_files: {in_files:?},\n        \
             guarded: {guarded},\n        met: {met},\n        base: vec!{base:?},\n        \
             more: vec!{more:?},\n        left: vec!{left:?},\n        \
             right: vec!{right:?},\n        turned: {turned},\n        \
             other_clocks: {other_clocks},\n        plain: {plain},\n    }});\n}}"
        )
    }

    /// This case with as little as fails as well, and how that does.
    pub(super) fn smallest(self, mut why: String) -> (Case, String) {
        let (mut smallest, mut tries) = (self, 0);
        loop {
            let mut smaller = None;
            for case in smallest.with_less() {
                tries += 1;
                if let Err(error) = case.hold() {
                    smaller = Some((case, error));
                    break;
                }
            }
            match smaller {
                Some((case, error)) if tries < TRIES => (smallest, why) = (case, error),
                _ => return (smallest, why),
            }
        }
    }

    fn with_less(&self) -> Vec<Case> {
        let mut all = Vec::new();
        let without = |edits: &Vec<Edit>| {
            (0..edits.len()).rev().map(|n| [&edits[..n], &edits[n + 1..]].concat()).collect::<Vec<_>>()
        };
        all.extend(without(&self.more).into_iter().map(|more| Case { more, ..self.clone() }));
        all.extend(without(&self.left).into_iter().map(|left| Case { left, ..self.clone() }));
        all.extend(without(&self.right).into_iter().map(|right| Case { right, ..self.clone() }));
        all.extend(without(&self.base).into_iter().map(|base| Case { base, ..self.clone() }));
        if self.way > 0 {
            all.push(Case { way: 0, ..self.clone() });
        }
        if self.excluded.is_some() {
            all.push(Case { excluded: None, ..self.clone() });
        }
        for side in 0..2 {
            if self.in_files[side].is_some() {
                let mut case = self.clone();
                case.in_files[side] = None;
                all.push(case);
            }
        }
        if self.guarded {
            all.push(Case { guarded: false, ..self.clone() });
        }
        if self.turned || self.other_clocks {
            all.push(Case { turned: false, other_clocks: false, ..self.clone() });
        }
        if self.policy != "skip" {
            all.push(Case { policy: "skip", ..self.clone() });
        }
        all
    }
}
