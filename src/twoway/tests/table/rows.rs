//! The rows themselves. Where nothing is said of a policy, conflicts are skipped.

use crate::twoway::policy::Policy;
use crate::twoway::tests::table::{L, R, check, row};

#[test]
fn edits_removals_and_touches() {
    check(&[
        row("1 unchanged | unchanged", "f=1 d/ d/g=2", "f=1 d/ d/g=2", "f=1 d/ d/g=2"),
        row("2 the same edit", "f=1", "f=2", "f=2"),
        row("2 both removed", "f=1", "", ""),
        row("2 both retargeted alike", "l>x", "l>y", "l>y"),
        row("2 the same edit, at another time", "f=1", "f=2~5", "f=2~7").gives("f=2~7"),
        row("3 edit | unchanged", "f=1", "f=2~5", "f=1").gives("f=2~5"),
        row("3 new | nothing", "", "f=1 d/ d/g=2", "").gives("f=1 d/ d/g=2"),
        row("3 chmod | unchanged", "f=1", "f=1:600", "f=1").gives("f=1:600"),
        row("3 chmod of a directory | unchanged", "d/", "d/:700", "d/").gives("d/:700"),
        row("3 an older mtime does not undo an edit", "f=1~9", "f=2~3", "f=1~9").gives("f=2~3"),
        row("4 removed | unchanged", "f=1", "", "f=1").gives(""),
        row("4 removed | touched", "f=1", "", "f=1~9").gives(""),
        row("5 touched | unchanged", "f=1~3", "f=1~7", "f=1~3").gives("f=1~7"),
        row("5 touched | touched", "f=1~3", "f=1~7", "f=1~9").gives("f=1~9"),
        row("6 edit | touched later", "f=1", "f=2~5", "f=1~9").gives("f=2~5"),
    ]);
}

#[test]
fn an_edit_outlives_a_removal() {
    check(&[
        row("7 edit | removed", "f=1", "f=2", "").gives("f=2").says("f:kept-from-right"),
        row("7 by newer", "f=1", "f=2", "").by(Policy::Newer).gives("f=2").says("f:kept-from-right"),
        row("7 by the editor", "f=1", "f=2", "").by(Policy::Prefer(L)).gives("f=2").says("f:kept-from-right"),
        row("7 by the remover", "f=1", "f=2", "").by(Policy::Prefer(R)).gives("").says("f:content-by-right"),
        row("7 new, below what the preferred side removed", "d/", "d/ d/f=1", "")
            .by(Policy::Prefer(R))
            .gives("d/ d/f=1")
            .says("d:kept-from-right"),
        row("7 another kind, where the preferred side removed", "f=1", "f>x", "")
            .by(Policy::Prefer(R))
            .gives("f>x")
            .says("f:kept-from-right"),
        row("8 chmod | removed", "f=1", "f=1:600", "").gives("f=1:600").says("f:kept-from-right"),
        row("8 by the remover", "f=1", "f=1:600", "")
            .by(Policy::Prefer(R))
            .gives("")
            .says("f:content-by-right"),
        row("8 chmod of a directory | removed", "d/ d/f=1", "d/:700 d/f=1", "")
            .gives("d/:700")
            .says("d:kept-from-right"),
    ]);
}

#[test]
fn content_and_mode_are_apart() {
    check(&[
        row("9 chmod | edit", "f=1", "f=1:600", "f=2").gives("f=2:600"),
        row("10 chmod | other chmod", "f=1", "f=1:640", "f=1:604").says("f:conflict-of-attributes"),
        row("10 by keep-both", "f=1", "f=1:640", "f=1:604")
            .by(Policy::KeepBoth)
            .gives("f=1:600")
            .says("f:attributes-by-both"),
        row("10 by a side", "f=1", "f=1:640", "f=1:604")
            .by(Policy::Prefer(R))
            .gives("f=1:604")
            .says("f:attributes-by-right"),
        row("10 by newer", "f=1", "f=1:640~5", "f=1:604~3")
            .by(Policy::Newer)
            .gives("f=1:640~5")
            .says("f:attributes-by-left"),
        row("10 of a directory: what is below goes on", "d/ d/f=1", "d/:750 d/f=2", "d/:705 d/f=1")
            .gives_each("d/:750 d/f=2", "d/:705 d/f=2")
            .says("d:conflict-of-attributes"),
    ]);
}

