//! Tests of the filter rules: syntax, matching and verdicts as tables, and properties over arbitrary bytes.

mod git;
mod matching;
mod properties;
mod scopes;
mod syntax;
mod verdicts;
mod xattrs;

use crate::tree::filter::{Directive, Rule, Rules, parse_filter};

fn rule(text: &str) -> Rule {
    match parse_filter(text.as_bytes()) {
        Ok(Some(Directive::Rule(rule))) => rule,
        other => panic!("{text:?} gave {other:?}"),
    }
}

fn rules(texts: &[&str]) -> Rules {
    Rules::from(texts.iter().map(|text| rule(text)).collect::<Vec<_>>())
}
