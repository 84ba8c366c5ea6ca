use super::*;

fn parse(words: &[&str]) -> Result<Flags, Failure> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    Flags::parse(&words)
}

fn parsed(line: &str) -> Flags {
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    parse(&words).unwrap_or_else(|failure| panic!("{line}: {failure}"))
}

fn refusal(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match parse(&words) {
        Ok(_) => panic!("{line} was accepted"),
        Err(failure) => {
            assert_eq!(failure.code(), 1, "{line}");
            failure.to_string()
        }
    }
}

/// The switches that `-a` stands for, as their letters.
fn letters(flags: &Flags) -> String {
    let switches = [
        ('r', flags.recursive),
        ('l', flags.links),
        ('p', flags.perms),
        ('t', flags.times),
        ('g', flags.group),
        ('o', flags.owner),
        ('d', flags.devices),
        ('s', flags.specials),
    ];
    switches.iter().filter(|(_, on)| *on).map(|(letter, _)| letter).collect()
}

#[test]
fn the_definition_is_consistent() {
    command().debug_assert();
}

#[test]
fn help_speaks_of_links_after_what_is_kept() {
    let help = help();
    let places = [WHAT, ATTRIBUTES, LINKS, TWO_WAY, FILTERS].map(|title| help.find(&format!("\n{title}:\n")));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
}

#[test]
fn help_shows_how_bytes_are_shown_with_one_backslash() {
    let help = command().render_long_help().to_string();
    assert!(help.contains("\\#ooo") && !help.contains("\\\\#"));
}

#[test]
fn the_last_word_on_an_implied_switch_wins() {
    for (line, expected) in [
        ("", ""),
        ("-a", "rlptgods"),
        ("-rlptgoD", "rlptgods"),
        ("-a --no-o --no-g", "rlptds"),
        ("-a --no-owner", "rlptgds"),
        ("--no-owner -a", "rlptgods"),
        ("-a --no-owner -o", "rlptgods"),
        ("-ao --no-o", "rlptgds"),
        ("-o --no-o -a", "rlptgods"),
        ("-a --no-recursive", "lptgods"),
        ("-a --no-r -r --no-r", "lptgods"),
        ("-a --no-D", "rlptgo"),
        ("--no-D -a", "rlptgods"),
        ("-a --no-D --devices", "rlptgod"),
        ("-a --no-devices", "rlptgos"),
        ("-D --no-specials", "d"),
        ("--no-specials -D", "ds"),
        ("--devices --specials --no-D", ""),
        ("-a --no-links --no-perms --no-times --no-group", "rods"),
    ] {
        assert_eq!(letters(&parsed(line)), expected, "{line}");
    }
}

#[test]
fn short_flags_cluster_and_repeat() {
    let flags = parsed("-avzP src dst");
    assert_eq!(letters(&flags), "rlptgods");
    assert!(flags.compressed && flags.partial && flags.progress);
    assert_eq!((flags.verbose, flags.operands.len()), (1, 2));
    let flags = parsed("-azv --compress src dst");
    assert_eq!((flags.compress.as_deref(), flags.verbose, flags.operands.len()), (Some("always"), 1, 2));
    assert_eq!(parsed("-vv -v").verbose, 3);
    assert_eq!(parsed("-vv --no-v -v").verbose, 1);
    assert_eq!(parsed("-ii").itemize_changes, 2);
    assert_eq!(parsed("-rrcc --checksum").verbose, 0);
    assert_eq!(parsed("-hh").human_readable, 2);
    assert!(parsed("--no-h").plain_numbers);
    assert!(!parsed("--no-h -h").plain_numbers);
}

#[test]
fn later_flags_win() {
    let flags = parsed("--bwlimit=5 --timeout 3 --timeout=9 --bwlimit=7 --no-bwlimit");
    assert_eq!((flags.bwlimit, flags.timeout), (None, Some(9)));
    for (line, partial, progress) in [
        ("-P", true, true),
        ("-P --no-progress", true, false),
        ("-P --no-partial", false, true),
        ("--no-partial -P", true, true),
        ("--partial --progress --no-P", false, false),
    ] {
        let flags = parsed(line);
        assert_eq!((flags.partial, flags.progress), (partial, progress), "{line}");
    }
    for (line, whole) in [
        ("", None),
        ("-W", Some(true)),
        ("--no-whole-file", Some(false)),
        ("-W --no-W", Some(false)),
        ("--no-W --whole-file", Some(true)),
    ] {
        assert_eq!(parsed(line).whole, whole, "{line}");
    }
    for (line, compressed) in [
        ("-z", true),
        ("-z --no-z", false),
        ("--no-z -z", true),
        ("--compress", true),
        ("--compress=auto", true),
        ("--compress=auto --no-z", false),
        ("--zl=9", true),
        ("--compress-level 9 --no-compress", false),
        ("--zc=zstd", true),
    ] {
        assert_eq!(parsed(line).compressed, compressed, "{line}");
    }
    assert!(!parsed("-c --no-c").checksum);
    assert!(!parsed("--delete --no-delete").delete);
    for implying in ["--del", "--delete-before", "--delete-delay", "--delete-after", "--delete-excluded"] {
        let flags = parsed(&format!("--delete {implying} --no-delete"));
        let times = flags.delete_before || flags.delete_during || flags.delete_delay || flags.delete_after;
        assert!(!flags.delete && !times && !flags.delete_excluded, "{implying}");
    }
    assert!(parsed("--no-delete --delete-after").delete_after);
}

