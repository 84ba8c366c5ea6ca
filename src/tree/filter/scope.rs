//! The rules as they hold in one directory: a list, with what files there and above say in the places kept for them.
//!
//! The rules of the nearest file come first, then those of the file of the same name in the directory above, and so on;
//! a lone `!` in a file forgets what came from above it. A pattern that is anchored starts in the directory of its
//! file. A file may itself keep places for further ones, which hold in its directory and below.
//!
//! A [`Scope`] is made of that of the directory above, so that whoever goes down a tree holds those of the directories
//! it is in; they share what they have in common. Files are read by the caller, each in its own directory.

use crate::tree::RelPath;
use crate::tree::filter::error::FilterError;
use crate::tree::filter::file::{DirMerge, FileKind, Merge, RuleDefaults, parse_file};
use crate::tree::filter::git::{self, GitLines};
use crate::tree::filter::origin::{Origin, Ruling};
use crate::tree::filter::parse::Directive;
use crate::tree::filter::rule::{Action, Rule, Sides};
use crate::tree::filter::rules::{
    CompiledRule, MAX_DIR_MERGES, MAX_MERGE_DEPTH, MAX_RULES, Place, Question, Rules, Side, Verdict,
};
use std::borrow::Cow;
use std::io;
use std::sync::Arc;

/// Hands out the content of a file in the directory that is entered; `None` if there is none.
type ReadInDirectory<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<Option<Vec<u8>>>;

/// The rules that hold in a directory. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    rules: Arc<Rules>,
    /// By number, what stands in the places of files.
    files: Arc<Vec<File>>,
}

/// A file that may be in each directory.
#[derive(Debug, Clone)]
struct File {
    merge: DirMerge,
    /// The rules of the nearest one that was found.
    nearest: Option<Arc<Layer>>,
}

/// The rules of one file that was found.
#[derive(Debug)]
struct Layer {
    held: Held,
    /// The path of the file, as it is told.
    file: Arc<[u8]>,
    base: Base,
    /// Those of the file further up.
    above: Option<Arc<Layer>>,
}

/// What a file holds.
#[derive(Debug)]
enum Held {
    Places(Vec<Place>),
    /// Patterns as git reads them.
    Git {
        lines: GitLines,
        /// They act on the sender alone.
        sender_only: bool,
    },
}

/// Where the directory of a file is.
#[derive(Debug, Clone)]
enum Base {
    /// So many bytes of a path lead to it, its slash included.
    Below(usize),
    /// It is above the top of the transfer, and this leads from it to there, with a slash at its end.
    Above(Vec<u8>),
}

impl Base {
    fn anchor<'a>(&self, path: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Base::Below(length) => Cow::Borrowed(path.get(*length..).unwrap_or_default()),
            Base::Above(way) => Cow::Owned([way.as_slice(), path].concat()),
        }
    }

    /// The same for the name of an extended attribute, which is below the top alone.
    fn anchor_xattr<'a>(&self, name: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        matches!(self, Base::Below(0)).then_some(Cow::Borrowed(name))
    }
}

impl From<Rules> for Scope {
    fn from(rules: Rules) -> Scope {
        let files = rules.merges.iter().map(|merge| File { merge: merge.clone(), nearest: None });
        Scope { files: Arc::new(files.collect()), rules: Arc::new(rules) }
    }
}

impl Scope {
    /// One in which all names are left out, and nothing may be deleted.
    pub fn closed() -> Scope {
        let rule = Rule { sides: Sides::Both, ..Rule::new(Action::Exclude, "*") };
        Scope::from(Rules::from(vec![rule]))
    }

    /// Whether there are no rules, nor files that may hold some.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether directories may hold files of rules.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// What holds in a directory, which is at `path` below the top of the transfer and in a directory in which this
    /// holds. `read` is asked for its files.
    ///
    /// # Errors
    /// A file cannot be read, or holds what is no rule.
    pub fn enter(&self, path: &RelPath, read: ReadInDirectory<'_>) -> Result<Scope, FilterError> {
        let length = if path.is_root() { 0 } else { path.as_bytes().len().saturating_add(1) };
        let slash: &[u8] = if path.is_root() { b"" } else { b"/" };
        let directory = [path.as_bytes(), slash].concat();
        self.entered((&Base::Below(length), directory.as_slice()), |_| true, read)
    }

