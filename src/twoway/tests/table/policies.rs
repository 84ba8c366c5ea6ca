//! What each policy makes of conflicts, and what it does not touch.

use crate::twoway::policy::Policy;
use crate::twoway::tests::table::{L, R, check, row};

#[test]
fn skip() {
    check(&[
        row("content", "f=1", "f=2~5", "f=3~4").says("f:conflict-of-content"),
        row("the rest goes on", "f=1 g=1", "f=2 g=2", "f=3 g=1")
            .gives_each("f=2 g=2", "f=3 g=2")
            .says("f:conflict-of-content"),
        row("below, too", "d/", "d=1 g=2", "d/ d/f=3 d/h=4")
            .gives_each("d=1 g=2", "d/ d/f=3 d/h=4 g=2")
            .says("d:conflict-of-kinds"),
    ]);
}

#[test]
fn keep_both() {
    check(&[
        row("the newer has the name", "f.txt=1", "f.txt=2~5", "f.txt=3~4")
            .by(Policy::KeepBoth)
            .gives("f.txt=2~5 f.conflict-03030303.txt=3~4")
            .says("f.conflict-03030303.txt:copy-of-f.txt f.txt:content-by-both"),
        row("else the greater", "f=1", "f=2", "f=3")
            .by(Policy::KeepBoth)
            .gives("f=3 f.conflict-02020202=2")
            .says("f.conflict-02020202:copy-of-f f:content-by-both"),
        row(
            "the copy is there already",
            "f=1 f.conflict-02020202=2",
            "f=2 f.conflict-02020202=2",
            "f=3 f.conflict-02020202=2",
        )
        .by(Policy::KeepBoth)
        .gives("f=3 f.conflict-02020202=2")
        .says("f:content-by-both"),
        row("the copy comes by itself", "f=1", "f=2 f.conflict-02020202=2", "f=3")
            .by(Policy::KeepBoth)
            .gives("f=3 f.conflict-02020202=2")
            .says("f:content-by-both"),
        row("the copy's name is taken", "f=1", "f=2", "f=3 f.conflict-02020202=9")
            .by(Policy::KeepBoth)
            .gives_each("f=2 f.conflict-02020202=9", "f=3 f.conflict-02020202=9")
            .says("f:conflict-of-content"),
        row("the copy is just removed", "f=1 f.conflict-02020202=2", "f=2", "f=3 f.conflict-02020202=2")
            .by(Policy::KeepBoth)
            .gives_each("f=2", "f=3")
            .says("f:conflict-of-content"),
        row("the copy's name is ignored", "f=1", "f=2", "f=3")
            .by(Policy::KeepBoth)
            .ignoring("f.conflict-02020202")
            .says("f:conflict-of-content"),
        row("a copy is not copied", "", "f.conflict-01010101=2", "f.conflict-01010101=3")
            .by(Policy::KeepBoth)
            .says("f.conflict-01010101:conflict-of-content"),
        row("special files, too", "", "p|~1", "p=2~2")
            .by(Policy::KeepBoth)
            .gives("p=2~2 p.conflict-e1e0e81d|~1")
            .says("p.conflict-e1e0e81d:copy-of-p p:kinds-by-both"),
    ]);
}

#[test]
fn by_time_and_size() {
    check(&[
        row("newer", "f=1", "f=2~5", "f=3~4").by(Policy::Newer).gives("f=2~5").says("f:content-by-left"),
        row("older", "f=1", "f=2~5", "f=3~4").by(Policy::Older).gives("f=3~4").says("f:content-by-right"),
        row("newer: equal", "f=1", "f=2~5", "f=3~5").by(Policy::Newer).says("f:conflict-of-content"),
        row("older: equal", "f=1", "f=2~5", "f=3~5").by(Policy::Older).says("f:conflict-of-content"),
        row("larger", "f=1", "f=2", "f=3").by(Policy::Larger).gives("f=3").says("f:content-by-right"),
        row("smaller", "f=1", "f=2", "f=3").by(Policy::Smaller).gives("f=2").says("f:content-by-left"),
        row("larger: no files", "l>x", "l>y", "l>zz").by(Policy::Larger).says("l:conflict-of-content"),
        row("larger: a mode has no size", "f=1", "f=1:640", "f=1:604")
            .by(Policy::Larger)
            .says("f:conflict-of-attributes"),
        row("newer decides nothing else", "f=1~5 g=1", "f=2~1 g=1", "f=1~5").by(Policy::Newer).gives("f=2~1"),
    ]);
}

#[test]
fn by_side() {
    for (side, both, said) in [(L, "f=2", "f:content-by-left"), (R, "f=3", "f:content-by-right")] {
        check(&[
            row("content", "f=1", "f=2", "f=3").by(Policy::Prefer(side)).gives(both).says(said),
            row("what is no conflict goes its way", "f=1 g=1 h=1", "f=2 g=1 h=1", "f=1 g=3")
                .by(Policy::Prefer(side))
                .gives("f=2 g=3"),
        ]);
    }
}
