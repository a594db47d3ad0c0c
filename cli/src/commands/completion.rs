//! `completion`: a script that completes commands and flags.

use crate::failure::Outcome;
use crate::output::write_out;
use clap::CommandFactory;

#[derive(clap::Args)]
pub struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Cli::command(), "chancery", &mut script);
    write_out(&script);
    Ok(())
}