    /// How many directories above the top of the transfer may hold files that count in it.
    pub fn levels_above(&self) -> usize {
        let depth = self.root_elements().count();
        let from = |file: &File| {
            let from = elements(file.merge.from.as_ref()?);
            from.clone().eq(self.root_elements().take(from.clone().count())).then(|| from.count())
        };
        let first = self.files.iter().filter_map(from).min();
        first.map_or(0, |first| depth.saturating_sub(first))
    }

    /// What holds below a directory that is `levels` above the top of the transfer; with 0 it is that top itself, whose
    /// own listing is not part of the transfer. Called from the outermost to the innermost.
    ///
    /// # Errors
    /// Those of [`enter`](Scope::enter).
    pub fn enter_above(&self, levels: usize, read: ReadInDirectory<'_>) -> Result<Scope, FilterError> {
        let depth = self.root_elements().count().saturating_sub(levels);
        let way =
            self.root_elements().skip(depth).fold(Vec::new(), |way, element| [&way, element, b"/"].concat());
        let is_from_here = |merge: &DirMerge| {
            merge.from.as_ref().is_some_and(|from| {
                let from = elements(from);
                from.clone().count() <= depth && from.clone().eq(self.root_elements().take(from.count()))
            })
        };
        let directory = self.root_elements().take(depth);
        let directory = directory.fold(b"/".to_vec(), |path, element| [&path, element, b"/"].concat());
        self.entered((&Base::Above(way), directory.as_slice()), is_from_here, read)
    }

    fn root_elements(&self) -> impl Iterator<Item = &[u8]> + Clone {
        elements(&self.rules.root)
    }

    fn entered(
        &self,
        (base, directory): (&Base, &[u8]),
        is_asked: impl Fn(&DirMerge) -> bool,
        read: ReadInDirectory<'_>,
    ) -> Result<Scope, FilterError> {
        if self.files.is_empty() {
            return Ok(self.clone());
        }
        let mut entering = Entering { files: self.files.to_vec(), directory, changed: false, read };
        entering.files.iter_mut().filter(|file| file.merge.not_below).for_each(|file| {
            entering.changed |= file.nearest.take().is_some();
        });
        let mut number = 0;
        // There may be more of them with each that is read.
        while let Some(file) = entering.files.get(number) {
            if is_asked(&file.merge) {
                entering.file(number, base)?;
            }
            number = number.saturating_add(1);
        }
        let Entering { files, changed, .. } = entering;
        let files = if changed { Arc::new(files) } else { self.files.clone() };
        Ok(Scope { rules: self.rules.clone(), files })
    }

    /// The verdict on a path for one side. `path` is that of an entry of the directory in which this holds, or of the
    /// directory itself, below the top of the transfer, which is an empty path and always included. `deleting_dir` says
    /// that the directory is being deleted: perishable rules do not count there.
    pub fn check(&self, path: &[u8], is_dir: bool, side: Side, deleting_dir: bool) -> Verdict {
        self.answer(path, is_dir, side, deleting_dir).map_or(Verdict::Included, |answer| answer.verdict())
    }

    /// The same with the rule that gave it and where that stands; `None` if no rule matches, and so the path is
    /// included.
    pub fn decide(&self, path: &[u8], is_dir: bool, side: Side, deleting_dir: bool) -> Option<Ruling> {
        self.answer(path, is_dir, side, deleting_dir).map(|answer| answer.ruling())
    }

