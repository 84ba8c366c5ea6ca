//! What CVS leaves out: its own list, and what the user adds to it.

use crate::tree::filter::error::FilterError;
use crate::tree::filter::file::{FileKind, RuleDefaults, parse_file};
use crate::tree::filter::parse::Directive;
use crate::tree::filter::rule::{Action, Rule};

/// The patterns of CVS itself, and of what came after it.
const BUILT_IN: &str = "RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo *~ #* .#* ,* _$* *$ *.old \
                        *.bak *.BAK *.orig *.rej .del-* *.a *.olb *.o *.obj *.so *.exe *.Z *.elc *.ln core .svn/ .git/ \
                        .hg/ .bzr/";

/// The rules that stand for them and for those in `more`, where a lone `!` clears all before it. The built-in ones do
/// not keep a directory that is being deleted.
pub(super) fn rules(more: &[u8]) -> Result<Vec<Rule>, FilterError> {
    let perishable = |pattern| Rule { perishable: true, ..Rule::new(Action::Exclude, pattern) };
    let mut rules: Vec<Rule> = BUILT_IN.split_whitespace().map(perishable).collect();
    for (_, directive) in parse_file(b"the CVS rules", more, FileKind::Rules(RuleDefaults::CVS), false)? {
        match directive {
            Directive::Clear => rules.clear(),
            Directive::Rule(rule) => rules.push(rule),
            Directive::Merge(_) | Directive::DirMerge(_) | Directive::Cvs => {}
        }
    }
    Ok(rules)
}
