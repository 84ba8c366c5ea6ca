//! Which extended attributes take part, by what the rules of a run say of their names.
//!
//! Both sides send and receive, so what is left out as either takes no part: it is neither read, told, set nor removed.
//! Only rules of the command line count: they are the same on both sides and in every directory.
//!
//! A sum of attributes is one of those that took part when they were looked at, and says nothing of any others. So a
//! history remembers by which rules it has looked, and whoever compares, sets or takes back what it knows of goes by
//! the same. Only the trash keeps all that an entry had, and what takes the place of an entry begins with what takes no
//! part of that one.

use crate::fs;
use crate::tree::Xattrs;
use crate::tree::filter::{Rules, Scope, Side, XattrRules};
use crate::twoway::TwoWayError;
use crate::twoway::facet::{Facet, Facets, Value};
use std::sync::Arc;

/// The extended attributes that take part; all, if there are no rules for their names.
#[derive(Debug, Clone)]
pub struct Visible(Option<Arc<ByRules>>);

#[derive(Debug)]
struct ByRules {
    rules: Rules,
    /// The same, to be asked.
    asked: XattrRules,
}

/// By the same rules.
impl PartialEq for Visible {
    fn eq(&self, other: &Visible) -> bool {
        self.rules() == other.rules()
    }
}

impl Eq for Visible {}

impl Visible {
    /// All of them.
    pub const ALL: Visible = Visible(None);

    /// Those that these rules leave out on no side.
    pub fn by(rules: &Rules) -> Visible {
        let rules = rules.about_xattrs();
        // Who sends heeds what is left out as received, too.
        let asked = XattrRules::among(&Scope::from(rules.clone()), Side::Sender);
        Visible(asked.map(|asked| Arc::new(ByRules { rules, asked })))
    }

    fn rules(&self) -> Option<&Rules> {
        self.0.as_ref().map(|by| &by.rules)
    }

    /// Whether there is nothing that takes no part.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether attributes of this name take part.
    pub fn shows(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|by| by.asked.include(name))
    }

    /// Whether all attributes of a value do.
    pub(in crate::twoway) fn shows_all_of(&self, value: &Value) -> bool {
        match value {
            Value::Acls(_) => true,
            Value::Xattrs(xattrs) => xattrs.iter().all(|xattr| self.shows(&xattr.name)),
        }
    }

    /// Of these attributes those that take no part.
    pub(in crate::twoway) fn hidden(&self, xattrs: &Xattrs) -> Xattrs {
        Xattrs::new(xattrs.iter().filter(|xattr| !self.shows(&xattr.name)).cloned().collect())
    }

    /// What has to be looked at to see these facets.
    pub fn look_for(&self, facets: Facets) -> fs::Look {
        fs::Look { acls: facets.contains(Facet::Acls), xattrs: self.names_of(facets), atimes: false }
    }

    /// The attributes that are of these facets; `None` if none are.
    pub(in crate::twoway) fn names_of(&self, facets: Facets) -> Option<fs::XattrNames> {
        let all_namespaces = facets.contains(Facet::RootXattrs);
        let has_any = all_namespaces || facets.contains(Facet::Xattrs);
        let rules = self.0.as_ref().map(|by| by.asked.clone());
        has_any.then_some(fs::XattrNames { all_namespaces, rsyncs_own: true, rules })
    }

    /// As it is stored.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(in crate::twoway) fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(self.rules().unwrap_or(&Rules::new()))
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// They are no rules.
    pub(in crate::twoway) fn decode(bytes: &[u8]) -> Result<Visible, TwoWayError> {
        let damaged = |why: &dyn std::fmt::Display| TwoWayError::Damaged { why: why.to_string() };
        let rules: Rules = postcard::from_bytes(bytes).map_err(|error| damaged(&error))?;
        rules.validate().map_err(|error| damaged(&error))?;
        Ok(Visible::by(&rules))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Xattr;
    use crate::tree::filter::{Directive, parse_filter};
    use proptest::prelude::*;

    fn rules(texts: &[&str]) -> Rules {
        let mut rules = Rules::new();
        for text in texts {
            match parse_filter(text.as_bytes()) {
                Ok(Some(Directive::Rule(rule))) => rules.push(rule).unwrap(),
                Ok(Some(directive)) => rules.add(directive, false, &mut |_| Ok(Vec::new())).unwrap(),
                other => panic!("{text:?} gave {other:?}"),
            }
        }
        rules
    }

    fn xattrs(names: &[&str]) -> Xattrs {
        let xattr = |name: &&str| Xattr { name: name.as_bytes().into(), value: (*b"1").into() };
        Xattrs::new(names.iter().map(xattr).collect())
    }

    #[test]
    fn what_is_left_out_as_sent_or_as_received_takes_no_part() {
        let visible =
            Visible::by(&rules(&["-x user.a", "-xs user.b", "-xr user.c", "+x user.d", "-x user.d*"]));
        for (name, is_shown) in [
            ("user.a", false),
            ("user.b", false),
            ("user.c", false),
            ("user.d", true),
            ("user.dd", false),
            ("user.e", true),
        ] {
            assert_eq!(visible.shows(name.as_bytes()), is_shown, "{name}");
        }
        let all = xattrs(&["user.a", "user.d", "user.e"]);
        assert_eq!(visible.hidden(&all), xattrs(&["user.a"]));
        assert!(!visible.shows_all_of(&Value::Xattrs(all)));
        assert!(visible.shows_all_of(&Value::Xattrs(xattrs(&["user.d", "user.e"]))));
    }

    #[test]
    fn rules_for_paths_and_for_files_in_directories_say_nothing() {
        let visible = Visible::by(&rules(&["- user.a", ": .rules", "- *"]));
        assert!(visible.is_all() && visible.shows(b"user.a"));
        assert_eq!(visible, Visible::ALL);
    }

    #[test]
    fn it_comes_back_as_it_was_stored() {
        for texts in [&[][..], &["-x user.a"], &["- path", "+xs user.a", "-x! user.*", "-x /user.b"]] {
            let visible = Visible::by(&rules(texts));
            let back = Visible::decode(&visible.encode().unwrap()).unwrap();
            assert_eq!(back, visible);
            for name in ["user.a", "user.b", "trusted.a"] {
                assert_eq!(back.shows(name.as_bytes()), visible.shows(name.as_bytes()), "{texts:?} {name}");
            }
        }
        assert_ne!(Visible::by(&rules(&["-x user.a"])), Visible::by(&rules(&["-x user.b"])));
    }

    proptest! {
        #[test]
        fn nothing_that_is_stored_makes_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = Visible::decode(&bytes);
        }
    }
}
