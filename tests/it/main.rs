//! dsync tested from outside: the real binary on real trees, between local paths and over SSH.
//!
//! One binary, folders by subject. [`oracle`] and [`filter_oracle`] ask rsync what is right; [`transfer`], [`faults`]
//! and [`cli_surface`] say in words what must hold; [`shortcuts`] leaves out what only makes a run quicker; [`hostile`]
//! has peers that lie; [`two_way`] has trees that change on both sides; [`layers`] reads the sources. [`support`] is
//! what they share.
//!
//! Environment:
//!
//! * `DSYNC_TEST_BINARY`: the binary to test instead of the one just built. With `rsync` itself here, the suite
//!   checks that it asks for nothing that rsync does not do.
//! * `DSYNC_TEST_REQUIRE_TOOLS`: a program or a right that a test lacks fails it instead of skipping it.
//! * `DSYNC_ORACLE_SEED`, `DSYNC_ORACLE_CASES`: see [`oracle`].
//! * `DSYNC_TWO_WAY_SEED`, `DSYNC_TWO_WAY_CASES`: see [`two_way::random`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking and tells about itself by printing"
)]

mod cli_surface;
mod faults;
mod filter_oracle;
mod hostile;
mod layers;
mod oracle;
mod restricted;
mod shortcuts;
mod support;
mod transfer;
mod two_way;
