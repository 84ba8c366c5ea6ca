//! From filter flags to rules: the only place that reads files of rules the user names.

use crate::cli::failure::{FILE_IO, Failure, USAGE};
use crate::cli::flags::FilterFlag;
use crate::session;
use crate::tree::filter::{
    Action, Directive, FileKind, FilterError, Merge, Rules, parse_filter, parse_pattern,
};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

/// The largest file of filter rules that is read, in bytes.
const MAX_RULE_FILE: u64 = 64 << 20;

/// Reads the rules of all filter flags, in order.
///
/// With `nul`, rules in files end in NUL bytes.
pub(in crate::cli) fn read(flags: &[FilterFlag], nul: bool, paths: session::Paths) -> Result<Rules, Failure> {
    let mut read_rules = |file: &[u8]| read_rules(file, paths);
    let mut rules = Rules::new();
    for flag in flags {
        let from = |file: &OsStr, action| {
            let merge = Merge { file: file.as_bytes().to_vec(), kind: FileKind::Patterns(action) };
            Ok(Some(Directive::Merge(merge)))
        };
        let directive = match flag {
            FilterFlag::Exclude(pattern) => parse_pattern(pattern.as_bytes(), Action::Exclude),
            FilterFlag::Include(pattern) => parse_pattern(pattern.as_bytes(), Action::Include),
            FilterFlag::Filter(rule) => parse_filter(rule.as_bytes()),
            FilterFlag::ExcludeFrom(file) => from(file, Action::Exclude),
            FilterFlag::IncludeFrom(file) => from(file, Action::Include),
        };
        if let Some(directive) = directive.map_err(|error| filter_failure(&error))? {
            rules.add(directive, nul, &mut read_rules).map_err(|error| filter_failure(&error))?;
        }
    }
    Ok(rules)
}

fn filter_failure(error: &FilterError) -> Failure {
    let code = match error {
        FilterError::Read { .. } => FILE_IO,
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
