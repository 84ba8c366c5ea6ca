//! What a run does, told in words and tried over every transport in both directions.

mod clones;
mod connection;
mod content;
mod deletion;
mod delta;
mod fingerprints;
mod kinds;
mod operands;
mod output;
mod owners;
mod remote_names;
mod replicas;
mod selection;
mod staging;
mod streams;
