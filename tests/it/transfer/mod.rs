//! What a run does, told in words and tried over every transport in both directions.

mod backups;
mod bases;
mod clones;
mod connection;
mod deletion;
mod delta;
mod fingerprints;
mod hard_links;
mod kinds;
mod operands;
mod output;
mod owners;
mod remote_names;
mod replicas;
mod selection;
mod streams;
