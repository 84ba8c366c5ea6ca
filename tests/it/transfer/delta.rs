//! Only what changed travels, and the result is the same however it travelled.

use crate::support::command::Output;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};

const SIZE: usize = 8 << 20;

/// `content` with 37 other bytes in each of `places` spread over it.
fn edited(content: &[u8], places: usize) -> Vec<u8> {
    let mut edited = content.to_vec();
    for place in 0..places {
        let at = content.len() / places * place + 1234;
        edited[at..at + 37].copy_from_slice(&noise(37, place as u64 + 77));
    }
    edited
}

/// What the run says went over the connection, both ways.
fn traffic(output: &Output) -> u64 {
    output.number("sent ") + output.number("received ")
}

/// Updates `old` to `new` with `options` by `way` and gives the output, after having compared the result.
fn update(way: Way, options: &[&str], old: &[u8], new: &[u8]) -> Output {
    let scene = Scene::with_source(&Tree::new().file("file", new).mtime("file", 1_650_000_000))
        .tree("to", &Tree::new().file("file", old));
    let options = [&["-a", "-v", "--stats"], options].concat();
    let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
    assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    output
}

#[test]
fn scattered_edits_cost_little() {
    let old = noise(SIZE, 1);
    let new = edited(&old, 20);
    for way in Way::remote() {
        let output = update(way, &[], &old, &new);
        assert!(traffic(&output) < 40_000, "{way:?}\n{output}");
        assert!(output.number("Literal data:") < 20 * 2 * 256, "{way:?}\n{output}");
        assert_eq!(
            output.number("Literal data:") + output.number("Matched data:"),
            SIZE as u64,
            "{way:?}\n{output}"
        );
    }
}

#[test]
fn edits_in_place_cost_as_little() {
    let old = noise(SIZE, 11);
    let new = edited(&old, 20);
    for way in Way::all() {
        let output = update(way, &["--inplace", "--no-whole-file"], &old, &new);
        assert!(output.number("Literal data:") < 20 * 2 * 256, "{way:?}\n{output}");
    }
}

#[test]
fn an_edit_in_every_long_block() {
    let old = noise(SIZE, 12);
    let new = edited(&old, 3000);
    for way in Way::all() {
        for options in [&["--no-whole-file"][..], &["--no-whole-file", "--inplace"]] {
            let output = update(way, options, &old, &new);
            let literal = output.number("Literal data:") as usize;
            assert!(literal < SIZE / 4 || options.len() == 2, "{way:?}\n{output}");
        }
    }
}

#[test]
fn another_file_of_the_same_name_costs_little_more_than_itself() {
    let (old, new) = (noise(1 << 20, 13), noise(1 << 20, 14));
    for way in Way::remote() {
        let output = update(way, &[], &old, &new);
        assert!(traffic(&output) < (1 << 20) + 60_000, "{way:?}\n{output}");
    }
}

#[test]
fn shifted_content_is_found() {
    let old = noise(SIZE, 2);
    let shifted = [&b"inserted"[..], &old[..SIZE / 2], b"in the middle", &old[SIZE / 2..]].concat();
    let cut = [&old[100_001..SIZE / 2], &old[SIZE / 2 + 5..]].concat();
    let swapped = [&old[SIZE / 2 + 3..], &old[..SIZE / 2 + 3]].concat();
    for way in Way::remote() {
        for new in [&shifted, &cut, &swapped] {
            let output = update(way, &[], &old, new);
            assert!(traffic(&output) < 40_000, "{way:?}\n{output}");
        }
    }
}

#[test]
fn an_append_costs_what_was_appended() {
    let old = noise(SIZE, 3);
    let new = [old.clone(), noise(10_000, 4)].concat();
    for way in Way::remote() {
        let output = update(way, &[], &old, &new);
        assert!(traffic(&output) < 40_000, "{way:?}\n{output}");
    }
}

#[test]
fn a_truncated_file() {
    let old = noise(SIZE, 5);
    for way in Way::all() {
        update(way, &["--no-whole-file"], &old, &old[..SIZE / 3]);
        update(way, &["--no-whole-file"], &old[..100], b"");
        update(way, &["--no-whole-file"], b"", &old[..100]);
    }
}

#[test]
fn repeated_blocks_stay_fast() {
    let zeros = vec![0; SIZE];
    let mut new = zeros.clone();
    new[SIZE / 2] = 1;
    new.extend_from_slice(b"end");
    for way in Way::all() {
        let output = update(way, &["--no-whole-file"], &zeros, &new);
        assert!(output.elapsed.as_secs() < 20, "{way:?}\n{output}");
    }
}

#[test]
fn whole_files_travel_when_asked() {
    let old = noise(1 << 20, 6);
    let new = edited(&old, 3);
    for way in Way::remote() {
        let output = update(way, &["-W"], &old, &new);
        assert_eq!(output.number("Literal data:"), new.len() as u64, "{way:?}\n{output}");
        assert_eq!(output.number("Matched data:"), 0, "{way:?}\n{output}");
    }
}

#[test]
fn between_local_paths_files_are_copied_whole_unless_asked() {
    let old = noise(1 << 20, 7);
    let new = edited(&old, 3);
    let output = update(Way::LOCAL, &[], &old, &new);
    assert_eq!(output.number("Matched data:"), 0, "{output}");
    let output = update(Way::LOCAL, &["--no-whole-file"], &old, &new);
    assert!(output.number("Matched data:") > 900_000, "{output}");
}

