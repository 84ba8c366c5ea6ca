//! The rule list and its verdicts.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::tree::filter::cvs;
use crate::tree::filter::error::FilterError;
use crate::tree::filter::file::{DirMerge, FileKind, Merge, parse_file};
use crate::tree::filter::origin::{Origin, Ruling};
use crate::tree::filter::parse::Directive;
use crate::tree::filter::pattern::{Pattern, Subject};
use crate::tree::filter::rule::{Action, Rule, Sides};

/// The most rules a list holds.
pub const MAX_RULES: usize = 65_536;

/// The most places for rules of files in directories.
pub const MAX_DIR_MERGES: usize = 64;

/// How deep files of rules may merge one another. As in rsync.
pub const MAX_MERGE_DEPTH: usize = 32;

/// The side of a pass that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that lists its tree: excluded names are hidden from the transfer.
    Sender,
    /// The one that is changed: excluded names are protected from deletion.
    Receiver,
}

/// What the rules say about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Takes part: shown by the sender, at risk of deletion on the receiver.
    Included,
    /// Takes no part: hidden by the sender, protected on the receiver.
    Excluded,
}

/// A verdict and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Place in the list of the rule that decided, from 0; none if no rule matched.
    pub rule: Option<usize>,
}

/// An ordered list of rules, ready to be asked.
///
/// It is encoded as the list of its [`Item`]s; whoever decodes one calls [`Rules::validate`]. Places for the rules of
/// files that may be in any directory are part of it; what stands there in a directory, its [`Scope`] knows.
///
/// [`Scope`]: crate::tree::filter::Scope
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Item>", into = "Vec<Item>")]
pub struct Rules {
    pub(super) list: Vec<Place>,
    /// The files that [`Place::Merged`] is about.
    pub(super) merges: Vec<DirMerge>,
    /// Absolute path of the transfer root with a `/` at its end and none at its start. Each side has its own, so it
    /// is not encoded.
    pub(super) root: Vec<u8>,
    /// Where stands what is added next, if that was said.
    origin: Option<Origin>,
}

/// Wherever the rules stand.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        (&self.list, &self.merges, &self.root) == (&other.list, &other.merges, &other.root)
    }
}

impl Eq for Rules {}

/// What a list of rules holds, as it is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// A rule.
    Rule(Rule),
    /// The place for those of a file in each directory.
    DirMerge(DirMerge),
    /// A rule about names of extended attributes.
    XattrRule(Rule),
}

impl From<Rule> for Item {
    fn from(rule: Rule) -> Self {
        if rule.xattr { Item::XattrRule(rule) } else { Item::Rule(rule) }
    }
}

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Rule(CompiledRule),
    /// That of the file of this number.
    Merged(usize),
}

impl Place {
    pub(super) fn is_xattr_rule(&self) -> bool {
        matches!(self, Place::Rule(compiled) if compiled.rule.xattr)
    }

    pub(super) fn looks_at_root(&self) -> bool {
        matches!(self, Place::Rule(compiled) if compiled.needs_absolute_path())
    }
}

#[derive(Debug, Clone)]
pub(super) struct CompiledRule {
    pub rule: Rule,
    pattern: Pattern,
    origin: Option<Origin>,
}

/// Wherever they stand.
impl PartialEq for CompiledRule {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule
    }
}

impl Eq for CompiledRule {}

impl CompiledRule {
    pub(super) fn new(rule: Rule, origin: Option<Origin>) -> Self {
        CompiledRule { pattern: Pattern::compile(&rule.pattern), rule, origin }
    }

    pub(super) fn ruling(&self) -> Ruling {
        Ruling { verdict: self.verdict(), text: self.rule.to_bytes(), origin: self.origin.clone() }
    }

    fn acts_on(&self, side: Side) -> bool {
        match self.rule.sides {
            Sides::Unnamed | Sides::Both => true,
            Sides::Sender => side == Side::Sender,
            Sides::Receiver => side == Side::Receiver,
        }
    }

