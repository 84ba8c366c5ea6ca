use std::collections::HashMap;
use std::error::Error as _;
use std::io;

use crate::tree::filter::tests::rule;
use crate::tree::filter::{
    Action, Directive, FileKind, FilterError, MAX_MERGE_DEPTH, MAX_PATTERN_BYTES, Merge, Rule, RuleDefaults,
    Rules, Sides, SyntaxError, Text, parse_file, parse_filter, parse_pattern,
};

const EXCLUDE: FileKind = FileKind::Patterns(Action::Exclude);
const RULES: FileKind = FileKind::Rules(RuleDefaults {
    bare_patterns: None,
    sides: Sides::Unnamed,
    absolute: false,
    perishable: false,
    exclude_self: false,
    split_words: false,
    cvs: false,
});

fn syntax_error(error: &FilterError) -> SyntaxError {
    *error.source().and_then(|source| source.downcast_ref()).expect("a syntax error below")
}

#[test]
fn rules_and_their_canonical_form() {
    let cases = [
        ("- *.o", "- *.o"),
        ("-_*.o", "- *.o"),
        ("-,_x", "- x"),
        ("exclude *.o", "- *.o"),
        ("exclude_*.o", "- *.o"),
        ("include,s x", "S x"),
        ("+ x/", "+ x/"),
        ("-s x", "H x"),
        ("-,r x", "P x"),
        ("-rs x", "-sr x"),
        ("hide x", "H x"),
        ("show,! x", "S! x"),
        ("Pp! x", "P!p x"),
        ("-x user.*", "-x user.*"),
        ("+,!x /user.*", "+!x /user.*"),
        ("-srx x", "-srx x"),
        ("hide,xp/ x", "H/px x"),
        ("protect,/p /x", "P/p /x"),
        ("risk_x", "R x"),
        ("R x", "R x"),
        ("-!! */", "-! */"),
        ("-pp/ x", "-/p x"),
        ("-  two blanks ", "-  two blanks "),
        ("-__x", "- _x"),
        ("- _x", "- _x"),
    ];
    for (text, canonical) in cases {
        assert_eq!(rule(text).to_string(), canonical, "{text}");
        assert_eq!(rule(canonical), rule(text), "{text}");
    }
}

#[test]
fn other_directives() {
    let merge =
        |file: &str, kind| Some(Directive::Merge(Merge { file: file.into(), kind: FileKind::Rules(kind) }));
    let bare = RuleDefaults { bare_patterns: Some(Action::Exclude), ..RuleDefaults::default() };
    let all = RuleDefaults {
        bare_patterns: Some(Action::Include),
        sides: Sides::Both,
        absolute: true,
        perishable: true,
        exclude_self: true,
        split_words: true,
        cvs: false,
    };
    let cases = [
        ("", None),
        ("!", Some(Directive::Clear)),
        ("clear", Some(Directive::Clear)),
        ("clear,", Some(Directive::Clear)),
        (". a b", merge("a b", RuleDefaults::default())),
        ("._f", merge("f", RuleDefaults::default())),
        ("merge -", merge("-", RuleDefaults::default())),
        ("merge,- f", merge("f", bare)),
        (".+sr/penw f", merge("f", all)),
        (".C f", merge("f", RuleDefaults::CVS)),
        (".C", merge(".cvsignore", RuleDefaults::CVS)),
        ("-C", Some(Directive::Cvs)),
        ("exclude,C", Some(Directive::Cvs)),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_filter(text.as_bytes()).expect(text), expected, "{text}");
    }
}