#[test]
fn block_sizes_and_sums_change_nothing_in_the_result() {
    let old = noise(300_000, 8);
    let new = edited(&old, 7);
    for way in [Way::LOCAL, Way::remote()[0]] {
        for options in [
            &["-B", "512"][..],
            &["-B", "3001"],
            &["-B", "128K"],
            &["--checksum-choice=md5"],
            &["-z"],
            &["--compress=auto"],
        ] {
            update(way, &[options, &["--no-whole-file"]].concat(), &old, &new);
            update(way, &[options, &["--no-whole-file", "--inplace"]].concat(), &old, &new);
        }
    }
}

#[test]
fn compression_shortens_text() {
    let text: Vec<u8> =
        (0..40_000u32).flat_map(|line| format!("line {line} of a log file\n").into_bytes()).collect();
    for way in Way::remote() {
        let plain = update(way, &["-W"], b"", &text);
        for option in ["-z", "--compress", "--compress=always", "--compress=auto", "--zl=1"] {
            let compressed = update(way, &["-W", option], b"", &text);
            assert!(traffic(&compressed) * 3 < traffic(&plain), "{way:?}\n{compressed}");
            let from = compressed.number("Compressed data: ");
            assert!((text.len() as u64..text.len() as u64 + 1000).contains(&from), "{way:?}\n{compressed}");
            assert!(compressed.number(" bytes to ") * 3 < from, "{way:?}\n{compressed}");
        }
        for options in [&["-W", "-z", "--no-z"][..], &["-W", "-z", "--compress=never"], &["-W", "--zc=none"]]
        {
            let output = update(way, options, b"", &text);
            assert!(traffic(&output) > text.len() as u64 && !output.out().contains("Compressed"), "{output}");
        }
    }
    let local = update(Way::LOCAL, &["-z"], b"", &text);
    assert!(!local.out().contains("Compressed"), "{local}");
}

/// What does not become shorter is sent as it is, but for a try now and then.
#[test]
fn compression_does_not_lengthen_noise() {
    let noise = noise(4 << 20, 12);
    for way in Way::remote() {
        let plain = update(way, &["-W"], b"", &noise);
        for option in ["-z", "--compress=auto"] {
            let compressed = update(way, &["-W", option], b"", &noise);
            assert!(traffic(&compressed) < traffic(&plain) + 1000, "{way:?}\n{compressed}");
            assert!(compressed.number("Compressed data: ") < noise.len() as u64, "{way:?}\n{compressed}");
        }
    }
}

#[test]
fn in_place_keeps_the_inode_and_its_links() {
    let old = noise(1 << 20, 9);
    let longer = [&b"pushed along "[..], &edited(&old, 5)].concat();
    for way in Way::all() {
        for new in [&longer[..], &longer[500_000..], &old[..300_000]] {
            let scene = Scene::with_source(&Tree::new().file("file", new))
                .tree("to", &Tree::new().file("file", &old).mtime("file", 5));
            std::fs::hard_link(scene.path("to/file"), scene.path("other-name")).unwrap();
            let inode = scene.snapshot("to").get("file").unwrap().inode;
            let options = ["-a", "--inplace", "--no-whole-file"];
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            assert_eq!(scene.snapshot("to").get("file").unwrap().inode, inode, "{way:?}");
            assert_eq!(scene.read("other-name"), new, "{way:?}");
        }
    }
}

#[test]
fn a_read_only_file_is_replaced() {
    for way in Way::all() {
        for options in [&["-a"][..], &["-a", "--inplace"]] {
            let scene = Scene::with_source(&Tree::new().file("file", "new").mode("file", 0o444))
                .tree("to", &Tree::new().file("file", "old content").mode("file", 0o444));
            way.copy(options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        }
    }
}

#[test]
fn a_changed_file_leaves_nothing_beside_it() {
    let old = noise(1 << 20, 10);
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("dir/file", edited(&old, 2)).mtime("dir/file", 7))
            .tree("to", &Tree::new().file("dir/file", &old));
        way.copy(&["-a", "--no-whole-file"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["dir", "dir/file"], "{way:?}");
    }
}

#[test]
fn many_changed_files_at_once() {
    // Sums one way and content the other, more of both than any buffer between the ends holds.
    let (mut old, mut new) = (Tree::new(), Tree::new());
    for number in 0..120u32 {
        let content = noise(200_000, u64::from(number) + 100);
        old = old.file(format!("{number}"), &content);
        new = new.file(format!("{number}"), edited(&content, 40)).mtime(format!("{number}"), 1_650_000_000);
    }
    for way in Way::all() {
        for options in [&["-a", "--no-whole-file", "-B", "512"][..], &["-a", "--no-whole-file"]] {
            let scene = Scene::with_source(&new).tree("to", &old);
            way.copy(options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        }
    }
}

#[test]
fn what_was_inserted_in_place_costs_little() {
    let old = noise(SIZE, 21);
    let half = SIZE / 2;
    let inserted = [&old[..half], &noise(30_000, 22), &old[half..]].concat();
    let moved = [&old[..half], &noise(30_000, 22), &old[half..SIZE - 1_000_000]].concat();
    for way in Way::all() {
        for new in [&inserted, &moved] {
            let output = update(way, &["--inplace", "--no-whole-file"], &old, new);
            assert!(output.number("Literal data:") < 50_000, "{way:?}\n{output}");
        }
        // More than is remembered.
        let much = [&old[..half], &noise(2 << 20, 23), &old[half..]].concat();
        update(way, &["--inplace", "--no-whole-file"], &old, &much);
    }
}
