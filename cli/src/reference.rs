//! The reference of all commands, `docs/src/reference/commands.md`, written from the definitions of the command line.
//! The test fails when the page is not current; `CHANCERY_WRITE_REFERENCE=1` makes it write the page.

use clap::{Arg, Command};

const HEAD: &str = "# Commands

Written from the definitions of the command line; `chancery help COMMAND` shows the same.

Results go to standard output, as text or with `--output json` as one JSON value; errors, warnings and progress go to standard error. A command that fails
without a result gives as its JSON value `{\"failure\": {\"code\": 4, \"message\": \"…\"}}`, by the exit code. Help and completion scripts are text.

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a fault of the program or the machine |
| 2 | the command line, a file or a value given is wrong; nothing was recorded |
| 3 | refused: the call was recorded and not done, or rows of a batch were not; a query or a dry run is refused and not recorded |
| 4 | what was named does not exist |
| 5 | the log, a proof or a rebuilt module does not verify |
| 6 | the ledger, or a file that is written, cannot be used now: in use by another process, disk full, of another version; or no toolchain; or the result cannot be written |

## Fields of methods

`call`, `query` and `deploy` take the fields of a contract's method as `--field value`, by the interface description of the module: `--help` after
the method lists them, and the structs and enums that they are made of. A `_` in a field's name is written `-`. `--json '{…}'` or `--json @FILE` (for `deploy`: `--init`) gives them as JSON, alone or together with
flags. A field with the name of one of the command's own flags is given as JSON; the help says of which. A name that stands twice in JSON is an error. A yes/no field without a value means yes.
";

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn doc(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let possible = argument.get_possible_values();
    let names: Vec<&str> = possible.iter().map(|value| value.get_name()).collect();
    let values = if names.is_empty() || !argument.get_action().takes_values() {
        String::new()
    } else {
        format!(" One of {}.", names.join(", "))
    };
    let default: Vec<String> = argument.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
    let default = if default.is_empty() || !argument.get_action().takes_values() {
        String::new()
    } else {
        format!(" Default: `{}`.", default.join(" "))
    };
    let variable =
        argument.get_env().map(|name| format!(" Variable: `{}`.", name.to_string_lossy())).unwrap_or_default();
    // Definitions end without a full stop as help does.
    let stop = if help.ends_with('.') || help.ends_with(']') { "" } else { "." };
    let required = if argument.is_required_set() { " Required." } else { "" };
    cell(&format!("{help}{stop}{required}{values}{default}{variable}"))
}

fn form(argument: &Arg) -> String {
    let value =
        argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    match argument.get_long() {
        None => value,
        Some(long) if argument.get_action().takes_values() => format!("{short}--{long} {value}"),
        Some(long) => format!("{short}--{long}"),
    }
}

fn arguments<'a>(of: impl Iterator<Item = &'a Arg>) -> String {
    let shown =
        of.filter(|argument| !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str()));
    let rows: String = shown.map(|argument| format!("| `{}` | {} |\n", cell(&form(argument)), doc(argument))).collect();
    if rows.is_empty() { String::new() } else { format!("\n| argument | what |\n|---|---|\n{rows}") }
}

fn section(command: &Command, name: &str) -> String {
    let own = command.get_arguments().filter(|argument| !argument.is_global_set());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut out = format!("\n## `{name}`\n\n{about}.\n{}", arguments(own));
    let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help");
    out.extend(inner.map(|inner| section(inner, &format!("{name} {}", inner.get_name()))));
    out
}

/// The page.
fn markdown(command: &Command) -> String {
    let global = command.get_arguments().filter(|argument| argument.is_global_set());
    let mut out = format!("{HEAD}\n## Flags of all commands\n{}", arguments(global));
    let commands = command.get_subcommands().filter(|inner| inner.get_name() != "help");
    out.extend(commands.map(|inner| section(inner, &format!("{} {}", command.get_name(), inner.get_name()))));
    out
}

#[test]
fn the_reference_of_commands_is_current() {
    use clap::CommandFactory;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/reference/commands.md");
    let expected = markdown(&crate::Cli::command());
    if std::env::var_os("CHANCERY_WRITE_REFERENCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not current: run this test with CHANCERY_WRITE_REFERENCE=1 and commit the page",
        path.display()
    );
}
