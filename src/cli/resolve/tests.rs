use super::*;
use crate::cli::output::{Buffering, Direction, Format, Levels};
use crate::request::{Append, CompressWhen, Compressor, DEFAULT_ZSTD_LEVEL, Detail, NamesFrom, StrongKind};
use crate::transport::ssh;
use crate::transport::target::{Host, RemoteTarget};
use crate::tree::filter::Action;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

fn environment() -> Environment {
    Environment {
        shell: None,
        partial_dir: None,
        cvs_ignore: Some("from-environment".into()),
        old_args: false,
        stderr_is_terminal: true,
        askpass: None,
        executable: Some("/proc/self/exe".into()),
        home: PathBuf::from("/home/me"),
        ssh: ssh::Environment {
            home: PathBuf::from("/home/me"),
            user: "me".to_owned(),
            agent_socket: None,
            shell: "/bin/sh".into(),
            ssh_program: "ssh".into(),
        },
    }
}

pub(super) fn resolved(line: &str) -> Result<(Run, Style), Failure> {
    let words: Vec<OsString> = line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect();
    resolve(&Flags::parse(&words).unwrap(), &environment())
}

fn options(line: &str) -> Options {
    resolved(&format!("{line} src dst")).unwrap_or_else(|failure| panic!("{line}: {failure}")).0.options
}

fn style(line: &str) -> Style {
    resolved(line).unwrap_or_else(|failure| panic!("{line}: {failure}")).1
}

pub(super) fn refusal(line: &str) -> String {
    match resolved(line) {
        Ok(_) => panic!("{line} was accepted"),
        Err(failure) => {
            assert!(matches!(failure.code(), 1 | 4), "{line}");
            failure.to_string()
        }
    }
}

pub(super) fn remote(name: &str, path: &str) -> Target {
    let host = Host { user: None, name: name.to_owned(), port: None };
    Target::Remote(RemoteTarget { host, path: path.into() })
}

#[test]
fn operands_become_targets() {
    let (run, _) = resolved("host:a :b host:c dst/").unwrap();
    assert_eq!(run.sources, [remote("host", "a"), remote("host", "b"), remote("host", "c")]);
    assert_eq!(run.destination, Target::Local(b"dst/".to_vec()));
    let (run, _) = resolved("a ./b:c host:").unwrap();
    assert_eq!(run.sources, [Target::Local(b"a".to_vec()), Target::Local(b"./b:c".to_vec())]);
    assert_eq!(run.destination, remote("host", ""));
}

#[test]
fn operands_that_do_not_go_together_are_refused() {
    for (line, message) in [
        ("-a", "dsync: a source and a destination are needed\n"),
        ("-2 src", "dsync: a second directory is needed after the first\n"),
        ("-aR a/../b dst", "dsync: a/../b: there is a .. on a path that is to be kept (--relative)\n"),
        ("--files-from=x a b dst", "dsync: --files-from goes with one source"),
        ("--files-from=:x a dst", "dsync: --files-from names a host that is not that of the run\n"),
        ("--files-from=two:x one:a dst", "dsync: --files-from names a host that is not that of the run\n"),
        ("-2 one:a two:b", "dsync: one of the two directories of a two-way run has to be here\n"),
        ("one:a two:b dst", "dsync: all sources must be on the same host\n"),
        ("one:a b dst", "dsync: all sources must be on the same host\n"),
        ("b one:a dst", "dsync: all sources must be on the same host\n"),
        (":a dst", "dsync: :a: no source before it names a host\n"),
        ("a :b", "dsync: the destination names no host before its colon\n"),
        ("host::module dst", "dsync: \"host::module\" names an rsync daemon"),
    ] {
        assert!(refusal(line).starts_with(message), "{line}: {}", refusal(line));
    }
}

