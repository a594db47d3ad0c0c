//! `demo`: in progress.
use crate::failure::Outcome;
use crate::output::Session;
#[derive(clap::Args)]
pub struct Arguments {}
pub fn run(_: &Session, _: &Arguments) -> Outcome {
    Ok(())
}