#[test]
fn edits_of_both() {
    check(&[
        row("11 edit | other edit", "f=1", "f=2", "f=3").says("f:conflict-of-content"),
        row("12 new | new, the same", "", "f=1", "f=1"),
        row("12 with another mode", "", "f=1:640", "f=1:604").says("f:conflict-of-attributes"),
        row("13 new | new, different", "", "f=1", "f=2").says("f:conflict-of-content"),
        row("14 new directory | new directory", "", "d/ d/a=1", "d/ d/b=2").gives("d/ d/a=1 d/b=2"),
        row("15 new file | new directory", "", "f=1", "f/ f/g=2").says("f:conflict-of-kinds"),
        row("15 by keep-both", "", "f=1~9", "f/ f/g=2")
            .by(Policy::KeepBoth)
            .gives("f.conflict-01010101=1~9 f/ f/g=2")
            .says("f.conflict-01010101:copy-of-f f:kinds-by-both"),
        row("15 by the file's side", "", "f=1", "f/ f/g=2")
            .by(Policy::Prefer(L))
            .gives("f=1")
            .says("f/g:kinds-by-left f:kinds-by-left"),
        row("19 retargeted | otherwise", "l>x", "l>y", "l>z").says("l:conflict-of-content"),
    ]);
}

#[test]
fn kinds_and_directories() {
    check(&[
        row("16 type change | unchanged", "f=1", "f>x", "f=1").gives("f>x"),
        row("16 directory to file | unchanged", "d/ d/f=1", "d=2", "d/ d/f=1").gives("d=2"),
        row("16 file to directory | unchanged", "d=2", "d/ d/f=1", "d=2").gives("d/ d/f=1"),
        row("17 type change | removed", "f=1", "f>x", "").gives("f>x").says("f:kept-from-right"),
        row("17 directory to file | removed", "d/ d/f=1", "d=2", "").gives("d=2").says("d:kept-from-right"),
        row("18 type change | edit", "f=1", "f>x", "f=2").says("f:conflict-of-kinds"),
        row("18 type change | chmod", "f=1", "f>x", "f=1:600").says("f:conflict-of-kinds"),
        row("18 directory to file | edit inside", "d/ d/f=1", "d=2", "d/ d/f=3").says("d:conflict-of-kinds"),
        row("18 directory to file | new inside", "d/", "d=2", "d/ d/f=3").says("d:conflict-of-kinds"),
        row("18 directory to file | chmod inside", "d/ d/f=1", "d=2", "d/ d/f=1:600")
            .says("d:conflict-of-kinds"),
        row("18 by keep-both", "d/ d/f=1 d/g=1", "d=2", "d/ d/f=3 d/g=1")
            .by(Policy::KeepBoth)
            .gives("d/ d/f=3 d/g=1 d.conflict-02020202=2")
            .says("d.conflict-02020202:copy-of-d d/f:kinds-by-both d/g:kinds-by-both d:kinds-by-both"),
        row(
            "20 directory removed | edit and addition inside",
            "d/ d/f=1 d/g=1 d/h=1",
            "",
            "d/ d/f=2 d/g=1 d/h=1 d/n=3",
        )
        .gives("d/ d/f=2 d/n=3")
        .says("d/f:kept-from-left d:kept-from-left"),
        row("20 deeper", "d/ d/e/ d/e/f=1 d/g/ d/g/f=1", "", "d/ d/e/ d/e/f=2 d/g/ d/g/f=1")
            .gives("d/ d/e/ d/e/f=2")
            .says("d/e/f:kept-from-left d/e:kept-from-left d:kept-from-left"),
        row("21 directory removed | removal-only", "d/ d/f=1 d/g=1", "", "d/ d/f=1").gives(""),
        row("22 removal-only | replaced by a file", "d/ d/f=1 d/g=1", "d/ d/f=1", "d=2").gives("d=2"),
        row("22 removal-only | replaced by a link", "d/ d/f=1", "d/", "d>x").gives("d>x"),
    ]);
}

