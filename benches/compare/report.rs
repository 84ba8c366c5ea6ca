//! A comparison's result, as it is kept in a file and made into the table and the picture.
//!
//! The file holds every single run, so that both can be made again without running anything, and the bounds of the day.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::compare::Row;
use crate::failure::{Doing, Failure};
use crate::machine::Machine;

/// Everything a comparison found. Times are in seconds, in the order of the runs; sizes in bytes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// How it was measured.
    pub(crate) method: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Reads what `write` wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let doing = || format!("Reading {}", path.display());
        let text = fs::read_to_string(path).doing(doing)?;
        serde_json::from_str(&text).doing(doing)
    }

    /// Writes all of it as JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let doing = || format!("Writing {}", path.display());
        let text = serde_json::to_string_pretty(self).doing(doing)?;
        fs::write(path, text + "\n").doing(doing)
    }
}
