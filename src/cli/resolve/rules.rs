//! From filter flags to rules: the only place that reads files of rules the user names.

use crate::cli::environment::Environment;
use crate::cli::failure::{FILE_IO, Failure, USAGE};
use crate::cli::flags::FilterFlag;
use crate::session;
use crate::tree::filter::{
    Action, Directive, FileKind, FilterError, Merge, Origin, Rule, Rules, Sides, Text, parse_filter,
    parse_pattern,
};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

/// The largest file of filter rules that is read, in bytes.
const MAX_RULE_FILE: u64 = 64 << 20;

/// Reads the rules of all filter flags, in order. Names that end in `spared` are not deleted, if no rule is about them.
///
/// `input`: whether rules in files end in NUL bytes, and which links the paths of such files may go through.
pub(in crate::cli) fn read(
    flags: &[FilterFlag],
    cvs_exclude: bool,
    (nul, paths): (bool, session::Paths),
    environment: &Environment,
    spared: Option<&[u8]>,
) -> Result<Rules, Failure> {
    let mut rules = Rules::new();
    let mut read = |text: Text<'_>| match text {
        Text::File(file) => read_rules(file, paths),
        Text::Cvs => cvs_patterns(environment, paths),
    };
    let in_full: [&[u8]; 2] = if cvs_exclude { [b":C", b"-C"] } else { [b"", b""] };
    let in_full = in_full.iter().map(|rule| ("-C", parse_filter(rule)));
    let given = flags.iter().map(|flag| (name(flag), directive(flag)));
    for (option, directive) in given.chain(in_full) {
        rules.come_from(Origin::Option(option.into()));
        if let Some(directive) = directive.map_err(|error| filter_failure(&error))? {
            rules.add(directive, nul, &mut read).map_err(|error| filter_failure(&error))?;
        }
    }
    if let Some(suffix) = spared {
        rules.come_from(Origin::Option("--backup".into()));
        let pattern = [b"*", suffix].concat();
        let rule = Rule { sides: Sides::Receiver, ..Rule::new(Action::Exclude, pattern) };
        rules.push(rule).map_err(|error| filter_failure(&error))?;
    }
    Ok(rules)
}

/// What a flag is called, as `--explain` says where a rule stands.
fn name(flag: &FilterFlag) -> &'static str {
    match flag {
        FilterFlag::Exclude(_) => "--exclude",
        FilterFlag::Include(_) => "--include",
        FilterFlag::Filter(_) => "--filter",
        FilterFlag::ExcludeFrom(_) => "--exclude-from",
        FilterFlag::IncludeFrom(_) => "--include-from",
        FilterFlag::DirMerges | FilterFlag::HideDirMerges => "-F",
        FilterFlag::OneLayer => "--old-dirs",
    }
}

fn directive(flag: &FilterFlag) -> Result<Option<Directive>, FilterError> {
    let from = |file: &OsStr, action| {
        let merge = Merge { file: file.as_bytes().to_vec(), kind: FileKind::Patterns(action) };
        Ok(Some(Directive::Merge(merge)))
    };
    match flag {
        FilterFlag::Exclude(pattern) => parse_pattern(pattern.as_bytes(), Action::Exclude),
        FilterFlag::Include(pattern) => parse_pattern(pattern.as_bytes(), Action::Include),
        FilterFlag::Filter(rule) => parse_filter(rule.as_bytes()),
        FilterFlag::ExcludeFrom(file) => from(file, Action::Exclude),
        FilterFlag::IncludeFrom(file) => from(file, Action::Include),
        FilterFlag::DirMerges => parse_filter(b": /.rsync-filter"),
        FilterFlag::HideDirMerges => parse_filter(b"- .rsync-filter"),
        FilterFlag::OneLayer => parse_filter(b"- /*/*"),
    }
}

/// What the user adds to the patterns of CVS: those of the file in the home directory, if there is one, and those of
/// the environment.
fn cvs_patterns(environment: &Environment, paths: session::Paths) -> io::Result<Vec<u8>> {
    let file = environment.home.join(".cvsignore");
    let mut patterns = match read_rules(file.as_os_str().as_bytes(), paths) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    if let Some(more) = &environment.cvs_ignore {
        patterns.push(b' ');
        patterns.extend_from_slice(more.as_bytes());
    }
    Ok(patterns)
}

pub(in crate::cli) fn filter_failure(error: &FilterError) -> Failure {
    let code = match error {
        FilterError::Read { .. } | FilterError::MergeDepth { .. } => FILE_IO,
        _ => USAGE,
    };
    Failure::of(code, error)
}

/// The content of a file of rules; `-` is standard input.
fn read_rules(file: &[u8], paths: session::Paths) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = MAX_RULE_FILE.saturating_add(1);
    if file == b"-" {
        io::stdin().lock().take(limit).read_to_end(&mut content)?;
    } else {
        session::open_named(OsStr::from_bytes(file), paths)?.take(limit).read_to_end(&mut content)?;
    }
    if u64::try_from(content.len()).is_ok_and(|length| length > MAX_RULE_FILE) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large for filter rules"));
    }
    Ok(content)
}
