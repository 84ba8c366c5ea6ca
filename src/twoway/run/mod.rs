//! Carrying out a two-way run.

mod overseer;

pub use self::overseer::{Answer, Asked, Contents, Overseer, Stopped, Which};
