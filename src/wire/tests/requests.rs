//! Requests as bytes and back, and requests of peers that are newer, older or hostile.

use crate::request::{
    Append, Backup, Bases, BasisKind, CompressWhen, Compression, Compressor, Deletion, DeletionLimit,
    DeletionTime, Detail, LinkRules, Missing, Mounts, NamesFrom, Options, Part, Reflink, Request, Shortcuts,
    StrongKind, Super, TwoWay,
};
use crate::tree::RelPath;
use crate::tree::filter::{Action, Rule, Rules};
use crate::wire::WireError;
use crate::wire::codec::{Cursor, Put};
use crate::wire::hello::{encode_request, read_request};
use crate::wire::request::{self, REQUEST_LIMIT};
use proptest::prelude::*;

/// Every option with another value than its default.
pub(super) fn everything() -> Options {
    let mut rules = Rules::new();
    rules.push(Rule::new(Action::Exclude, "*.o")).unwrap();
    rules.push(Rule { negated: true, perishable: true, ..Rule::new(Action::Include, "/keep/") }).unwrap();
    rules.push(Rule { xattr: true, ..Rule::new(Action::Exclude, "user.*") }).unwrap();
    Options {
        executability: true,
        acls: true,
        xattrs: 2,
        atimes: true,
        open_noatime: true,
        super_user: Some(Super::Forgone),
        recursive: true,
        dirs: true,
        mounts: Mounts::LeftOut,
        make_path: true,
        relative: true,
        no_implied_dirs: true,
        names_from: Some(NamesFrom::Peer { file: b"names".to_vec(), nul: true }),
        missing: Missing::Deleted,
        list_only: true,
        relayed: true,
        links: true,
        hard_links: true,
        link_rules: LinkRules {
            copy: true,
            copy_dirs: true,
            copy_unsafe: true,
            safe: true,
            keep_dirs: true,
            munge: true,
        },
        perms: true,
        times: true,
        owner: true,
        group: true,
        devices: true,
        copy_devices: true,
        write_devices: true,
        reflink: Reflink::Never,
        specials: true,
        numeric_ids: true,
        user_map: "0-9:a,b*:7,:c".parse().unwrap(),
        group_map: "*:d".parse().unwrap(),
        chmod: "D755,Fu=rwX,o=g".parse().unwrap(),
        omit_dir_times: true,
        omit_link_times: true,
        checksum: true,
        update: true,
        ignore_times: true,
        size_only: true,
        existing: true,
        ignore_existing: true,
        bases: Some(Bases {
            kind: BasisKind::Link,
            directories: vec![b"../before".to_vec(), b"/\xff".to_vec()],
        }),
        max_size: Some(u64::MAX),
        min_size: Some(1),
        modify_window: -1,
        whole_file: Some(false),
        in_place: true,
        partial: true,
        block_size: Some(4096),
        sum: StrongKind::Md5,
        compare_sum: Some(StrongKind::Sha1),
        skip_compress: "gz/mp[34]".parse().unwrap(),
        fsync: true,
        sparse: true,
        preallocate: true,
        temp_dir: Some(b"tmp".to_vec()),
        partial_dir: Some(b".partial".to_vec()),
        delay_updates: true,
        append: Some(Append::Verified),
        fuzzy: 1,
        detect_renames: true,
        compress: Some(Compression { level: 22, when: CompressWhen::Auto, by: Compressor::Lz4 }),
        bandwidth: Some(u64::MAX),
        keep_staged: true,
        timeout: Some(u32::MAX),
        streams: Some(8),
        delete: Some(Deletion {
            excluded: true,
            ignore_errors: true,
            when: DeletionTime::After,
            from_empty: true,
        }),
        remove_source_files: true,
        max_delete: Some(DeletionLimit::Percent(3)),
        backup: Some(Backup { directory: Some(b"../old".to_vec()), suffix: b".bak".to_vec() }),
        force: true,
        rules,
        two_way: Some(TwoWay { allow_mass_delete: true, keep_trash: false, trash_days: 7 }),
        prune_empty_dirs: true,
        dry_run: true,
        explain: vec![RelPath::new(*b"a/b").unwrap()],
        detail: Detail {
            changes: true,
            attributes: true,
            unchanged: true,
            progress: true,
            facts: true,
            sent: true,
            sums: true,
        },
        shortcuts: Shortcuts { threads: false, ..Shortcuts::default() },
    }
}

fn sink(options: Options) -> Request {
    Request { part: Part::Sink { destination: b"to".to_vec() }, options }
}

fn encoded(request: &Request) -> Vec<u8> {
    let mut out = Vec::new();
    request::encode(request, &mut out);
    out
}

fn decoded(bytes: &[u8]) -> Result<Request, WireError> {
    request::decode(bytes.to_vec().into())
}

fn tagged(tag: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_varint(tag);
    out.put_bytes(value);
    out
}

/// The values of a request, each with its tag.
fn values(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut cursor = Cursor::new(bytes.to_vec().into());
    let mut values = Vec::new();
    while !cursor.is_empty() {
        let tag = cursor.varint().unwrap();
        values.push((tag, cursor.bytes("value", u64::MAX).unwrap().to_vec()));
    }
    values
}

#[test]
fn requests_survive() {
    let sources = vec![b"a".to_vec(), b"".to_vec(), b"/x/*\xff".to_vec()];
    for options in [Options::default(), everything()] {
        for part in [
            Part::Sink { destination: Vec::new() },
            Part::Sink { destination: b"~/to\n\xff/".to_vec() },
            Part::Replica { root: b"tree".to_vec(), landmarks: vec![[7; 16], [8; 16]] },
            Part::Source { arguments: Vec::new() },
            Part::Source { arguments: sources.clone() },
        ] {
            let request = Request { part, options: options.clone() };
            let bytes = encode_request(&request);
            let mut rest = &bytes[..];
            assert_eq!(read_request(&mut rest).unwrap(), request);
            assert!(rest.is_empty());
        }
    }
}

