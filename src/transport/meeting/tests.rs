use super::*;
use crate::fs::tests::unprivileged::{PLACE, as_nobody};
use crate::testing::{is_root, missing};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

/// A folder to meet in, after one that is not there.
struct Folders {
    paths: Vec<PathBuf>,
    folder: tempfile::TempDir,
}

impl Folders {
    fn new() -> Folders {
        let folder = tempfile::tempdir().unwrap();
        Folders { paths: vec![folder.path().join("none"), folder.path().to_owned()], folder }
    }

    /// What is in it.
    fn names(&self) -> Vec<PathBuf> {
        fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn open(&self) -> Meeting {
        Meeting::open(&self.paths).unwrap()
    }
}

/// A channel: what the process that comes has of it, and the far end.
fn channel() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

fn come(folders: &Folders, token: &[u8; 16], number: u8, end: &UnixStream) -> Result<Stay, Error> {
    attend(&folders.paths, token, number, end.as_fd(), end.as_fd())
}

#[track_caller]
fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (since, thread) = (Instant::now(), thread::spawn(work));
    while !thread.is_finished() {
        assert!(since.elapsed() < Duration::from_secs(20), "it waits for ever");
        thread::sleep(Duration::from_millis(2));
    }
    thread.join().unwrap()
}

#[test]
fn who_came_hands_over_its_channel_and_stays_while_that_is_used() {
    let folders = Folders::new();
    let meeting = folders.open();
    let mut stays = Vec::new();
    let mut far_ends = Vec::new();
    for number in [3, 1, 2] {
        let (near, far) = channel();
        stays.push(come(&folders, &meeting.token(), number, &near).unwrap());
        far_ends.push(far);
    }
    let guests = meeting.door().open();
    assert_eq!(guests.iter().map(|guest| guest.number).collect::<Vec<_>>(), [3, 1, 2]);
    for (guest, mut far) in guests.into_iter().zip(far_ends) {
        let Guest { mut reader, mut writer, .. } = guest;
        let stay = stays.remove(0);
        let waiting = thread::spawn(move || stay.wait());
        far.write_all(b"there").unwrap();
        writer.write_all(b"back").unwrap();
        let mut buffer = [0; 5];
        reader.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"there");
        far.read_exact(&mut buffer[..4]).unwrap();
        assert_eq!(&buffer[..4], b"back");
        drop(writer);
        thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished(), "one end is still in use");
        drop(reader);
        within(move || waiting.join().unwrap());
        assert_eq!(far.read(&mut buffer).unwrap(), 0, "nobody holds the channel any more");
    }
}

#[test]
fn the_place_is_closed_to_others_and_gone_after() {
    let folders = Folders::new();
    let meeting = folders.open();
    let names = folders.names();
    let [place] = &names[..] else { panic!("{names:?}") };
    assert_eq!(fs::metadata(place).unwrap().permissions().mode() & 0o7777, 0o700);
    let (_, name) = place.to_str().unwrap().rsplit_once('-').unwrap();
    let token: String = meeting.token().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!token.contains(name.get(..8).unwrap()), "its name tells the token");
    assert!(meeting.door().open().is_empty());
    assert!(folders.names().is_empty());
    assert!(meeting.door().open().is_empty(), "nobody comes to a place that is gone");

    drop(folders.open());
    assert!(folders.names().is_empty());
    let (one, other) = (folders.open(), folders.open());
    assert!(one.token() != other.token() && folders.names().len() == 2);
}

#[test]
fn without_a_folder_there_is_no_meeting() {
    let folders = Folders::new();
    assert!(
        matches!(Meeting::open(&folders.paths[..1]), Err(Error::Place { folder, .. }) if folder == folders.paths[0])
    );
    assert!(matches!(Meeting::open(&[]), Err(Error::Meeting { .. })));
    let meeting = folders.open();
    let (near, _far) = channel();
    assert!(come(&folders, &[0; 16], 1, &near).is_err(), "nobody knows of such a meeting");
    drop(folders.folder);
    assert!(attend(&folders.paths, &meeting.token(), 1, near.as_fd(), near.as_fd()).is_err());
}

fn say(stream: &UnixStream, words: &[u8], ends: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut brought = SendAncillaryBuffer::new(&mut space);
    assert!(ends.is_empty() || brought.push(SendAncillaryMessage::ScmRights(ends)));
    sendmsg(stream, &[IoSlice::new(words)], &mut brought, SendFlags::empty()).unwrap();
}

