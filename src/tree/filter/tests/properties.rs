use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::tree::filter::class::parse_class;
use crate::tree::filter::pattern::{Pattern, Subject};
use crate::tree::filter::{
    Action, Directive, FileKind, Rule, RuleDefaults, Rules, Side, Sides, parse_file, parse_filter,
    parse_pattern,
};

/// Wildcard matching by trying everything.
fn naive(pattern: &[u8], text: &[u8]) -> bool {
    let stars = pattern.iter().take_while(|&&byte| byte == b'*').count();
    match (pattern, text) {
        ([], []) => true,
        ([b'*', ..], _) => (0..=text.len())
            .take_while(|&taken| stars > 1 || !text[..taken].contains(&b'/'))
            .any(|taken| naive(&pattern[stars..], &text[taken..])),
        ([b'?', pattern @ ..], [byte, text @ ..]) => *byte != b'/' && naive(pattern, text),
        ([b'[', class @ ..], [byte, text @ ..]) => {
            parse_class(class).is_some_and(|(set, pattern)| set.contains(*byte) && naive(pattern, text))
        }
        ([b'\\', quoted, pattern @ ..], [byte, text @ ..]) => quoted == byte && naive(pattern, text),
        ([b'\\'], _) => false,
        ([wanted, pattern @ ..], [byte, text @ ..]) => wanted == byte && naive(pattern, text),
        _ => false,
    }
}

/// The manual's matching rules as they stand there: which part of the path, the slash thought before it for a leading
/// `**` and the one thought after a directory for a trailing `***`.
fn reference(pattern: &[u8], path: &[u8], is_dir: bool) -> bool {
    let (pattern, directories_only) = match pattern {
        [text @ .., b'/'] if !text.is_empty() => (text, true),
        _ => (pattern, false),
    };
    if directories_only && !is_dir {
        return false;
    }
    let wild = pattern.iter().any(|byte| b"*?[".contains(byte));
    let crosses = pattern.windows(2).any(|pair| pair == b"**");
    let slashes = pattern.iter().filter(|&&byte| byte == b'/').count();
    let test = |pattern: &[u8], text: &[u8]| if wild { naive(pattern, text) } else { pattern == text };
    let full = |pattern: &[u8], mut text: Vec<u8>| {
        let plain = test(pattern, &text);
        text.push(b'/');
        plain || (is_dir && pattern.ends_with(b"***") && test(pattern, &text))
    };
    let ends: Vec<usize> =
        std::iter::once(0).chain((0..path.len()).filter(|&at| path[at] == b'/').map(|at| at + 1)).collect();
    if let Some(anchored) = pattern.strip_prefix(b"/") {
        full(anchored, path.to_vec())
    } else if pattern.starts_with(b"**") {
        full(pattern, path.to_vec()) || full(pattern, [b"/", path].concat())
    } else if crosses {
        ends.iter().any(|&start| full(pattern, path[start..].to_vec()))
    } else {
        ends.iter().rev().nth(slashes).is_some_and(|&start| test(pattern, &path[start..]))
    }
}

fn pattern_text() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"a", b"b", b"a", b"b", b"/", b"/", b"*", b"*", b"**", b"***", b"/***", b"**/", b"?", b"[ab]",
        b"[!a]", b"[", b"\\", b"\\*", b"\xff",
    ];
    vec(select(pieces), 1..8).prop_map(|pieces| pieces.concat())
}

fn path_text() -> impl Strategy<Value = Vec<u8>> {
    let byte = select(b"aaabb\\*\xff".to_vec());
    vec(vec(byte, 1..4), 1..5).prop_map(|elements| elements.join(&b'/'))
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let action = select(vec![Action::Exclude, Action::Include]);
    let sides = select(vec![Sides::Unnamed, Sides::Sender, Sides::Receiver, Sides::Both]);
    let pattern = vec(1..=u8::MAX, 1..20);
    (action, sides, any::<[bool; 4]>(), pattern).prop_map(
        |(action, sides, [absolute, negated, perishable, xattr], pattern)| Rule {
            action,
            sides,
            absolute,
            negated,
            perishable,
            xattr,
            pattern,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn matching_agrees_with_the_manual(pattern in pattern_text(), path in path_text(), is_dir: bool) {
        let compiled = Pattern::compile(&pattern).matches(Subject::new(&path, is_dir));
        prop_assert_eq!(
            compiled, reference(&pattern, &path, is_dir),
            "{} against {}", pattern.escape_ascii(), path.escape_ascii()
        );
    }

    #[test]
    fn parsing_undoes_writing(rule in any_rule()) {
        prop_assert_eq!(parse_filter(&rule.to_bytes()).unwrap(), Some(Directive::Rule(rule.clone())));
        if let Ok(pattern) = std::str::from_utf8(&rule.pattern) {
            prop_assert!(rule.to_string().ends_with(pattern));
            prop_assert_eq!(rule.to_string().into_bytes(), rule.to_bytes());
        }
    }

    #[test]
    fn nothing_panics(
        text in vec(any::<u8>(), 0..40),
        prefix in select(vec!["", "- ", "-", "merge,", ".w", "["]),
        path in vec(any::<u8>(), 0..20),
        flags in any::<[bool; 4]>(),
    ) {
        let [is_dir, nul, split_words, deleting] = flags;
        let text = [prefix.as_bytes(), &text].concat();
        let kind = FileKind::Rules(RuleDefaults { split_words, ..RuleDefaults::default() });
        let _ = (parse_filter(&text).is_ok(), parse_pattern(&text, Action::Include).is_ok());
        let _ = parse_file(&text, &text, kind, nul).is_ok();
        let mut rules = Rules::from(vec![Rule { absolute: nul, ..Rule::new(Action::Exclude, text) }]);
        rules.set_root(&path);
        rules.decide(&path, is_dir, Side::Sender, deleting);
    }

    #[test]
    fn lists_survive_encoding(rules in vec(any_rule(), 0..10)) {
        let rules = Rules::from(rules);
        let encoded = postcard::to_stdvec(&rules).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Rules>(&encoded).unwrap(), rules);
    }
}