#[test]
fn malformed_rules() {
    let modifier = |position| SyntaxError::BadModifier { position };
    let cases = [
        (" - x", SyntaxError::UnknownRule),
        ("Q x", SyntaxError::UnknownRule),
        ("excludex", SyntaxError::UnknownRule),
        ("excludes x", SyntaxError::UnknownRule),
        ("x", SyntaxError::UnknownRule),
        ("-", SyntaxError::MissingPattern),
        ("- ", SyntaxError::MissingPattern),
        ("-,", SyntaxError::MissingPattern),
        ("R!", SyntaxError::MissingPattern),
        ("merge", SyntaxError::MissingPattern),
        (". ", SyntaxError::MissingPattern),
        ("! ", SyntaxError::ClearWithPattern),
        ("!x", SyntaxError::ClearWithPattern),
        ("clear ", SyntaxError::ClearWithPattern),
        ("-s,x", modifier(2)),
        ("-\tx", modifier(1)),
        ("Hs x", modifier(1)),
        ("hide,r x", modifier(5)),
        ("-e x", modifier(1)),
        (".! x", modifier(1)),
        (".-+ x", modifier(2)),
        ("HC", modifier(1)),
        (":", SyntaxError::MissingPattern),
        (": ", SyntaxError::MissingPattern),
        (":! .rules", modifier(1)),
        (":++ .rules", modifier(2)),
        (":nwC- .rules", modifier(4)),
        ("+C", modifier(1)),
    ];
    for (text, expected) in cases {
        let error = parse_filter(text.as_bytes()).expect_err(text);
        assert_eq!(syntax_error(&error), expected, "{text}");
        assert_eq!(error.to_string(), format!("Filter rule {text:?}"));
    }
    let long = format!("- {}", "x".repeat(MAX_PATTERN_BYTES + 1));
    let error = parse_filter(long.as_bytes()).expect_err("too long");
    assert_eq!(syntax_error(&error), SyntaxError::PatternTooLong);
}

#[test]
fn patterns_of_exclude_and_include_options() {
    let cases = [
        ("x", Action::Exclude, "- x"),
        ("x", Action::Include, "+ x"),
        ("- x", Action::Include, "- x"),
        ("+ x", Action::Exclude, "+ x"),
        ("-_x", Action::Exclude, "- -_x"),
        ("-,s x", Action::Include, "+ -,s x"),
        ("!x", Action::Exclude, "- !x"),
        ("- !", Action::Exclude, "- !"),
        (" !", Action::Exclude, "-  !"),
        ("H x", Action::Exclude, "- H x"),
    ];
    for (text, action, canonical) in cases {
        let expected = Some(Directive::Rule(rule(canonical)));
        assert_eq!(parse_pattern(text.as_bytes(), action).expect(text), expected, "{text}");
    }
    assert_eq!(parse_pattern(b"!", Action::Exclude).expect("clear"), Some(Directive::Clear));
    assert_eq!(parse_pattern(b"", Action::Exclude).expect("nothing"), None);
    assert!(parse_pattern(b"- ", Action::Exclude).is_err());
}

fn canonical(directives: &[Directive]) -> Vec<String> {
    let text = |directive: &Directive| match directive {
        Directive::Rule(rule) => rule.to_string(),
        Directive::Clear => "!".to_owned(),
        Directive::Merge(merge) => format!(". {}", String::from_utf8_lossy(&merge.file)),
        Directive::DirMerge(merge) => format!(": {}", String::from_utf8_lossy(&merge.file)),
        Directive::Cvs => "-C".to_owned(),
    };
    directives.iter().map(text).collect()
}

#[test]
fn files() {
    let bare =
        |action| FileKind::Rules(RuleDefaults { bare_patterns: Some(action), ..RuleDefaults::default() });
    let words = FileKind::Rules(RuleDefaults { split_words: true, ..RuleDefaults::default() });
    let bare_words = FileKind::Rules(RuleDefaults {
        split_words: true,
        bare_patterns: Some(Action::Exclude),
        ..RuleDefaults::default()
    });
    let hidden =
        FileKind::Rules(RuleDefaults { sides: Sides::Sender, perishable: true, ..RuleDefaults::default() });
    let cases: &[(&str, FileKind, bool, &str, &[&str])] = &[
        ("empty", EXCLUDE, false, "", &[]),
        ("patterns", EXCLUDE, false, "x\n- y\r\n+ z\r!\n", &["- x", "- y", "+ z", "!"]),
        ("comments", EXCLUDE, false, "#x\n;y\n\n #z\nx#y", &["-  #z", "- x#y"]),
        ("blanks are a pattern", EXCLUDE, false, "  \nx \n", &["-   ", "- x "]),
        ("merge is a pattern", EXCLUDE, false, ". f\n", &["- . f"]),
        ("nul", EXCLUDE, true, "x\ny\0#z\0+ w\0", &["- x\ny", "+ w"]),
        ("rules", RULES, false, "- x\n\n# c\nP *.o\n. more\n!", &["- x", "P *.o", ". more", "!"]),
        ("rules, nul", RULES, true, "- x\0+ y\n\0", &["- x", "+ y\n"]),
        ("bare", bare(Action::Exclude), false, "- x\n!\n;c\n", &["- - x", "- !"]),
        ("bare includes", bare(Action::Include), false, "x\n", &["+ x"]),
        ("words", words, false, "- foo + bar\n-_x", &["- foo", "+ bar", "- x"]),
        ("bare words", bare_words, false, "foo  # !\n", &["- foo", "- #", "- !"]),
        ("defaults", hidden, false, "- x\n+! y\n", &["Hp x", "S!p y"]),
    ];
    for (name, kind, nul, content, expected) in cases {
        let directives = parse_file(b"f", content.as_bytes(), *kind, *nul).expect(name);
        let directives: Vec<Directive> = directives.into_iter().map(|(_, directive)| directive).collect();
        assert_eq!(canonical(&directives), *expected, "{name}");
    }
}

