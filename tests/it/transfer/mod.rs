//! What a run does, told in words and tried over every transport in both directions.

mod backups;
mod bases;
mod clones;
mod connection;
mod content;
mod deletion;
mod delta;
mod extended;
mod fingerprints;
mod formats;
mod hard_links;
mod json;
mod kinds;
mod links;
mod merge_files;
mod named;
mod operands;
mod output;
mod owners;
mod relay;
mod remote_names;
mod replicas;
mod selection;
mod staging;
mod streams;