    fn answer(&self, path: &[u8], is_dir: bool, side: Side, deleting_dir: bool) -> Option<Answer<'_>> {
        let question = Question::new(&self.rules.root, path, is_dir, side, deleting_dir);
        if path.is_empty() { None } else { self.first(&self.rules.list, &Base::Below(0), &question) }
    }

    /// Whether there are rules about names of extended attributes, here or in the files that hold here.
    pub(super) fn have_xattr_rules(&self) -> bool {
        self.rules.have_xattr_rules() || self.is_in_files(Place::is_xattr_rule)
    }

    /// Whether rules look at the absolute path of the transfer root, here or in the files that hold here.
    pub fn looks_at_root(&self) -> bool {
        self.rules.look_at_root() || self.is_in_files(Place::looks_at_root)
    }

    fn is_in_files(&self, is_such: fn(&Place) -> bool) -> bool {
        let in_layer = |layer: &Layer| match &layer.held {
            Held::Places(places) => places.iter().any(is_such),
            Held::Git { .. } => false,
        };
        let in_file = |file: &File| {
            std::iter::successors(file.nearest.as_deref(), |layer| layer.above.as_deref()).any(in_layer)
        };
        self.files.iter().any(in_file)
    }

    /// The verdict on an extended attribute of this name. The receiver heeds no files in directories.
    pub(super) fn check_xattr(&self, name: &[u8], side: Side) -> Verdict {
        let question = Question::of_xattr(name, side);
        match side {
            Side::Receiver => self.rules.answer(&question).verdict,
            Side::Sender => {
                let answer = self.first(&self.rules.list, &Base::Below(0), &question);
                answer.map_or(Verdict::Included, |answer| answer.verdict())
            }
        }
    }

    /// The first rule that matches. A file keeps places only for files that are numbered after it, so there is an end
    /// to it.
    fn first<'a>(&'a self, places: &'a [Place], base: &Base, question: &Question<'_>) -> Option<Answer<'a>> {
        places.iter().find_map(|place| match place {
            Place::Rule(compiled) => {
                let is_answer = question.is_answered_by(compiled, |path| match question.is_xattr {
                    true => base.anchor_xattr(path),
                    false => Some(base.anchor(path)),
                });
                is_answer.then_some(Answer::Rule(compiled))
            }
            Place::Merged(number) => {
                let nearest = self.files.get(*number).and_then(|file| file.nearest.as_deref());
                std::iter::successors(nearest, |layer| layer.above.as_deref())
                    .find_map(|layer| self.said_by(layer, question))
            }
        })
    }

    fn said_by<'a>(&'a self, layer: &'a Layer, question: &Question<'_>) -> Option<Answer<'a>> {
        match &layer.held {
            Held::Places(places) => self.first(places, &layer.base, question),
            Held::Git { .. } if question.is_xattr => None,
            Held::Git { sender_only: true, .. } if question.side == Side::Receiver => None,
            Held::Git { .. } if git::is_own(question.path) => None,
            Held::Git { lines, .. } => {
                let path = layer.base.anchor(question.path);
                let said = lines.verdict(&path, question.is_dir);
                said.map(|(verdict, number)| Answer::Line { verdict, number, lines, file: &layer.file })
            }
        }
    }
}

/// The rule that decided.
enum Answer<'a> {
    Rule(&'a CompiledRule),
    /// A line of a file of git's.
    Line {
        verdict: Verdict,
        number: usize,
        lines: &'a GitLines,
        file: &'a Arc<[u8]>,
    },
}

impl Answer<'_> {
    fn verdict(&self) -> Verdict {
        match self {
            Answer::Rule(compiled) => compiled.verdict(),
            Answer::Line { verdict, .. } => *verdict,
        }
    }

    fn ruling(&self) -> Ruling {
        match self {
            Answer::Rule(compiled) => compiled.ruling(),
            Answer::Line { verdict, number, lines, file } => {
                let origin = Origin::File { file: Arc::clone(file), entry: *number };
                Ruling { verdict: *verdict, text: lines.line(*number).to_vec(), origin: Some(origin) }
            }
        }
    }
}

fn elements(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|&byte| byte == b'/').filter(|element| !element.is_empty())
}

/// A directory whose files are being read.
struct Entering<'a> {
    files: Vec<File>,
    /// Its path with a slash at its end, as it is told.
    directory: &'a [u8],
    changed: bool,
    read: ReadInDirectory<'a>,
}

