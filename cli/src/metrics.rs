//! `--metrics FILE`: commands that work for long keep a file of what they are doing, in the text format of Prometheus.

use crate::failure::{Failure, Outcome};
use chancery_node::prometheus::{Kept, Prometheus};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// Keep metrics in this file, in the text format of Prometheus: written every 5 seconds and at the end.
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

impl Arguments {
    /// Begins, before a ledger is opened; ends when what is returned is dropped.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn start(&self) -> Outcome<Option<Kept>> {
        if self.metrics.is_none() {
            return Ok(None);
        }
        let recorder = Prometheus::default();
        recorder.install();
        self.keep(&recorder)
    }

    /// Keeps the file of a recorder that is installed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, recorder: &Prometheus) -> Outcome<Option<Kept>> {
        let keep = |path: &PathBuf| {
            recorder.keep(path).map_err(|error| Failure::file("cannot write metrics to", path, &error))
        };
        self.metrics.as_ref().map(keep).transpose()
    }
}