#[test]
fn values_are_worked_out() {
    let level = |line: &str| options(line).compress.map(|compression| compression.level);
    assert_eq!(level(""), None);
    assert_eq!(level("-z"), Some(DEFAULT_ZSTD_LEVEL));
    assert_eq!(level("--zl=19"), Some(19));
    assert_eq!(level("--zl=99"), Some(22));
    assert_eq!(level("-z --zl=-5"), Some(1));
    assert_eq!(level("-z --zl=0"), Some(DEFAULT_ZSTD_LEVEL));
    assert_eq!(level("-z --zc=none"), None);
    assert_eq!(level("--zc=zstd"), Some(DEFAULT_ZSTD_LEVEL));
    let when = |line: &str| options(line).compress.map(|compression| compression.when);
    for (line, expected) in [
        ("-z", Some(CompressWhen::Always)),
        ("--compress", Some(CompressWhen::Always)),
        ("--compress=always", Some(CompressWhen::Always)),
        ("--zl=9", Some(CompressWhen::Always)),
        ("--compress=auto", Some(CompressWhen::Auto)),
        ("--compress=auto --zl=1", Some(CompressWhen::Auto)),
        ("--zc=zstd --compress=auto", Some(CompressWhen::Auto)),
        ("-z --compress=auto", Some(CompressWhen::Auto)),
        ("--compress=auto -z", Some(CompressWhen::Always)),
        ("--no-compress --compress=auto", Some(CompressWhen::Auto)),
        ("--compress=auto --no-compress", None),
        ("--compress=auto --no-z", None),
        ("--compress=auto --zc=none", None),
        ("-z --compress=never", None),
        ("--compress=never --zl=9", None),
        ("--compress=never -z", Some(CompressWhen::Always)),
    ] {
        assert_eq!(when(line), expected, "{line}");
    }
    assert_eq!(level("--compress=auto --zl=1"), Some(1));
    for (line, rate) in [
        ("", None),
        ("--bwlimit=0", None),
        ("--bwlimit=100", Some(102_400)),
        ("--bwlimit=1.5m", Some(1_572_864)),
        ("--bwlimit=1MB", Some(1_000_000)),
        ("--bwlimit=512b", Some(512)),
    ] {
        assert_eq!(options(line).bandwidth, rate, "{line}");
    }
    assert_eq!(options("").shortcuts, Shortcuts::default());
    assert!(!options("--plain=refinement,threads").shortcuts.threads);
    assert!(options("--plain=refinement,threads").shortcuts.fingerprints);
    assert_eq!(
        options("--plain=all").shortcuts,
        options(&format!("--plain={}", Shortcuts::NAMES.join(","))).shortcuts
    );
    assert_eq!(options("--timeout=0").timeout, None);
    assert_eq!(options("--timeout=30").timeout, Some(30));
    assert_eq!(options("-B0").block_size, None);
    assert_eq!(options("-B4k").block_size, Some(4096));
    for (name, sum, compare) in [
        ("auto", StrongKind::Xxh3, None),
        ("xxh128", StrongKind::Xxh3, None),
        ("xxh3", StrongKind::Xxh3Short, None),
        ("xxh64", StrongKind::Xxh64, None),
        ("xxhash", StrongKind::Xxh64, None),
        ("md5,md5", StrongKind::Md5, None),
        ("md5,sha1", StrongKind::Md5, Some(StrongKind::Sha1)),
        ("none", StrongKind::None, None),
        ("auto,none", StrongKind::Xxh3, Some(StrongKind::None)),
    ] {
        let options = options(&format!("--cc={name}"));
        assert_eq!((options.sum, options.compare_sum), (sum, compare), "{name}");
    }
    let by = |line: &str| options(line).compress.map(|compression| compression.by);
    assert_eq!(by("--zc=lz4"), Some(Compressor::Lz4));
    assert_eq!(by("-z --zc=zstd"), Some(Compressor::Zstd));
    assert!(options("--skip-compress=x").skip_compress.matches(b"a.x"));
    assert!(!options("--skip-compress=").skip_compress.matches(b"a.gz"));
    assert!(options("").skip_compress.matches(b"a.gz"));
}

