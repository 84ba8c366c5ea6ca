//! rsync's filter rules: which names of a tree take part in a run.
//!
//! A rule list is an ordered list of include and exclude patterns; the first rule that matches a name decides, and a
//! name no rule matches is included. The same list is read by both sides of a pass: on the sender an excluded name is
//! hidden from the transfer, on the receiver it is protected from deletion, and a rule may be limited to one side.
//!
//! * [`parse_filter`], [`parse_pattern`] and [`parse_file`] turn the text of options and files into [`Directive`]s;
//! * [`Rules::add`] collects these into a list, asking its caller for the content of merged files, since this module
//!   reads no file itself;
//! * [`Rules::check`] and [`Rules::decide`] give the verdict for one path, [`Scope::check`] that of a directory's own
//!   files too; [`Scope::decide`] also tells which rule gave it, and where that stands.
//!
//! The walk calls the check for every entry, top down, and never enters an excluded directory; so a verdict is about
//! the path it is given, not about the directories above it.
//!
//! Names are bytes, as the kernel gives them. The rule language and its corners are those of rsync's manual page,
//! section FILTER RULES, held to by a test that compares verdicts with the installed rsync.
//!
//! A list may hold places for the rules of files that are found in the directories of the tree. What stands there is
//! told by the [`Scope`] of each directory, which is made of that of the directory above it and of such files. All
//! that were found in a tree are [`RuleFiles`].
//!
//! Of these files, those of git (`--gitignore`) are read by its rules, not by rsync's: `git`.
//!
//! Rules for the names of extended attributes (modifier `x`) are part of the same lists, but say nothing of other names,
//! nor do others say anything of these: [`XattrRules`].

mod class;
mod cvs;
mod error;
mod file;
mod found;
mod git;
mod glob;
mod origin;
mod parse;
mod pattern;
mod rule;
mod rules;
mod scope;
mod xattrs;

#[cfg(test)]
mod tests;

pub use self::error::{FilterError, SyntaxError};
pub use self::file::{DirMerge, FileKind, Merge, RuleDefaults, parse_file};
pub use self::found::{Holder, RuleFiles};
pub use self::origin::{Origin, Ruling};
pub use self::parse::{Directive, parse_filter, parse_pattern};
pub use self::rule::{Action, MAX_PATTERN_BYTES, Rule, Sides};
pub use self::rules::{
    Decision, Item, MAX_DIR_MERGES, MAX_MERGE_DEPTH, MAX_RULES, Rules, Side, Text, Verdict,
};
pub use self::scope::Scope;
pub use self::xattrs::XattrRules;