    fn needs_absolute_path(&self) -> bool {
        self.rule.absolute && self.pattern.sees_directories()
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self.rule.action {
            Action::Exclude => Verdict::Excluded,
            Action::Include => Verdict::Included,
        }
    }
}

/// What the rules are asked.
pub(super) struct Question<'a> {
    pub(super) path: &'a [u8],
    pub(super) is_dir: bool,
    pub(super) side: Side,
    /// The path is the name of an extended attribute.
    pub(super) is_xattr: bool,
    deleting_dir: bool,
    root: &'a [u8],
    /// The path with the root before it, made only if a rule looks at it.
    absolute: OnceCell<Cow<'a, [u8]>>,
}

impl<'a> Question<'a> {
    pub(super) fn new(root: &'a [u8], path: &'a [u8], is_dir: bool, side: Side, deleting_dir: bool) -> Self {
        Question { path, is_dir, side, is_xattr: false, deleting_dir, root, absolute: OnceCell::new() }
    }

    /// What is asked about an extended attribute of this name. It is in no directory, so its absolute path is its name.
    pub(super) fn of_xattr(name: &'a [u8], side: Side) -> Self {
        Question { is_xattr: true, ..Question::new(&[], name, false, side, false) }
    }

    /// Whether a rule matches. `anchor` leads to the path below the directory whose file the rule is in; there is none
    /// of what is not below it.
    pub(super) fn is_answered_by(
        &self,
        compiled: &CompiledRule,
        anchor: impl Fn(&'a [u8]) -> Option<Cow<'a, [u8]>>,
    ) -> bool {
        let rule = &compiled.rule;
        if rule.xattr != self.is_xattr
            || !compiled.acts_on(self.side)
            || (self.deleting_dir && rule.perishable)
        {
            return false;
        }
        let matches = |path: &[u8]| compiled.pattern.matches(Subject::new(path, self.is_dir));
        let matched = if compiled.needs_absolute_path() {
            matches(self.absolute())
        } else if compiled.rule.pattern.starts_with(b"/") {
            anchor(self.path).is_some_and(|path| matches(&path))
        } else {
            matches(self.path)
        };
        matched != compiled.rule.negated
    }

    fn absolute(&self) -> &[u8] {
        self.absolute.get_or_init(|| match self.root {
            [] => Cow::Borrowed(self.path),
            root => Cow::Owned([root, self.path].concat()),
        })
    }
}

impl From<Vec<Rule>> for Rules {
    fn from(rules: Vec<Rule>) -> Self {
        Rules::from(rules.into_iter().map(Item::from).collect::<Vec<_>>())
    }
}

impl From<Vec<Item>> for Rules {
    fn from(items: Vec<Item>) -> Self {
        let mut rules = Rules::default();
        items.into_iter().for_each(|item| rules.put(item));
        rules
    }
}

impl From<Rules> for Vec<Item> {
    fn from(rules: Rules) -> Self {
        let Rules { list, mut merges, .. } = rules;
        let mut merges = merges.drain(..);
        let item = |place| match place {
            Place::Rule(compiled) => Some(Item::from(compiled.rule)),
            // They are numbered in the order of the list.
            Place::Merged(_) => merges.next().map(Item::DirMerge),
        };
        list.into_iter().filter_map(item).collect()
    }
}

/// The text of a file of rules that a list asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    /// The file that a merge rule names.
    File(&'a [u8]),
    /// What the user adds to the patterns of CVS, parted by white space.
    Cvs,
}

impl Rules {
    /// An empty list, which includes everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rules in order, without those of files in directories.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.list.iter().filter_map(|place| match place {
            Place::Rule(compiled) => Some(&compiled.rule),
            Place::Merged(_) => None,
        })
    }

    /// The rule at a place given by [`Decision::rule`].
    pub fn get(&self, place: usize) -> Option<&Rule> {
        match self.list.get(place)? {
            Place::Rule(compiled) => Some(&compiled.rule),
            Place::Merged(_) => None,
        }
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there are more rules in files of the directories that are listed.
    pub fn has_dir_merges(&self) -> bool {
        !self.merges.is_empty()
    }

    /// Whether a file of this name is looked for in directories, by this list itself.
    pub fn look_for(&self, file: &[u8]) -> bool {
        self.merges.iter().any(|merge| merge.file == file)
    }

    /// Checks a decoded list: at most [`MAX_RULES`] rules and [`MAX_DIR_MERGES`] places for more, each valid by itself.
    pub fn validate(&self) -> Result<(), FilterError> {
        if self.list.len() > MAX_RULES || self.merges.len() > MAX_DIR_MERGES {
            return Err(FilterError::TooManyRules);
        }
        for (number, rule) in (1..).zip(self.iter()) {
            rule.validate().map_err(|source| FilterError::Decoded { number, source })?;
        }
        for (number, merge) in (1..).zip(&self.merges) {
            merge.validate().map_err(|source| FilterError::Decoded { number, source })?;
        }
        Ok(())
    }

    /// Appends a rule.
    pub fn push(&mut self, rule: Rule) -> Result<(), FilterError> {
        self.push_item(Item::from(rule))
    }

    fn push_item(&mut self, item: Item) -> Result<(), FilterError> {
        if self.list.len() >= MAX_RULES || self.merges.len() >= MAX_DIR_MERGES {
            return Err(FilterError::TooManyRules);
        }
        self.put(item);
        Ok(())
    }

    fn put(&mut self, item: Item) {
        self.list.push(match item {
            Item::Rule(rule) => Place::Rule(CompiledRule::new(rule, self.origin.clone())),
            Item::XattrRule(rule) => {
                Place::Rule(CompiledRule::new(Rule { xattr: true, ..rule }, self.origin.clone()))
            }
            Item::DirMerge(merge) => {
                self.merges.push(merge);
                Place::Merged(self.merges.len().saturating_sub(1))
            }
        });
    }

    /// Appends a rule, clears the list, or merges a file and the files it merges in turn.
    ///
    /// `read` returns the content of a file named in a merge rule; relative names are relative to wherever the caller
    /// takes them from. `nul_separated` is `--from0`: rules in files end at a NUL byte instead of a line's end.
    pub fn add(
        &mut self,
        directive: Directive,
        nul_separated: bool,
        read: &mut dyn FnMut(Text<'_>) -> io::Result<Vec<u8>>,
    ) -> Result<(), FilterError> {
        self.add_nested(directive, nul_separated, read, 0)
    }

    fn add_nested(
        &mut self,
        directive: Directive,
        nul_separated: bool,
        read: &mut dyn FnMut(Text<'_>) -> io::Result<Vec<u8>>,
        depth: usize,
    ) -> Result<(), FilterError> {
        let Merge { file, kind } = match directive {
            Directive::Rule(rule) => return self.push(rule),
            Directive::Clear => {
                self.list.clear();
                self.merges.clear();
                return Ok(());
            }
            Directive::Cvs => {
                let file = || "the CVS rules".to_owned();
                let more = read(Text::Cvs).map_err(|source| FilterError::Read { file: file(), source })?;
                return cvs::rules(&more)?.into_iter().try_for_each(|rule| self.push(rule));
            }
            Directive::DirMerge(merge) => {
                if merge.defaults.exclude_self {
                    self.push(Rule::new(Action::Exclude, merge.name()))?;
                }
                // One that is there already stays where it is.
                let is_known = self.merges.iter().any(|known| known.is_like(&merge));
                return if is_known { Ok(()) } else { self.push_item(Item::DirMerge(merge)) };
            }
            Directive::Merge(merge) => merge,
        };
        let file_name = || String::from_utf8_lossy(&file).into_owned();
        if depth >= MAX_MERGE_DEPTH {
            return Err(FilterError::MergeDepth { file: file_name() });
        }
        if let FileKind::Rules(defaults) = kind
            && defaults.exclude_self
        {
            let name = file.rsplit(|&byte| byte == b'/').next().unwrap_or(&file);
            self.push(Rule::new(Action::Exclude, name))?;
        }
        let content =
            read(Text::File(&file)).map_err(|source| FilterError::Read { file: file_name(), source })?;
        let outer = self.origin.clone();
        let shared: Arc<[u8]> = file.as_slice().into();
        for (entry, directive) in parse_file(&file, &content, kind, nul_separated)? {
            self.origin = Some(Origin::File { file: shared.clone(), entry });
            self.add_nested(directive, nul_separated, read, depth.saturating_add(1))?;
        }
        self.origin = outer;
        Ok(())
    }

    /// Where the first rule stands that is written so.
    pub fn origin_of(&self, text: &[u8]) -> Option<&Origin> {
        let mut rules = self.list.iter().filter_map(|place| match place {
            Place::Rule(rule) => Some(rule),
            Place::Merged(_) => None,
        });
        rules.find(|rule| rule.rule.to_bytes() == text).and_then(|rule| rule.origin.as_ref())
    }

    /// Says where stands what is added from now on.
    pub fn come_from(&mut self, origin: Origin) {
        self.origin = Some(origin);
    }

    /// Appends the places for the files of git. What these say about a name counts only if no rule before does.
    /// `sender_only`: the run is one with `--delete-excluded`.
    pub fn add_git(&mut self, sender_only: bool) -> Result<(), FilterError> {
        DirMerge::of_git(sender_only).into_iter().try_for_each(|merge| self.push_item(Item::DirMerge(merge)))
    }

    /// The list as it is with `--delete-excluded`: rules that name no side act on the sender alone, so what they
    /// exclude is not protected. That goes for those of files in directories too.
    pub fn with_delete_excluded(mut self) -> Self {
        for place in &mut self.list {
            if let Place::Rule(compiled) = place {
                compiled.rule.sides = compiled.rule.sides.sender_if_unnamed();
            }
        }
        self.merges.iter_mut().for_each(|merge| merge.sender_only = true);
        self
    }

    /// Tells the absolute path of the transfer root on this machine, which rules with the modifier `/` look at. Without
    /// it they see the path below the root alone.
    pub fn set_root(&mut self, absolute_path: &[u8]) {
        self.root = absolute_path.split(|&byte| byte == b'/').filter(|element| !element.is_empty()).fold(
            Vec::new(),
            |mut root, element| {
                root.extend_from_slice(element);
                root.push(b'/');
                root
            },
        );
    }

    /// The verdict on a path for one side, without asking files in directories. See [`Rules::decide`].
    pub fn check(&self, path: &[u8], is_dir: bool, side: Side) -> Verdict {
        self.decide(path, is_dir, side, false).verdict
    }

    /// The same with the rule that gave it.
    ///
    /// `path` is relative to the transfer root, without a slash at either end; the root itself, an empty path, is
    /// always included. `deleting_dir` says that the directory which holds the entry is being deleted: perishable rules
    /// do not count there.
    pub fn decide(&self, path: &[u8], is_dir: bool, side: Side, deleting_dir: bool) -> Decision {
        if path.is_empty() {
            return Decision { verdict: Verdict::Included, rule: None };
        }
        self.answer(&Question::new(&self.root, path, is_dir, side, deleting_dir))
    }

    /// What the rules say, but for those of files in directories.
    pub(super) fn answer(&self, question: &Question<'_>) -> Decision {
        for (number, place) in self.list.iter().enumerate() {
            if let Place::Rule(compiled) = place
                && question.is_answered_by(compiled, |path| Some(Cow::Borrowed(path)))
            {
                return Decision { verdict: compiled.verdict(), rule: Some(number) };
            }
        }
        Decision { verdict: Verdict::Included, rule: None }
    }

    /// Whether rules look at the absolute path of the transfer root, without those in files of directories.
    pub fn look_at_root(&self) -> bool {
        self.list.iter().any(Place::looks_at_root)
    }

    /// Whether there are rules about names of extended attributes.
    pub(super) fn have_xattr_rules(&self) -> bool {
        self.list.iter().any(Place::is_xattr_rule)
    }

    /// Those alone, without regard to files in directories.
    pub fn about_xattrs(&self) -> Rules {
        let about_xattrs = self.iter().filter(|rule| rule.xattr).cloned();
        Rules::from(about_xattrs.collect::<Vec<Rule>>())
    }
}