#[test]
fn aliases_are_those_of_rsync() {
    let flags = parsed("--del --ignore-non-existing --zl 7 --zc zstd --cc md5 --rsync-path /opt/dsync");
    assert!(flags.delete_during && flags.existing);
    assert_eq!(flags.compress_level, Some(7));
    assert_eq!(flags.compress_choice.as_deref(), Some("zstd"));
    assert_eq!(flags.checksum_choice.as_deref(), Some("md5"));
    assert_eq!(flags.remote_path, Some(OsString::from("/opt/dsync")));
    assert!(parsed("--delete-during").delete_during);
    assert_eq!(parsed("--max-delete=-1").max_delete.as_deref(), Some("-1"));
    assert_eq!(parsed("-B700").block_size, Some(Size(700)));
    assert_eq!(parsed("--block-size 1K").block_size, Some(Size(1024)));
}

#[test]
fn filter_flags_keep_their_order() {
    let flags = parse(&[
        "--include=*.rs",
        "-f",
        "- *.o",
        "--exclude",
        "-x",
        "--include-from=keep",
        "-a",
        "--exclude-from=drop",
        "--filter=P /db",
        "--include=*/",
        "src",
        "--exclude=*",
        "dst",
    ]);
    let value = OsString::from;
    assert_eq!(
        flags.unwrap().filters,
        [
            FilterFlag::Include(value("*.rs")),
            FilterFlag::Filter(value("- *.o")),
            FilterFlag::Exclude(value("-x")),
            FilterFlag::IncludeFrom(value("keep")),
            FilterFlag::ExcludeFrom(value("drop")),
            FilterFlag::Filter(value("P /db")),
            FilterFlag::Include(value("*/")),
            FilterFlag::Exclude(value("*")),
        ]
    );
}

#[test]
fn values_may_hold_anything() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(b"--exclude=\xff,a b".to_vec());
    let flags = Flags::parse(&[odd, "--".into(), "-src".into(), "--help".into()]).unwrap();
    assert_eq!(flags.filters, [FilterFlag::Exclude(OsString::from_vec(b"\xff,a b".to_vec()))]);
    assert_eq!(flags.operands, ["-src", "--help"]);
    assert!(!flags.help);
    assert_eq!(parse(&["-e", "ssh -p 22"]).unwrap().rsh, Some("ssh -p 22".into()));
    assert_eq!(parsed("-essh").rsh, Some("ssh".into()));
}

#[test]
fn flags_that_change_nothing_here_are_accepted() {
    parsed(
        "--no-inc-recursive --no-i-r --inc-recursive --blocking-io --no-blocking-io --protocol=30 --debug=all \
         --debug del2 -s --no-s --protect-args --checksum-seed=1 --max-alloc=1g --skip-compress=gz/zip \
         --compress-threads=4 --outbuf=L --trust-sender src dst",
    );
}

#[test]
fn unknown_flags_are_named_with_a_suggestion() {
    for (line, message) in [
        ("-av --frobnicate a b", "dsync: --frobnicate: unknown option\n"),
        ("-a% a b", "dsync: -%: unknown option\n"),
        ("-a? a b", "dsync: -?: unknown option\n"),
        ("--no-such a b", "dsync: --no-such: unknown option\n  hint: dsync --help lists the options.\n"),
        ("--delet a b", "dsync: --delet: unknown option\n  hint: Did you mean --delete?\n"),
        ("--exlude=x a b", "dsync: --exlude: unknown option\n  hint: Did you mean --exclude?\n"),
        (
            "--iconv=utf-8,latin1 a b",
            "dsync: --iconv: unknown option\n  hint: dsync copies names byte by byte, whatever their character set.\n",
        ),
        (
            "--daemon",
            "dsync: --daemon: unknown option\n  hint: dsync has no daemon and talks to none: hosts are reached over SSH.\n",
        ),
        ("--existing=3 a b", "dsync: --existing: option does not take an argument\n"),
        ("--exclude", "dsync: --exclude: a value is missing\n"),
        (
            "--timeout=x a b",
            "dsync: --timeout: the value \"x\" is not valid: invalid digit found in string\n",
        ),
        ("-B 1x a b", "dsync: --block-size: the value \"1x\" is not valid: a size is a number"),
        ("--no-archive a b", "dsync: --no-archive: unknown option\n"),
    ] {
        let shown = refusal(line);
        assert!(shown.starts_with(message), "{line}: {shown}");
        assert!(shown.ends_with("dsync error: syntax or usage error (code 1)"), "{shown}");
    }
}

#[test]
fn help_alone_is_help() {
    assert!(parsed("-h").help);
    assert!(!parsed("-h a b").help);
    assert!(!parsed("-hh").help);
    assert!(parsed("-av --help").help);
    assert_eq!(parsed("-VV").version, 2);
    assert_eq!(parsed("--version").version, 1);
}

#[test]
fn help_names_every_flag_and_fits_its_lines() {
    let help = command().term_width(80).render_help().to_string();
    for arg in command().get_arguments().filter(|arg| !arg.is_hide_set()) {
        let name = arg
            .get_long()
            .map_or_else(|| format!("-{}", arg.get_short().unwrap()), |long| format!("--{long}"));
        assert!(help.contains(&name), "{name} is missing");
        assert!(arg.get_help_heading().is_some(), "{name} has no heading");
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn help_fits_a_narrow_terminal() {
    let help = command().term_width(80).render_help().to_string();
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // What is laid out by hand is not broken again.
    for line in USAGE.lines().chain(AFTER_HELP.lines()).chain(ABOUT.lines()) {
        assert!(help.lines().any(|shown| shown.trim_start_matches("Usage: ") == line), "{line}");
    }
}