impl Entering<'_> {
    /// Reads a file, if there is one.
    fn file(&mut self, number: usize, base: &Base) -> Result<(), FilterError> {
        let Some(File { merge, nearest }) = self.files.get(number).cloned() else { return Ok(()) };
        let Some(content) = self.content(&merge.file)? else { return Ok(()) };
        let (held, above) = if merge.git {
            let lines = GitLines::parse(&shown(&merge.file), &content)?;
            (Held::Git { lines, sender_only: merge.sender_only }, nearest)
        } else {
            let mut found = Found { places: Vec::new(), above: nearest, sender_only: merge.sender_only };
            self.add(&mut found, &merge.file, &content, merge.defaults, 0)?;
            (Held::Places(found.places), found.above)
        };
        let layer = Layer { held, file: self.told(&merge.file), base: base.clone(), above };
        if let Some(file) = self.files.get_mut(number) {
            file.nearest = Some(Arc::new(layer));
            self.changed = true;
        }
        Ok(())
    }

    /// The path of a file, as it is told.
    fn told(&self, file: &[u8]) -> Arc<[u8]> {
        [self.directory, file].concat().into()
    }

    fn content(&mut self, file: &[u8]) -> Result<Option<Vec<u8>>, FilterError> {
        (self.read)(file).map_err(|source| FilterError::Read { file: shown(file), source })
    }

    fn add(
        &mut self,
        found: &mut Found,
        file: &[u8],
        content: &[u8],
        defaults: RuleDefaults,
        depth: usize,
    ) -> Result<(), FilterError> {
        if depth >= MAX_MERGE_DEPTH {
            return Err(FilterError::MergeDepth { file: shown(file) });
        }
        let told = self.told(file);
        for (entry, directive) in parse_file(file, content, FileKind::Rules(defaults), false)? {
            let origin = Origin::File { file: told.clone(), entry };
            match directive {
                Directive::Rule(rule) => found.push(rule, origin)?,
                Directive::Clear => {
                    found.places.clear();
                    found.above = None;
                }
                Directive::DirMerge(merge) => self.keep_place(found, merge, origin)?,
                Directive::Merge(Merge { file, kind: FileKind::Rules(defaults) }) => {
                    let missing =
                        || FilterError::Read { file: shown(&file), source: io::ErrorKind::NotFound.into() };
                    let content = self.content(&file)?.ok_or_else(missing)?;
                    if defaults.exclude_self {
                        found.push(Rule::new(Action::Exclude, file.clone()), origin)?;
                    }
                    self.add(found, &file, &content, defaults, depth.saturating_add(1))?;
                }
                // What the user adds to the rules of CVS is known only where the command line is.
                Directive::Cvs | Directive::Merge(_) => {
                    let source =
                        crate::tree::filter::SyntaxError::NotSupported("CVS rules in files of directories");
                    return Err(FilterError::File { file: shown(file), entry: 0, source });
                }
            }
        }
        Ok(())
    }

    /// Keeps a place for a further file, unless there is one for those of its name.
    fn keep_place(
        &mut self,
        found: &mut Found,
        mut merge: DirMerge,
        origin: Origin,
    ) -> Result<(), FilterError> {
        if merge.defaults.exclude_self {
            found.push(Rule::new(Action::Exclude, merge.name()), origin)?;
        }
        if self.files.iter().any(|known| known.merge.is_like(&merge)) {
            return Ok(());
        }
        if self.files.len() >= MAX_DIR_MERGES {
            return Err(FilterError::TooManyRules);
        }
        merge.sender_only = found.sender_only;
        found.places.push(Place::Merged(self.files.len()));
        self.files.push(File { merge, nearest: None });
        Ok(())
    }
}

/// What was found in a file so far.
struct Found {
    places: Vec<Place>,
    above: Option<Arc<Layer>>,
    sender_only: bool,
}

impl Found {
    fn push(&mut self, mut rule: Rule, origin: Origin) -> Result<(), FilterError> {
        if self.places.len() >= MAX_RULES {
            return Err(FilterError::TooManyRules);
        }
        if self.sender_only {
            rule.sides = rule.sides.sender_if_unnamed();
        }
        self.places.push(Place::Rule(CompiledRule::new(rule, Some(origin))));
        Ok(())
    }
}

fn shown(file: &[u8]) -> String {
    String::from_utf8_lossy(file).into_owned()
}
