//! Random edits of a real tree: after each scan the history is what an independent reading of the tree finds, and only
//! what was edited counts as edited.

use super::*;
use filetime::set_symlink_file_times;
use proptest::prelude::*;

/// What is at a path, read by other means.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    state: State,
    mode: u32,
    mtime: FileTime,
}

fn reading(at: &Path) -> BTreeMap<String, Reading> {
    let mut all = BTreeMap::new();
    read_into(at, at, &mut all);
    all
}

fn read_into(root: &Path, at: &Path, all: &mut BTreeMap<String, Reading>) {
    let meta = fs::symlink_metadata(at).unwrap();
    let (state, mode) = if meta.is_symlink() {
        let target = fs::read_link(at).unwrap().into_os_string().into_encoded_bytes();
        (State::Symlink { target: target.into() }, 0o777)
    } else if meta.is_dir() {
        (State::Directory, meta.mode() & 0o7777)
    } else {
        (State::File { sum: sum(&fs::read(at).unwrap()), size: meta.len() }, meta.mode() & 0o7777)
    };
    let name = at.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    all.insert(name, Reading { state, mode, mtime: FileTime::from_last_modification_time(&meta) });
    if meta.is_dir() {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != ".dsync" {
                read_into(root, &entry.path(), all);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Write {
        at: usize,
        content: u8,
        len: usize,
    },
    /// Another content of the same length, with the old time put back.
    Hidden {
        at: usize,
        content: u8,
    },
    Directory {
        at: usize,
    },
    Link {
        at: usize,
        target: u8,
    },
    Remove {
        at: usize,
    },
    Rename {
        from: usize,
        to: usize,
    },
    Mode {
        at: usize,
        mode: u32,
    },
    Touch {
        at: usize,
        seconds: i64,
    },
    /// The same content in another inode.
    Rewrite {
        at: usize,
    },
}

/// Paths that are near each other in every order that one could take for the right one.
const PATHS: [&str; 14] =
    ["a", "a/a", "a/b", "a/b/c", "a-b", "a.b", "a/b-c", "a/b/c/d", "b", "b/a", "c", "a\u{1}", "ab", "ab/a"];

fn edit() -> impl Strategy<Value = Edit> {
    let at = || 0..PATHS.len();
    prop_oneof![
        4 => (at(), 0_u8..3, 0_usize..4).prop_map(|(at, content, len)| Edit::Write { at, content, len }),
        3 => (at(), 0_u8..9).prop_map(|(at, content)| Edit::Hidden { at, content }),
        4 => at().prop_map(|at| Edit::Directory { at }),
        1 => (at(), 0_u8..3).prop_map(|(at, target)| Edit::Link { at, target }),
        2 => at().prop_map(|at| Edit::Remove { at }),
        2 => (at(), at()).prop_map(|(from, to)| Edit::Rename { from, to }),
        1 => (at(), prop_oneof![Just(0o700_u32), Just(0o755), Just(0o711)]).prop_map(|(at, mode)| Edit::Mode { at, mode }),
        1 => (at(), 0_i64..3).prop_map(|(at, seconds)| Edit::Touch { at, seconds }),
        1 => at().prop_map(|at| Edit::Rewrite { at }),
    ]
}

/// Does an edit as far as that is possible.
fn apply(root: &Path, edit: &Edit) {
    let path = |at: usize| root.join(PATHS[at]);
    match edit {
        Edit::Write { at, content, len } => drop(fs::write(path(*at), vec![*content; *len])),
        Edit::Hidden { at, content } => {
            let Ok(meta) = fs::symlink_metadata(path(*at)) else { return };
            if meta.is_file() {
                fs::write(path(*at), vec![*content; meta.len() as usize]).unwrap();
                let times = FileTime::from_last_modification_time(&meta);
                set_symlink_file_times(path(*at), times, times).unwrap();
            }
        }
        Edit::Directory { at } => {
            if !path(*at).is_dir() {
                let _ = fs::remove_file(path(*at));
            }
            let _ = fs::create_dir(path(*at));
        }
        Edit::Link { at, target } => {
            let _ = fs::remove_file(path(*at));
            let _ = symlink(target.to_string(), path(*at));
        }
        Edit::Remove { at } => {
            let _ = fs::remove_file(path(*at)).or_else(|_| fs::remove_dir_all(path(*at)));
        }
        Edit::Rename { from, to } => {
            let _ = fs::rename(path(*from), path(*to));
        }
        Edit::Mode { at, mode } => {
            if fs::symlink_metadata(path(*at)).is_ok_and(|meta| !meta.is_symlink()) {
                fs::set_permissions(path(*at), fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
        Edit::Touch { at, seconds } => {
            let time = FileTime::from_unix_time(*seconds, 5);
            let _ = set_symlink_file_times(path(*at), time, time);
        }
        Edit::Rewrite { at } => {
            if fs::symlink_metadata(path(*at)).is_ok_and(|meta| meta.is_file()) {
                let temporary = root.join("temporary");
                fs::copy(path(*at), &temporary).unwrap();
                fs::rename(temporary, path(*at)).unwrap();
            }
        }
    }
}

/// Whether content and attributes are to have been edited between two readings of a path.
fn edits(before: Option<&Reading>, after: Option<&Reading>) -> (bool, bool) {
    match (before, after) {
        (None, None) => (false, false),
        (Some(before), Some(after)) if before.state.is_like(&after.state) => {
            (before.state != after.state, before.mode != after.mode)
        }
        (_, None) => (true, false),
        _ => (true, true),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_history_is_what_is_there_and_exactly_edits_are_edits(
        rounds in prop::collection::vec((prop::collection::vec(edit(), 0..12), any::<bool>()), 1..5),
    ) {
        let mut scene = Scene::new();
        let mut before = BTreeMap::new();
        let mut known_before: BTreeMap<String, Known> = BTreeMap::new();
        for (round, settle) in rounds {
            let (sequence, generation) = (scene.history.sequence(), scene.history.generation());
            round.iter().for_each(|edit| apply(scene.at.path(), edit));
            let after = reading(scene.at.path());
            let (counts, troubles) = scene.scan();
            prop_assert_eq!(troubles, Vec::<String>::new());
            let known = scene.all();
            let present: BTreeMap<String, Reading> = known
                .iter()
                .filter(|(_, known)| known.record.state.is_present())
                .map(|(path, known)| {
                    let Known { record, .. } = known;
                    let (mode, mtime) = (record.attributes.mode, record.mtime);
                    (path.clone(), Reading { state: record.state.clone(), mode, mtime })
                })
                .collect();
            prop_assert_eq!(&present, &after);
            let author = scene.history.author();
            let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            let mut any = false;
            for path in paths {
                let (content, meta) = edits(before.get(path), after.get(path));
                any |= content || meta;
                let (now, then) = (&known[path], known_before.get(path));
                let then = |count: fn(&Known) -> &crate::twoway::version::Version| {
                    then.map_or(0, |then| count(then).count(author))
                };
                let expected = |edited: bool, then: u64| if edited { generation + 1 } else { then };
                let (was_content, was_meta) = (then(|k| &k.record.content), then(|k| &k.record.meta));
                prop_assert_eq!(now.record.content.count(author), expected(content, was_content), "{}", path);
                prop_assert_eq!(now.record.meta.count(author), expected(meta, was_meta), "{}", path);
                let news = before.get(path) != after.get(path);
                prop_assert_eq!(now.sequence > sequence, news, "{}", path);
            }
            prop_assert_eq!(scene.history.generation(), generation + u64::from(any));
            // The root counts for nothing.
            prop_assert_eq!(counts.entries as usize + 1, after.len());
            if settle {
                scene.settle();
                let (again, _) = scene.scan();
                prop_assert!(!again.has_edits() && again.touched == 0);
                let sequence = scene.history.sequence();
                let (again, _) = scene.scan();
                prop_assert_eq!((again.read, scene.history.sequence()), (0, sequence));
            }
            before = after;
            known_before = scene.all();
        }
    }
}
