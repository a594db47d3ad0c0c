//! `chancery`: ledgers, contracts, calls and proofs from the command line.
//!
//! One file per command in `commands`; what they share is beside this file. Results go to standard output, as text or as
//! one JSON value; errors and progress go to standard error, a failure as JSON also to standard output where there is no result;
//! [`failure`] lists the exit codes.

mod commands;
mod explain;
mod failure;
mod fields;
mod files;
mod flame;
mod help;
mod keys;
mod metrics;
mod output;
#[cfg(test)]
mod reference;
mod shapes;
mod stored;
mod strict_json;
mod town;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use commands::Command;
use failure::{Code, Failure, Outcome};
use output::{Session, check_written, fail, finish, print_failure};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A smart-contract runtime for public administration: decisions that anyone can verify.
#[derive(Parser)]
#[command(name = "chancery", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Directory of the ledger.
    #[arg(long, global = true, help_heading = OF_ALL, env = "CHANCERY_DATA", default_value = "./chancery-data", value_name = "DIR")]
    data: PathBuf,
    /// Directory of keys [default: chancery/keys in the user's configuration directory].
    #[arg(long, global = true, help_heading = OF_ALL, env = "CHANCERY_KEYS", value_name = "DIR")]
    keys: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, global = true, help_heading = OF_ALL, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON value.
    Json,
}

/// Heading of the options that every command has.
const OF_ALL: &str = "Options of all commands";

const EXIT_CODES: &str = "Exit codes: 0 done, 1 internal fault, 2 wrong usage or input, 3 refused, 4 not found, \
5 does not verify, 6 unavailable (in use, disk full, other version).";

fn keys_dir() -> PathBuf {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| ".".into())).join(".config");
    config.filter(|path| path.is_absolute()).unwrap_or_else(home).join("chancery/keys")
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1..).is_some_and(|arguments| arguments == [town::COMPILE]) {
        return chancery_engine::compile_child();
    }
    let json = arguments.windows(2).any(|pair| pair == ["--output", "json"])
        || arguments.iter().any(|argument| argument == "--output=json");
    let arguments = match arguments.into_iter().map(OsString::into_string).collect() {
        Ok(arguments) => arguments,
        Err(argument) => {
            let argument = argument.to_string_lossy();
            let failure = Failure::usage(format!("expected arguments in UTF-8, found `{argument}`: write it in UTF-8"));
            return fail(&failure, json);
        }
    };
    let (own, fields) = fields::split(arguments);
    let parsed = Cli::command().try_get_matches_from(own);
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let printed = error.print();
            // Help and version are answers, not errors.
            if !error.use_stderr() {
                check_written(printed);
                return finish().map_or_else(|failure| fail(&failure, false), |()| ExitCode::SUCCESS);
            }
            if json {
                print_failure(&Failure::usage(error.to_string().trim_start_matches("error: ")));
            }
            return ExitCode::from(Code::Usage as u8);
        }
    };
    let session = Session {
        data: cli.data,
        data_given: matches.value_source("data") == Some(ValueSource::CommandLine),
        keys: cli.keys.unwrap_or_else(keys_dir),
        keys_given: matches.value_source("keys") == Some(ValueSource::CommandLine),
        json: cli.output == Format::Json,
        printed: Rc::default(),
    };
    let ended = run(cli.command, &session, &fields);
    // What a command did says more than that it could not be told.
    match ended.and_then(|()| finish()) {
        Ok(()) => ExitCode::SUCCESS,
        // A program is given one value: the result, where there is one.
        Err(failure) => fail(&failure, session.json && !session.printed.get()),
    }
}

fn run(command: Command, session: &Session, fields: &[fields::Flag]) -> Outcome {
    use commands::*;
    match command {
        Command::Init(arguments) => init::run(session, &arguments),
        Command::Key(arguments) => key::run(session, &arguments),
        Command::New(arguments) => new::run(session, &arguments),
        Command::Build(arguments) => build::run(session, &arguments),
        Command::Check(arguments) => check::run(session, &arguments),
        Command::Inspect(arguments) => inspect::run(session, &arguments),
        Command::Deploy(arguments) => deploy::run(session, &arguments, fields),
        Command::Call(arguments) => call::run(session, &arguments, fields),
        Command::Query(arguments) => query::run(session, &arguments, fields),
        Command::Profile(arguments) => profile::run(session, &arguments, fields),
        Command::Batch(arguments) => batch::run(session, &arguments),
        Command::Bench(arguments) => bench::run(session, &arguments),
        Command::State(arguments) => state::run(session, &arguments),
        Command::Receipt(arguments) => receipt::run(session, &arguments),
        Command::Log(arguments) => log::run(session, &arguments),
        Command::Doctor(arguments) => doctor::run(session, &arguments),
        Command::Snapshot(arguments) => snapshot::run(session, &arguments),
        Command::Audit(arguments) => audit::run(session, &arguments),
        Command::Witness(arguments) => witness::run(session, &arguments),
        Command::Demo(arguments) => demo::run(session, &arguments),
        Command::Completion(arguments) => completion::run(&arguments),
    }
}