#[test]
fn what_is_not_finished_has_a_place() {
    let patterns = |options: &Options| {
        options
            .rules
            .iter()
            .map(|rule| String::from_utf8_lossy(&rule.pattern).into_owned())
            .collect::<Vec<_>>()
    };
    for (line, partial, dir, expected) in [
        ("", false, None, &[][..]),
        ("--partial", true, None, &[]),
        ("--partial-dir=.rsync-partial/", true, Some(".rsync-partial"), &[".rsync-partial/"]),
        ("--partial-dir=/var/partial", true, Some("/var/partial"), &[]),
        ("--partial-dir=.", true, None, &[]),
        ("--delay-updates", true, None, &[".~tmp~/"]),
        ("--delay-updates --partial-dir=x", true, Some("x"), &["x/"]),
        ("--delay-updates --partial-dir=/x", true, Some("/x"), &[".~tmp~/"]),
        ("--delay-updates --partial-dir=x/y", true, Some("x/y"), &["x/y/", ".~tmp~/"]),
        ("--delay-updates --no-delay-updates", false, None, &[]),
    ] {
        let options = options(line);
        assert_eq!(options.partial, partial, "{line}");
        assert_eq!(options.partial_dir.as_deref(), dir.map(str::as_bytes), "{line}");
        assert_eq!(patterns(&options), expected, "{line}");
        assert!(options.rules.iter().all(|rule| rule.perishable), "{line}");
    }
    for line in ["--partial-dir=..", "--partial-dir=a/..", "--partial-dir=a/./"] {
        let said = refusal(&format!("{line} a b"));
        assert!(said.contains("--partial-dir needs the name"), "{line}: {said}");
    }
    let mut environment = environment();
    environment.partial_dir = Some("kept".into());
    for (line, dir) in [("", None), ("--partial", Some("kept")), ("-P", Some("kept")), ("-P --inplace", None)]
    {
        let flags = {
            let words: Vec<OsString> = format!("-r {line} a b")
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(OsString::from)
                .collect();
            Flags::parse(&words).unwrap()
        };
        let (run, _) = resolve(&flags, &environment).unwrap();
        assert_eq!(run.options.partial_dir.as_deref(), dir.map(str::as_bytes), "{line}");
    }
}

#[test]
fn what_grows_is_written_where_it_is() {
    for (line, append) in [
        ("", None),
        ("--append", Some(Append::Trusting)),
        ("--append-verify", Some(Append::Verified)),
        ("--append --append-verify", Some(Append::Verified)),
        ("--append-verify --append", Some(Append::Trusting)),
        ("--append --no-append", None),
        ("--append-verify --no-append", None),
        ("--append --append-verify --no-append", None),
        ("--append-verify --no-append --append", Some(Append::Trusting)),
    ] {
        let options = options(line);
        assert_eq!((options.append, options.in_place), (append, append.is_some()), "{line}");
    }
    for line in [
        "--append -W a b",
        "--append --partial-dir=x a b",
        "--inplace --partial-dir=x a b",
        "--inplace --delay-updates a b",
        "--append-verify --delay-updates a b",
    ] {
        assert!(refusal(line).contains(" cannot be used with --"), "{line}: {}", refusal(line));
    }
}

#[test]
fn a_seed_is_said_or_drawn() {
    for (line, seed) in [
        ("", None),
        ("--checksum-seed=0", None),
        ("--checksum-seed=7", Some(7)),
        ("--checksum-seed=-1", Some(u64::from(u32::MAX))),
    ] {
        assert_eq!(resolved(&format!("{line} a b")).unwrap().0.seed, seed, "{line}");
    }
}

