//! How content travels and how it is written changes nothing about what arrives.

use crate::support::command::{self, Output, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

fn text(len: usize) -> Vec<u8> {
    (0_u64..).flat_map(|number| format!("line {number} of a text\n").into_bytes()).take(len).collect()
}

/// Files of all lengths that make a difference, some of them there in another version.
fn scene() -> Scene {
    let old = [text(900_000), noise(200_000, 1)].concat();
    let new = [text(500_000), noise(300, 2), old[500_000..].to_vec()].concat();
    Scene::with_source(
        &Tree::new()
            .file("small", text(3000))
            .file("empty", "")
            .file("noise.zip", noise(70_000, 3))
            .file("text.zip", text(70_000))
            .file("large", new)
            .file("dir/text", text(1 << 20))
            .mtime("large", 1_650_000_000),
    )
    .tree("to", &Tree::new().file("large", old))
}

#[track_caller]
fn copied(way: Way, options: &[&str]) -> Output {
    let scene = scene();
    let options = [&["-a", "--stats"], options].concat();
    let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
    assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    output
}

#[test]
fn every_sum_finds_what_is_there() {
    for way in Way::all() {
        for sum in ["xxh128", "xxh3", "xxh64", "xxhash", "md5", "sha1", "md5,xxh64", "auto"] {
            let output = copied(way, &["--no-whole-file", &format!("--checksum-choice={sum}")]);
            assert!(output.number("Matched data:") > 1_000_000, "{way:?} {sum}\n{output}");
        }
        let output = copied(way, &["--no-whole-file", "--checksum-choice=none"]);
        assert_eq!(output.number("Matched data:"), 0, "{way:?}\n{output}");
    }
}

#[test]
fn contents_are_compared_by_the_second_sum() {
    for way in Way::all() {
        for sum in ["md5,sha1", "none,xxh3"] {
            let scene = Scene::with_source(&Tree::new().file("a", "one").file("b", "two"))
                .tree("to", &Tree::new().file("a", "one").file("b", "TWO"));
            let options = ["-rci", &format!("--checksum-choice={sum}")];
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert!(!output.out().contains(" a\n") && output.out().contains(" b\n"), "{output}");
            assert_eq!(scene.read("to/b"), b"two");
        }
    }
}

#[test]
fn a_seed_changes_nothing() {
    for way in Way::all() {
        copied(way, &["--no-whole-file", "--checksum-seed=12345"]);
    }
}

/// Where little of it pays, less is tried; without any it is 1,192,132 bytes.
#[test]
fn every_compressor_gives_back_what_it_got() {
    for way in Way::remote() {
        for (options, most) in [
            (&["--zc=zstd"][..], 1_150_000),
            (&["--zc=lz4"], 1_150_000),
            (&["-z", "--compress-threads=2"], 1_150_000),
        ] {
            let output = copied(way, options);
            let bytes = output.number("Total bytes sent:") + output.number("Total bytes received:");
            assert!(bytes < most, "{way:?} {options:?}\n{output}");
        }
        copied(way, &["-z", "--zc=none"]);
    }
}

#[test]
fn what_is_skipped_travels_as_it_is() {
    for way in Way::remote() {
        let tree =
            Tree::new().file("a.txt", text(60_000)).file("b.zip", text(60_000)).file("c.zip", text(1 << 20));
        let sent = |options: &[&str]| {
            let scene = Scene::with_source(&tree);
            let options = [&["-a", "-v"], options].concat();
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            output.number("sent ") + output.number("received ")
        };
        assert!(sent(&["-z"]) > (1 << 20) + 60_000, "{way:?}");
        assert!(sent(&["-z"]) < (1 << 20) + 100_000, "{way:?}");
        assert!(sent(&["-z", "--skip-compress="]) < 400_000, "{way:?}");
        assert!(sent(&["-z", "--skip-compress=gz/[tx]xt"]) < 400_000 + 60_000, "{way:?}");
        assert!(sent(&["--zc=lz4", "--skip-compress=ZIP"]) > (1 << 20) + 60_000, "{way:?}");
    }
}

#[test]
fn what_is_on_the_disk_is_the_same() {
    for way in Way::all() {
        for options in
            [&["--fsync"][..], &["--fsync", "--inplace"], &["--preallocate"], &["--preallocate", "-S"]]
        {
            copied(way, options);
        }
    }
}

/// With each call of one thread that gives a file a name: whether that thread's call before it was fsync.
fn namings(trace: &str) -> Vec<(String, bool)> {
    let mut last = std::collections::HashMap::new();
    let mut namings = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        // The rest of one that was told before.
        if call.starts_with("<...") {
            continue;
        }
        if call.starts_with("rename") || call.starts_with("link") {
            namings.push((call.to_owned(), last.get(thread).copied().unwrap_or(false)));
        }
        last.insert(thread.to_owned(), call.starts_with("fsync"));
    }
    namings
}

