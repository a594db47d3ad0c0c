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
    let all = crate::Cli::command();
    // What is hidden is not offered.
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut offered = clap::Command::new("chancery").args(all.get_arguments().cloned()).subcommands(shown);
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut offered, "chancery", &mut script);
    write_out(&script);
    Ok(())
}