#[test]
fn the_end_of_a_run_is_in_the_future() {
    let ends = |line: &str| resolved(&format!("{line} a b")).unwrap().0.ends;
    assert_eq!(ends(""), None);
    for line in ["--stop-after=10", "--time-limit=10", "--stop-at=2000-01-01 --stop-after=10"] {
        let left = ends(line).unwrap().duration_since(std::time::SystemTime::now()).unwrap();
        assert!((590..=600).contains(&left.as_secs()), "{line}: {left:?}");
    }
    assert!(ends("--stop-after=1 --stop-at=:30").is_some());
    for line in ["--stop-at=2000-01-01 a b", "--stop-at=soon a b", "--stop-after=0 a b"] {
        assert!(refusal(line).starts_with("dsync: --stop-"), "{line}: {}", refusal(line));
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for (line, message) in [
        ("--bwlimit=100b a b", "dsync: --bwlimit: \"100b\" is less than 512 bytes a second\n"),
        ("--bwlimit=1.5x a b", "dsync: --bwlimit: the value \"1.5x\" is not valid"),
        ("-B9999999999 a b", "dsync: --block-size: 9999999999 bytes are too many\n"),
        ("-B2m a b", "dsync: a block size of 2097152 bytes is out of range"),
        ("--cc=sha9 a b", "dsync: --checksum-choice: unknown checksum \"sha9\"\n"),
        ("--cc=none -c a b", "dsync: --checksum (-c) needs a checksum"),
        ("--cc=none -2 a b", "dsync: --checksum-choice=none has no meaning in a two-way run"),
        ("--skip-compress=a[ a b", "dsync: --skip-compress: a [ has no ]\n"),
        ("--compress=maybe a b", "dsync: --compress: \"maybe\" is none of its words\n  hint: They are"),
        ("--plain=threads,nosuch a b", "dsync: --plain: unknown shortcut \"nosuch\"\n  hint: There are "),
        ("--zc=lzw a b", "dsync: --compress-choice: unknown compression \"lzw\"\n"),
        ("--delete a b", "dsync: --delete does not work without --recursive (-r) or --dirs (-d)\n"),
        ("--info=nosuch a b", "dsync: --info: unknown kind of output \"nosuch\"\n"),
        ("-e 'ssh a b", "dsync: The remote shell command has a ' without its second one\n"),
        ("-f nosuch a b", "dsync: Filter rule \"nosuch\": it begins with no known rule name\n"),
    ] {
        assert!(refusal(line).starts_with(message), "{line}: {}", refusal(line));
    }
}

#[test]
fn deletion_gathers_its_flags() {
    let limited = options("-r --max-delete=3");
    assert_eq!((limited.delete, limited.max_delete), (None, Some(DeletionLimit::Count(3))));
    assert_eq!(options("-r --delete").delete, Some(Deletion::default()));
    let all = options("-r --delete-excluded --max-delete=-1 --ignore-errors");
    let deletion = Deletion { excluded: true, ignore_errors: true, ..Deletion::default() };
    assert_eq!((all.delete, all.max_delete), (Some(deletion), Some(DeletionLimit::Count(0))));
}

#[test]
fn rules_come_from_flags_and_files_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules");
    std::fs::write(&file, "# a comment\n+ b\nc\n").unwrap();
    let file = file.to_str().unwrap();
    let rules = options(&format!("--include=a --exclude-from={file} --exclude=d")).rules;
    let patterns: Vec<(Vec<u8>, Action)> =
        rules.iter().map(|rule| (rule.pattern.to_vec(), rule.action)).collect();
    let expected =
        [("a", Action::Include), ("b", Action::Include), ("c", Action::Exclude), ("d", Action::Exclude)];
    assert_eq!(patterns, expected.map(|(pattern, action)| (pattern.as_bytes().to_vec(), action)));
    let missing = resolved("--exclude-from=/nonexistent/rules a b").unwrap_err();
    assert_eq!(missing.code(), 11);
    assert!(
        missing.to_string().starts_with("dsync: Reading filter rules from /nonexistent/rules: No such file")
    );
}

#[test]
fn the_remote_shell_comes_from_the_flag_or_the_environment() {
    let words = |line: &str, variable: Option<&str>| {
        let arguments: Vec<OsString> = line.split('|').map(OsString::from).collect();
        let environment = Environment { shell: variable.map(OsString::from), ..environment() };
        resolve(&Flags::parse(&arguments).unwrap(), &environment).unwrap().0.shell
    };
    assert_eq!(words("a|h:", None).command, None);
    assert_eq!(words("a|h:", None).remote_program, "dsync");
    assert_eq!(words("a|h:", Some("rsh -x")).command, Some(vec!["rsh".into(), "-x".into()]));
    let given = words("-e|ssh -p '2 2'|--rsync-path=sudo dsync|a|h:", Some("rsh"));
    assert_eq!(given.command, Some(vec!["ssh".into(), "-p".into(), "2 2".into()]));
    assert_eq!(given.remote_program, "sudo dsync");
}