#[test]
fn what_takes_no_part_stays() {
    check(&[
        row("23 directory removed | ignored things inside", "d/ d/f=1 d/i=2", "", "d/ d/f=1 d/i=2")
            .ignoring("d/i")
            .gives_each("", "d/ d/i=2"),
        row("23 deeper", "d/ d/e/ d/e/i=2 d/f=1", "", "d/ d/e/ d/e/i=2 d/f=1")
            .ignoring("d/e/i")
            .gives_each("", "d/ d/e/ d/e/i=2"),
        row("23 and an edit inside", "d/ d/f=1 d/i=2", "", "d/ d/f=3 d/i=2")
            .ignoring("d/i")
            .gives_each("d/ d/f=3", "d/ d/f=3 d/i=2")
            .says("d/f:kept-from-left d:kept-from-left"),
        row("23a file wants the name", "d/ d/i=2", "d=1", "d/ d/i=2")
            .ignoring("d/i")
            .says("d:conflict-of-occupied"),
        row("23a by a side", "d/ d/i=2", "d=1", "d/ d/i=2")
            .ignoring("d/i")
            .by(Policy::Prefer(L))
            .says("d:conflict-of-occupied"),
        row("23a by keep-both", "d/ d/f=1 d/i=2", "d>x", "d/ d/f=1 d/i=2")
            .ignoring("d/i")
            .by(Policy::KeepBoth)
            .gives_each("d.conflict-3ae7d805>x d/ d/f=1", "d.conflict-3ae7d805>x d/ d/f=1 d/i=2")
            .says("d.conflict-3ae7d805:copy-of-d d/f:occupied-by-both d:occupied-by-both"),
        row("29 newly ignored", "d/ d/f=1", "d/ d/f=2", "d/").ignoring("d/f"),
        row("29 with what is around it", "d/ d/f=1 g=1", "d/ d/f=2 g=2", "d/ d/f=3 g=1")
            .ignoring("d/f")
            .gives_each("d/ d/f=2 g=2", "d/ d/f=3 g=2"),
    ]);
}

#[test]
fn renames_are_made_of_the_rest() {
    check(&[
        row("24 renamed | unchanged", "f=1", "g=1", "f=1").gives("g=1"),
        row("25 renamed | edited", "f=1", "g=1", "f=2").gives("f=2 g=1").says("f:kept-from-left"),
        row("26 renamed | otherwise", "f=1", "g=1", "h=1").gives("g=1 h=1"),
    ]);
}

#[test]
fn what_cannot_be_looked_at_is_left() {
    check(&[
        row("27 unreadable | edit", "f=1 g=1", "f=1? g=2", "f=2 g=1")
            .gives_each("f=1? g=2", "f=2 g=2")
            .says("f:unknown"),
        row("27 unreadable | removed", "f=1", "f=1?", "").says("f:unknown"),
        row("27 unreadable directory | edit below", "d/ d/f=1", "d/? d/f=1", "d/ d/f=2").says("d:unknown"),
        row("27 unreadable below | directory removed", "d/ d/f=1 d/g=1", "d/ d/f=1? d/g=1", "")
            .gives_each("d/ d/f=1?", "")
            .says("d/f:unknown d:unknown"),
        row("27 unreadable below | directory replaced", "d/ d/f=1 d/g=1", "d/ d/f=1? d/g=1", "d=1")
            .says("d:unknown"),
        row(
            "27 unreadable below | directory replaced, with edits, by its side",
            "d/ d/f=1 d/g=1",
            "d/ d/f=1? d/g=2",
            "d=1",
        )
        .by(Policy::Prefer(R))
        .says("d:unknown"),
    ]);
}

#[test]
fn nothing_is_written_through_a_link() {
    check(&[
        row("30 directory to link | edit below", "d/ d/f=1", "d>x", "d/ d/f=2").says("d:conflict-of-kinds"),
        row("30 new link | new directory", "", "d>x", "d/ d/f=2").says("d:conflict-of-kinds"),
        row("30 by the link's side", "d/ d/f=1", "d>x", "d/ d/f=2")
            .by(Policy::Prefer(L))
            .gives("d>x")
            .says("d/f:content-by-left"),
        row("30 by the directory's side", "d/ d/f=1", "d>x", "d/ d/f=2")
            .by(Policy::Prefer(R))
            .gives("d/ d/f=2")
            .says("d/f:kinds-by-right d:kinds-by-right"),
    ]);
}
