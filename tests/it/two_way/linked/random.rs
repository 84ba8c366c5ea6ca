//! Names that join and leave files at random, with whatever else happens to them.
//!
//! `DSYNC_TWO_WAY_SEED` and `DSYNC_LINKED_CASES` say where to begin and how many cases to play.

use crate::oracle::{number, random::Random};
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::linked::{groups, join};
use crate::two_way::{COLUMNS, Two};
use std::fmt::Write as _;

const CASES: u64 = 60;
const ROUNDS: usize = 4;
const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "dir/f", "dir/g"];

/// Does something to a name of a side. Returns what it was.
fn edit(two: &Two, side: &str, random: &mut Random) -> String {
    let (name, other) = (*random.pick(&NAMES), *random.pick(&NAMES));
    let [path, from] = [name, other].map(|name| format!("{side}/{name}"));
    let [is_there, has_other] = [&path, &from].map(|path| two.scene.path(path).exists());
    let (content, time) = (random.below(4), 1_700_000_000 + random.below(4) as i64);
    let what = random.below(9);
    match what {
        0 | 1 => {
            two.write(&path, &format!("content {content}"));
            two.touch(&path, time);
        }
        2 => {
            if is_there {
                two.remove(&path);
            }
            two.write(&path, &format!("content {content}"));
            two.touch(&path, time);
        }
        3..=5 if has_other && name != other => join(two, &from, &path),
        6 if is_there => two.chmod(&path, if random.chance(50) { 0o600 } else { 0o640 }),
        7 if is_there => two.remove(&path),
        8 if has_other && !is_there => two.rename(&from, &path),
        _ => return String::new(),
    }
    format!("{what} {path} {other} {content} {time}\n")
}

/// Plays one case; what was done, and what is wrong with what came of it.
fn play(seed: u64) -> Result<(), String> {
    let random = &mut Random::new(seed);
    let mut tree = Tree::new().directory("dir");
    for name in NAMES {
        if random.chance(70) {
            tree = tree.file(name, format!("content {}", random.below(2)));
        }
    }
    let way = if random.chance(10) { *random.pick(&Way::plain()) } else { Way::LOCAL };
    let two = Two::met_in_memory(way, &tree);
    let mut story = format!("seed {seed}\n");
    let of = |side: &str| groups(&two, side, &NAMES);
    for _ in 0..ROUNDS {
        let choices: [&[&str]; 3] = [&["left"], &["right"], &["left", "right"]];
        let sides = *random.pick(&choices);
        for side in sides {
            for _ in 0..1 + random.below(5) {
                story += &edit(&two, side, random);
            }
        }
        let wanted = of(sides[0]);
        if random.chance(15) {
            story += "without -H\n";
            let output = two.sync(&["--conflict=keep-both", "--allow-mass-delete"]);
            if output.code != Some(0) {
                return Err(format!("{story}{output}"));
            }
        }
        let options = ["-Hv", "--conflict=keep-both", "--allow-mass-delete"];
        let output = two.sync(&options);
        let [left, right] = [of("left"), of("right")];
        writeln!(story, "{wanted:?} became {left:?} and {right:?}\n{output}").unwrap();
        let differences = two.snapshot("left").differences(&two.snapshot("right"), COLUMNS);
        if output.code != Some(0) || left != right || !differences.is_empty() {
            return Err(format!("{story}not the same: {differences:?}"));
        }
        if sides.len() == 1 && left != wanted {
            return Err(format!("{story}not as it was made"));
        }
        let again = two.sync(&options);
        if !again.out().contains("in sync") || [of("left"), of("right")] != [left, right] {
            return Err(format!("{story}and again: {again}"));
        }
    }
    Ok(())
}

#[test]
fn both_sides_hold_the_same_links() {
    let first = number("DSYNC_TWO_WAY_SEED").unwrap_or(1);
    let cases = number("DSYNC_LINKED_CASES").unwrap_or(CASES);
    let failures: Vec<String> = (first..first + cases).filter_map(|seed| play(seed).err()).take(3).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