#[test]
fn a_file_is_on_the_disk_before_it_has_its_name() {
    if command::is_rsync() {
        return tools::not_for_rsync("how rsync does that is its own affair");
    }
    let Some(strace) = tools::find("strace") else { return };
    for (options, least) in [
        (&["--fsync"][..], 6),
        (&["--fsync", "--no-whole-file"], 6),
        (&["--fsync", "--temp-dir=/dev/shm"], 6),
        (&["--fsync", "--delay-updates"], 12),
        (&["--fsync", "--plain=all"], 6),
    ] {
        let scene = scene();
        let trace = scene.path("trace");
        let words = ["-f", "-e", "trace=fsync,rename,renameat,renameat2,link,linkat", "-o"];
        command::Invocation::new(&strace, words.map(std::ffi::OsString::from))
            .args([trace.clone().into_os_string(), command::binary().into()])
            .args([&["-a"], options].concat())
            .args([scene.path("source/"), scene.path("to")])
            .run()
            .success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        let namings = namings(&fs::read_to_string(trace).unwrap());
        assert!(namings.len() >= least, "{options:?} {namings:?}");
        let unsynced = namings.iter().filter(|(call, synced)| !synced && !call.contains(".~tmp~"));
        // At the end of the run files that are on the disk are only renamed.
        let unsynced = unsynced.count();
        let expected = if options.contains(&"--delay-updates") { least / 2 } else { 0 };
        assert!(unsynced <= expected, "{options:?} {namings:?}");
    }
}

#[test]
fn holes_are_not_read() {
    const LEN: u64 = 200 << 30;
    let scene = Scene::in_memory().tree("source", &Tree::new());
    write_sparse(&scene.path("source/large"), LEN);
    let output = dsync(["-aS"]).args([scene.path("source/"), scene.path("to")]).run().success();
    assert!(output.elapsed < std::time::Duration::from_secs(10), "{output}");
    let (from, to) = (scene.path("source/large"), scene.path("to/large"));
    assert_eq!(fs::metadata(&to).unwrap().len(), LEN);
    assert!(allocated(&to) <= allocated(&from), "{}", allocated(&to));
    let read = |path: &Path| {
        let mut room = vec![0; 10_000];
        File::open(path).unwrap().read_exact_at(&mut room, LEN / 2).unwrap();
        room
    };
    assert_eq!(read(&from), read(&to));
}

#[test]
fn a_run_whose_time_is_over_does_not_begin() {
    let scene = scene();
    for (options, said) in [
        (&["--stop-at=2020-01-01T00:00"][..], "not in the future"),
        (&["--stop-at=whenever"], "no time"),
        (&["--stop-after=0"], "over at once"),
    ] {
        let words = [&["-a"], options].concat();
        let output = dsync(words).args([scene.path("source/"), scene.path("new")]).run().expect(1);
        assert!(output.err().contains(said), "{output}");
        assert!(!scene.path("new").exists());
    }
}

/// A file of `len` bytes with data in few places, and zeros that are written.
fn write_sparse(path: &Path, len: u64) {
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    file.write_all_at(b"beginning", 3).unwrap();
    file.write_all_at(&noise(5000, 1), len / 2 + 77).unwrap();
    file.write_all_at(&[0; 300_000], len / 4).unwrap();
}

fn allocated(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn zeros_take_no_room() {
    const LEN: u64 = 20 << 20;
    for way in Way::all() {
        for options in [
            &["-aS"][..],
            &["-aS", "--inplace"],
            &["-aS", "--no-whole-file"],
            &["-aS", "--preallocate"],
            &["-aS", "--inplace", "--no-whole-file"],
        ] {
            let scene =
                Scene::with_source(&Tree::new().file("small", [vec![1; 5000], vec![0; 80_000]].concat()));
            write_sparse(&scene.path("source/large"), LEN);
            fs::create_dir(scene.path("to")).unwrap();
            for run in 0..2 {
                // The time alone may not tell the second version.
                let options = [options, &["-I"]].concat();
                way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
                assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
                let [small, large] = ["to/small", "to/large"].map(|path| allocated(&scene.path(path)));
                assert!(small <= 16 << 10, "{way:?} {options:?} {run}: {small}");
                assert!(large <= 400 << 10, "{way:?} {options:?} {run}: {large}");
                // Another version, in which there are zeros where data was.
                File::options()
                    .write(true)
                    .open(scene.path("source/large"))
                    .unwrap()
                    .write_all_at(&[0; 5000], LEN / 2 + 77)
                    .unwrap();
            }
        }
    }
}

#[test]
fn zeros_are_punched_out_of_a_file_in_place() {
    const LEN: u64 = 4 << 20;
    for way in Way::all() {
        for whole in ["-W", "--no-W"] {
            let scene = Scene::new()
                .tree("source", &Tree::new())
                .tree("to", &Tree::new().file("large", noise(LEN as usize, 9)));
            write_sparse(&scene.path("source/large"), LEN);
            let before = fs::metadata(scene.path("to/large")).unwrap().ino();
            way.copy(&["-aSI", "--inplace", whole], &[scene.path("source/")], scene.path("to"))
                .run()
                .success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            assert_eq!(fs::metadata(scene.path("to/large")).unwrap().ino(), before);
            assert!(allocated(&scene.path("to/large")) <= 64 << 10, "{way:?} {whole}");
        }
    }
}

#[test]
fn without_the_calls_for_holes_the_content_is_the_same() {
    for options in [&["-aS", "--plain=all"][..], &["-aSI", "--inplace", "--plain=all"]] {
        let scene = Scene::new()
            .tree("source", &Tree::new())
            .tree("to", &Tree::new().file("large", noise(3 << 20, 9)));
        write_sparse(&scene.path("source/large"), 2 << 20);
        dsync(options).args([scene.path("source/"), scene.path("to")]).run().success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}