#[test]
fn this_program_is_put_nowhere_if_it_is_said_which_one_is_there() {
    for (options, is_put) in
        [("", true), ("--no-bootstrap ", false), ("--remote-path=dsync ", false), ("-e ssh ", true)]
    {
        let run = resolved(&format!("{options}a h:")).unwrap().0;
        assert_eq!(run.shell.executable.is_some(), is_put, "{options}");
    }
}

#[test]
fn output_follows_direction_and_verbosity() {
    assert_eq!(style("-v a b").direction, Direction::Local);
    assert_eq!(style("-v a h:b").direction, Direction::Push);
    assert_eq!(style("-v a h:b").destination, b"b");
    assert_eq!(style("-v h:a b").direction, Direction::Pull);
    assert_eq!(style("a b").human, 1);
    assert_eq!(style("-h a b").human, 2);
    assert_eq!(style("-hh a b").human, 3);
    assert_eq!(style("--no-h a b").human, 0);
    let quiet = style("-avviP --stats -q a b");
    assert_eq!((quiet.levels, quiet.itemise, quiet.progress), (Levels::default(), 0, false));
    assert!(style("--info=progress2 a b").progress);
    assert_eq!(style("--info=progress2 a b").levels.name, 0);
    assert_eq!(style("-P a b").levels.name, 1);
}

#[test]
fn only_events_with_a_line_are_asked_for() {
    let nothing = Detail::default();
    for (line, detail) in [
        ("", nothing),
        ("-q -vv", nothing),
        ("-v", Detail { changes: true, attributes: true, ..nothing }),
        ("-vv", Detail { changes: true, attributes: true, unchanged: true, ..nothing }),
        ("-i", Detail { changes: true, attributes: true, ..nothing }),
        ("-ii", Detail { changes: true, attributes: true, unchanged: true, ..nothing }),
        ("--info=del", Detail { changes: true, ..nothing }),
        ("--info=symsafe", Detail { changes: true, ..nothing }),
        ("--info=progress2", Detail { progress: true, ..nothing }),
        ("--stats", nothing),
        ("--out-format=%n", Detail { changes: true, attributes: true, ..nothing }),
        ("--out-format=%M", Detail { changes: true, attributes: true, facts: true, ..nothing }),
        ("--out-format=%b", Detail { changes: true, attributes: true, facts: true, sent: true, ..nothing }),
        ("-q --out-format=%b", nothing),
        ("-q --log-file=x", Detail { changes: true, attributes: true, ..nothing }),
        (
            "--log-file=x --log-file-format=%C",
            Detail { changes: true, attributes: true, facts: true, sums: true, ..nothing },
        ),
        ("--log-file=x --log-file-format=", nothing),
        ("--log-file=x --log-file-format= -r --delete", Detail { changes: true, ..nothing }),
        ("--json", Detail { changes: true, attributes: true, facts: true, sent: true, ..nothing }),
    ] {
        assert_eq!(options(line).detail, detail, "{line}");
    }
}

#[test]
fn a_format_takes_the_place_of_columns() {
    let shown = |line: &str| {
        let style = style(&format!("{line} a b"));
        (style.format, style.itemise)
    };
    assert_eq!(shown("-v"), (None, 0));
    assert_eq!(shown("-ii"), (Some(Format::itemised()), 2));
    assert_eq!(shown("-ii --out-format=%n"), (Some(Format::new("%n")), 0));
    assert_eq!(shown("--out-format=%n%i"), (Some(Format::new("%n%i")), 1));
    assert_eq!(shown("-q -i"), (None, 0));
    assert!(refusal("--json --out-format=%n a b").contains("--json and --out-format"));
    for option in ["--out-format", "--log-file-format"] {
        let refused = refusal(&format!("-2 {option}=%n a b"));
        assert!(refused.contains(&format!("{option} does not go with --two-way")), "{refused}");
    }
}