#[test]
fn options_with_their_default_are_not_sent() {
    assert_eq!(values(&encoded(&sink(Options::default()))).len(), 1);
}

/// Each option has a number of its own and travels alone as it does in company.
#[test]
fn each_option_survives_alone() {
    let all = values(&encoded(&sink(everything())));
    let (part, options) = all.split_first().unwrap();
    assert_eq!(options.len(), 77, "one value for each field of Options");
    for (tag, value) in options {
        assert_eq!(options.iter().filter(|(other, _)| other >> 1 == tag >> 1).count(), 1, "{tag}");
        let mut bytes = tagged(part.0, &part.1);
        // Deleting is refused without entering directories.
        if tag >> 1 == 40 {
            bytes.extend(tagged(options[0].0, &options[0].1));
        }
        bytes.extend(tagged(*tag, value));
        let request = decoded(&bytes).unwrap();
        assert_ne!(request.options, Options::default(), "{tag}");
        assert_eq!(encoded(&request), bytes, "{tag}");
    }
}

#[test]
fn what_an_older_dsync_does_not_know_is_refused_if_critical() {
    let known = encoded(&sink(Options::default()));
    let newer = |tag: u64| [known.clone(), tagged(tag, b"\x01")].concat();
    let error = decoded(&newer(999 << 1 | 1)).unwrap_err();
    assert!(matches!(error, WireError::UnknownOption(999)));
    assert!(error.to_string().contains("option (number 999)"), "{error}");
    assert_eq!(decoded(&newer(999 << 1)).unwrap(), sink(Options::default()));
}

#[test]
fn a_request_has_a_role() {
    assert!(matches!(decoded(b""), Err(WireError::Malformed("request: it has no role"))));
    assert!(decoded(&tagged(10 << 1 | 1, b"\x01")).is_err());
}

#[test]
fn a_path_with_a_nul_byte_is_refused() {
    for part in [
        Part::Sink { destination: b"a\0b".to_vec() },
        Part::Source { arguments: vec![b"a".to_vec(), b"\0".to_vec()] },
    ] {
        let text = decoded(&encoded(&Request { part, options: Options::default() })).unwrap_err().to_string();
        assert!(text.contains("NUL"), "{text}");
    }
}

#[test]
fn values_out_of_range_are_refused() {
    let delete = Some(Deletion::default());
    for options in [
        Options {
            compress: Some(Compression { level: 0, when: CompressWhen::Always, by: Compressor::Zstd }),
            ..Options::default()
        },
        Options {
            compress: Some(Compression { level: 23, when: CompressWhen::Always, by: Compressor::Zstd }),
            ..Options::default()
        },
        Options {
            compress: Some(Compression { level: i32::MIN, when: CompressWhen::Always, by: Compressor::Zstd }),
            ..Options::default()
        },
        Options { block_size: Some(0), ..Options::default() },
        Options { block_size: Some(u32::MAX), ..Options::default() },
        Options { delete, recursive: false, ..Options::default() },
    ] {
        assert!(
            matches!(decoded(&encoded(&sink(options.clone()))), Err(WireError::Option(_))),
            "{options:?}"
        );
    }
}

#[test]
fn rules_that_no_parser_makes_are_refused() {
    for pattern in [&b""[..], b"a\0b", &[b'x'; 5000]] {
        let rules = Rules::from(vec![Rule::new(Action::Exclude, pattern)]);
        let request = sink(Options { rules, ..Options::default() });
        assert!(matches!(decoded(&encoded(&request)), Err(WireError::Option(_))), "{}", pattern.len());
    }
}

/// A value that is no such value: neither a boolean nor a choice, cut short, or a list longer than the rest.
#[test]
fn values_of_another_type_are_refused() {
    let known = encoded(&sink(Options::default()));
    for (number, value) in [
        (10, &b"\x02"[..]),
        (10, b""),
        (34, b"\x06"),
        (33, b"\x01"),
        (40, b"\x01\x01"),
        (42, b"\xff\xff\xff\xff\x0f"),
        (1, b"\xff\xff\xff\xff\x0f\x01"),
        (2, b"\xff\xff\xff\xff\x0f"),
    ] {
        let bytes = [known.clone(), tagged(number << 1 | 1, value)].concat();
        assert!(matches!(decoded(&bytes), Err(WireError::Option(_))), "{number} {value:?}");
    }
}

#[test]
fn a_request_too_long_is_refused_unread() {
    let length = u32::try_from(REQUEST_LIMIT + 1).unwrap().to_le_bytes();
    let error = read_request(&mut &length[..]).unwrap_err();
    assert!(matches!(error, WireError::TooLong { what: "request", .. }), "{error}");
    let cut = [&8_u32.to_le_bytes()[..], b"1234567"].concat();
    assert!(matches!(read_request(&mut &cut[..]), Err(WireError::Ended)));
}

proptest! {
    #[test]
    fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decoded(&bytes);
    }

    #[test]
    fn any_values_are_harmless(
        values in prop::collection::vec((0..160_u64, prop::collection::vec(any::<u8>(), 0..20)), 0..10)
    ) {
        let _ = decoded(&values.iter().flat_map(|(tag, value)| tagged(*tag, value)).collect::<Vec<_>>());
    }

    #[test]
    fn a_changed_byte_is_harmless(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encoded(&sink(everything()));
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = decoded(&bytes);
    }
}