/// Whoever finds the socket but was not told the token, or brings something else than a channel, stays outside, and
/// keeps nobody waiting.
#[test]
fn strangers_are_not_let_in() {
    let folders = Folders::new();
    let meeting = folders.open();
    let socket = folders.names()[0].join(SOCKET);
    let come_and_say = |words: &[u8], ends: &[BorrowedFd<'_>]| {
        let stream = UnixStream::connect(&socket).unwrap();
        say(&stream, words, ends);
        stream
    };
    let (near, _far) = channel();
    let (right, end) = ([&meeting.token()[..], &[1]].concat(), near.as_fd());
    let mut wrong = right.clone();
    wrong[15] ^= 1;
    let strangers = [
        UnixStream::connect(&socket).unwrap(),
        come_and_say(&wrong, &[end, end]),
        come_and_say(&right[..16], &[end, end]),
        come_and_say(&right, &[]),
        come_and_say(&right, &[end]),
    ];
    let come = come(&folders, &meeting.token(), 5, &near).unwrap();
    let door = meeting.door();
    let guests = within(move || door.open());
    assert_eq!(guests.iter().map(|guest| guest.number).collect::<Vec<_>>(), [5]);
    for mut stranger in strangers {
        assert!(matches!(within(move || stranger.read(&mut [0])), Ok(0) | Err(_)), "it was kept");
    }
    drop(guests);
    within(move || come.wait());
}

#[test]
fn who_came_leaves_when_the_first_process_is_gone_or_it_is_told_to() {
    let folders = Folders::new();
    let (near, _far) = channel();
    let meeting = folders.open();
    let left = come(&folders, &meeting.token(), 1, &near).unwrap();
    let told = come(&folders, &meeting.token(), 2, &near).unwrap();
    let ending = told.clone();
    let waiting = thread::spawn(move || told.wait());
    thread::sleep(Duration::from_millis(20));
    assert!(!waiting.is_finished());
    ending.end();
    within(move || waiting.join().unwrap());
    drop(meeting);
    within(move || left.wait());
}

/// Not even with the token, and were the directory open.
#[test]
fn other_users_are_turned_away() {
    const NAME: &str = "other_users_are_turned_away";
    if is_root() {
        let folders = Folders::new();
        fs::set_permissions(folders.folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
        let meeting = folders.open();
        let place = folders.names().remove(0);
        let token = meeting.token().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        as_nobody(module_path!(), NAME, &place.join("closed").join(&token));
        for path in [&place, &place.join(SOCKET)] {
            fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
        }
        as_nobody(module_path!(), NAME, &place.join("open").join(&token));
        assert!(meeting.door().open().is_empty());
    } else if let Some(told) = std::env::var_os(PLACE) {
        let told = PathBuf::from(told);
        let (place, is_open) = (told.ancestors().nth(2).unwrap(), told.parent().unwrap().ends_with("open"));
        let connected = UnixStream::connect(place.join(SOCKET));
        assert_eq!(connected.is_ok(), is_open, "{connected:?}");
        if let Ok(stream) = connected {
            assert!(!is_own(&stream), "the visitor takes the place for its own");
            let hex = told.file_name().unwrap().to_str().unwrap();
            let token: Vec<u8> = (0..16)
                .map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2).unwrap(), 16).unwrap())
                .collect();
            let ((near, _far), words) = (channel(), [&token[..], &[1]].concat());
            // Nor would this side hand its channel over to another user's process.
            let (token, folder) = (<[u8; 16]>::try_from(token).unwrap(), place.parent().unwrap().to_owned());
            let attended = attend(&[folder], &token, 1, near.as_fd(), near.as_fd()).map(drop);
            assert!(
                matches!(&attended, Err(Error::Meeting { source, .. })
                    if source.kind() == io::ErrorKind::PermissionDenied),
                "{attended:?}"
            );
            say(&stream, &words, &[near.as_fd(), near.as_fd()]);
        }
    } else {
        missing("root, for a process of another user");
    }
}

#[test]
fn a_process_of_this_user_is_ours() {
    let (here, there) = channel();
    assert!(is_own(&here) && is_own(&there));
}