#[test]
fn a_log_needs_a_name() {
    assert!(style("--log-file=l a b").log.is_some());
    assert_eq!(style("--log-file= a b").log, None);
}

#[test]
fn formats_need_not_be_text() {
    let words =
        [OsString::from("--out-format"), OsString::from_vec(b"\xff%n".to_vec()), "a".into(), "b".into()];
    let (_, style) = resolve(&Flags::parse(&words).unwrap(), &environment()).unwrap();
    assert_eq!(style.format, Some(Format::new(OsStr::from_bytes(b"\xff%n"))));
}

#[test]
fn the_manner_of_output_is_said_in_short() {
    let manner = |line: &str| {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        manner(&Flags::parse(&words).unwrap())
    };
    for (line, buffering, to_stderr) in [
        ("-a", Buffering::ByTarget, false),
        ("--outbuf=N --stderr=e", Buffering::Lines, false),
        ("--outbuf=line --stderr=all", Buffering::Lines, true),
        ("--outbuf=Full --msgs2stderr", Buffering::Blocks, true),
        ("--msgs2stderr --no-msgs2stderr", Buffering::ByTarget, false),
        ("--stderr=c", Buffering::ByTarget, false),
        ("--stderr=a --no-msgs2stderr", Buffering::ByTarget, false),
        ("--no-msgs2stderr --stderr=a", Buffering::ByTarget, true),
        ("--msgs2stderr --stderr=e", Buffering::ByTarget, false),
        ("--stderr=e --msgs2stderr", Buffering::ByTarget, true),
    ] {
        let manner = manner(line).unwrap();
        assert_eq!((manner.buffering, manner.all_to_stderr), (buffering, to_stderr), "{line}");
    }
    for line in ["--outbuf=x", "--outbuf=", "--stderr=x", "--stderr=allx", "--stderr="] {
        assert_eq!(manner(line).unwrap_err().code(), 1, "{line}");
    }
}

#[test]
fn a_list_of_names_implies_what_it_needs() {
    let options = |line: &str| resolved(line).unwrap().0.options;
    let listed = options("-a --files-from=:x host:src dst");
    assert!(listed.relative && listed.dirs && !listed.recursive && listed.times);
    assert_eq!(listed.names_from, Some(NamesFrom::Peer { file: b"x".to_vec(), nul: false }));
    assert!(options("-ar --files-from=host:x -0 host:src dst").recursive);
    assert!(options("--files-from=:x -a -r src host:dst").recursive);
    assert!(!options("-a --files-from=:x --no-R src host:dst").relative);
    assert!(!options("-a --no-d --files-from=:x src host:dst").dirs);
}

#[test]
fn a_source_alone_is_listed() {
    let run = |line: &str| resolved(line).unwrap().0;
    for line in ["src", "host:src", "--list-only src dst"] {
        assert!(run(line).options.list_only && run(line).options.dirs, "{line}");
    }
    assert!(!run("-r src").options.dirs);
    assert!(!run("src dst").options.list_only);
}

#[test]
fn blanks_part_remote_paths_only_where_that_is_asked_for() {
    let sources = |words: &[&str], old_args: bool| {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let environment = Environment { old_args, ..environment() };
        resolve(&Flags::parse(&words).unwrap(), &environment).unwrap().0.sources
    };
    let (one, two) = ([remote("h", "a b")], [remote("h", "a"), remote("h", "b")]);
    assert_eq!(sources(&["h:a b", "dst"], false), one);
    assert_eq!(sources(&["--old-args", "h:a b", "dst"], false), two);
    assert_eq!(sources(&["h:a  b", "dst"], true), two);
    assert_eq!(sources(&["--no-old-args", "h:a b", "dst"], true), one);
    assert_eq!(sources(&["-s", "h:a b", "dst"], true), one);
    assert_eq!(sources(&["a b", "h:dst"], true), [Target::Local(b"a b".to_vec())]);
}