#[test]
fn errors_in_files_tell_the_place_and_not_the_text() {
    let error =
        parse_file(b"some/file", b"- x\r\n\r\n# c\nsecret\n", RULES, false).expect_err("unknown rule");
    assert_eq!(error.to_string(), "Filter rule in some/file, entry 4");
    assert_eq!(syntax_error(&error), SyntaxError::UnknownRule);

    let sided = FileKind::Rules(RuleDefaults { sides: Sides::Receiver, ..RuleDefaults::default() });
    for content in ["H x", "-s x", ".s f", "P x"] {
        let error = parse_file(b"f", content.as_bytes(), sided, false).expect_err(content);
        assert_eq!(syntax_error(&error), SyntaxError::SideGivenTwice, "{content}");
    }
    let error = parse_file(b"f", b"x\0y", EXCLUDE, false).expect_err("NUL");
    assert_eq!(syntax_error(&error), SyntaxError::NulByte);
    let words = FileKind::Rules(RuleDefaults { split_words: true, ..RuleDefaults::default() });
    assert!(parse_file(b"f", b"- a -", words, false).is_err());
}

/// Builds a list from `--filter` arguments, with `files` in place of a file system.
fn build(arguments: &[&str], files: &[(&str, &str)]) -> Result<Vec<String>, FilterError> {
    let files: HashMap<&[u8], &str> =
        files.iter().map(|(name, content)| (name.as_bytes(), *content)).collect();
    let mut read = |text: Text<'_>| match text {
        Text::File(file) => Ok(files.get(file).ok_or(io::ErrorKind::NotFound)?.as_bytes().to_vec()),
        Text::Cvs => Ok(b"! mine\n*.tmp".to_vec()),
    };
    let mut rules = Rules::new();
    for argument in arguments {
        if let Some(directive) = parse_filter(argument.as_bytes())? {
            rules.add(directive, false, &mut read)?;
        }
    }
    Ok(rules.iter().map(Rule::to_string).collect())
}

#[test]
fn merged_files() {
    let files = [
        ("plain", "- x\n. d/more\n- y\n"),
        ("d/more", "+ z\n"),
        ("clears", "- x\n!\n- y\n"),
        ("circle", ". circle\n"),
        ("bad", "- x\n. worse\n"),
        ("worse", "?\n"),
    ];
    let list = |arguments: &[&str]| build(arguments, &files).expect("a list");
    assert_eq!(list(&["- a", ". plain", "- b"]), ["- a", "- x", "+ z", "- y", "- b"]);
    assert_eq!(list(&["- a", ".e clears", "- b"]), ["- y", "- b"]);
    assert_eq!(list(&[".e- d/more"]), ["- more", "- + z"]);
    assert_eq!(list(&[".p/ plain"]), ["-/p x", "+/p z", "-/p y"]);
    assert_eq!(list(&["- a", "!", "+ b"]), ["+ b"]);

    assert_eq!(list(&["- a", "-C", "+ b"]), ["- a", "- mine", "- *.tmp", "+ b"]);
    assert_eq!(list(&[":e d/.rules", "- b"]), ["- .rules", "- b"]);

    let error = build(&[". circle"], &files).expect_err("a circle");
    assert!(error.to_string().contains(&MAX_MERGE_DEPTH.to_string()), "{error}");
    let error = build(&[". bad"], &files).expect_err("a bad file");
    assert_eq!(error.to_string(), "Filter rule in worse, entry 1");
    let error = build(&[". nowhere"], &files).expect_err("no file");
    assert!(matches!(error, FilterError::Read { .. }), "{error}");
}
