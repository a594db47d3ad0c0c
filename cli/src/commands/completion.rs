//! `completion`: a script that completes commands and flags.

use crate::failure::Outcome;
use clap::CommandFactory;

#[derive(clap::Args)]
pub struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub fn run(arguments: &Arguments) -> Outcome {
    clap_complete::generate(arguments.shell, &mut crate::Cli::command(), "chancery", &mut std::io::stdout());
    Ok(())
}