#[test]
fn an_option_for_the_other_side_is_for_that_only() {
    let run = |line: &str| resolved(line).unwrap().0;
    let one = run("-a -M--munge-links -M--size-only src h:dst");
    assert!(!one.options.link_rules.munge && !one.options.size_only);
    assert!(one.peer_options.link_rules.munge && one.peer_options.size_only && one.peer_options.times);
    let other = run("-a --munge-links src h:dst");
    assert!(other.options.link_rules.munge && !other.peer_options.link_rules.munge);
    // What one side takes for a pass of its own the other would not know of.
    for line in ["-a --delete-before -M--no-delete-before src h:dst", "-a -M--delete-before h:src dst"] {
        let expected = "dsync: --remote-option (-M): --delete-before has to be said to both sides";
        assert!(refusal(line).starts_with(expected), "{line}: {}", refusal(line));
    }
    let one_sided = refusal("-a -M--remove-source-files src h:dst");
    assert!(one_sided.contains("--remove-source-files has to be said to both sides"), "{one_sided}");
    let late = run("-a --delete-after -M--max-delete=3 -M--delete-from-empty src h:dst");
    assert_eq!(
        (late.options.max_delete, late.peer_options.max_delete),
        (None, Some(DeletionLimit::Count(3)))
    );
    assert!(late.peer_options.delete.is_some_and(|deletion| deletion.from_empty));
    for (option, message) in [
        ("-M--nosuch", "dsync: --remote-option (-M): --nosuch: unknown option"),
        ("-M--timeout=x", "dsync: --remote-option (-M): --timeout: the value \"x\" is not valid"),
        ("-Mword", "dsync: --remote-option (-M): an option is missing its dash"),
        // What would not be heard there is not taken as if it were.
        ("-M--exclude=keep", "dsync: --remote-option cannot give filter rules"),
        ("-M--gitignore", "dsync: --remote-option cannot give filter rules"),
        ("-M--explain=x", "dsync: --remote-option cannot give --explain"),
        ("-M--confine-root=/x", "dsync: --remote-option cannot give --confine-root"),
        ("-M--insecure-links", "dsync: --remote-option cannot give --insecure-links"),
        ("-M--log-file=x", "dsync: --remote-option cannot give --log-file"),
        ("-M--help", "dsync: --remote-option cannot give --help"),
        ("-M-2", "dsync: --remote-option cannot give --two-way"),
        ("-M--files-from=x", "dsync: --remote-option cannot give --files-from"),
        ("-M--stop-at=2020-01-01", "dsync: --remote-option cannot give --stop-at"),
        ("-M--retry=2", "dsync: --remote-option cannot give --retry"),
    ] {
        let words = ["-a", option, "src", "h:dst"].map(OsString::from);
        let failure = Flags::parse(&words).unwrap_err();
        assert!(failure.to_string().starts_with(message), "{failure}");
    }
}

/// What cannot be done twice may be said to the other side alone.
#[test]
fn what_is_said_to_the_peer_is_tried_once_too() {
    let tries = |line: &str| {
        let (run, _) = resolved(line).unwrap_or_else(|failure| panic!("{line}: {failure}"));
        let kept = [&run.options, &run.peer_options].map(|options| options.keep_staged);
        assert_eq!(kept, [run.retry.times > 0; 2], "{line}");
        run.retry.times
    };
    assert_eq!(tries("-a src h:dst"), 3);
    assert_eq!(tries("-a --retry=7 -M--inplace src h:dst"), 7);
    for said in
        ["-M-b", "-M--backup", "--delete -M--max-delete=3", "-u -M--inplace", "--ignore-existing -M--append"]
    {
        let shown = refusal(&format!("-a --retry=3 {said} src h:dst"));
        assert!(shown.contains("--retry cannot be used here"), "{said}: {shown}");
        // Nobody asked for it then.
        assert_eq!(tries(&format!("-a {said} src h:dst")), 0, "{said}");
    }
}
