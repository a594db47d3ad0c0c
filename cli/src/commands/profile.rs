//! `profile`: where the gas of a call goes, by function and host function. A dry run: nothing is recorded.

use crate::explain;
use crate::failure::{Failure, Outcome};
use crate::fields::{Flag, encode, usage};
use crate::files;
use crate::flame;
use crate::help;
use crate::output::{Session, escaped, table, tell};
use crate::town::{admit, asker, contract, open_to_read, read_module};
use chancery_engine::profile::{Line, Names};
use chancery_node::profile::{Profiled, RUNS, Subject, profile_module};
use chancery_types::ModuleId;
use chancery_types::interface::{Interface, Method, MethodKind};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What comes first in the table.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Gas of the function itself.
    #[default]
    Gas,
    /// Gas with everything that it called.
    Callees,
    /// Time of the function itself.
    Time,
}

const FORM: &str = "chancery profile CONTRACT|FILE.wasm METHOD --field value… [--json JSON|@FILE] [--as KEY] [--module FILE.wasm] [--init JSON|@FILE]\n\
    [--names FILE] [--by gas|callees|time] [--flame FILE.svg] [--folded FILE]\n\
    `chancery inspect CONTRACT` lists the methods; `--help` after the method lists its fields, `chancery help profile` explains the options";

/// Lines that are shown; the JSON has all.
const SHOWN_MAX: usize = 30;

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// The contract's name; or a module's file, FILE.wasm, on an empty state.
    contract: Option<String>,
    /// The method's name: a call, a query, or of a file its init.
    method: Option<String>,
    /// Who calls: the name of a key [default: nobody].
    #[arg(long = "as", value_name = "KEY", env = "CHANCERY_AS")]
    actor: Option<String>,
    /// The fields as JSON, or @FILE.
    #[arg(long)]
    json: Option<String>,
    /// The fields of `init`, which is done first where a module's file is profiled, as JSON, or @FILE.
    #[arg(long, value_name = "JSON")]
    init: Option<String>,
    /// Profile this module on the contract's state instead of its own.
    #[arg(long, value_name = "FILE.wasm")]
    module: Option<PathBuf>,
    /// Names of the module's functions, as `chancery build` wrote them [default: FILE.names beside FILE.wasm].
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// What comes first in the table.
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Write a flame graph of the gas.
    #[arg(long, value_name = "FILE.svg")]
    flame: Option<PathBuf>,
    /// Write the ways of calling with their gas, one a line, as tools for flame graphs read them.
    #[arg(long, value_name = "FILE")]
    folded: Option<PathBuf>,
    /// Show the method's fields.
    #[arg(long)]
    help: bool,
}

pub fn run(session: &Session, arguments: &Arguments, flags: &[Flag]) -> Outcome {
    let (Some(name), Some(method)) = (&arguments.contract, &arguments.method) else {
        return help::form(session, FORM, arguments.help);
    };
    let file = Path::new(name).extension().is_some_and(|extension| extension == "wasm");
    if file {
        of_file(session, arguments, name, method, flags)
    } else {
        of_contract(session, arguments, name, method, flags)
    }
}

/// A module's file, on an empty state.
fn of_file(session: &Session, arguments: &Arguments, name: &str, method: &str, flags: &[Flag]) -> Outcome {
    if arguments.module.is_some() {
        return Err(Failure::usage("--module takes the place of a deployed contract's module: name the contract"));
    }
    let path = Path::new(name);
    let wasm = read_module(path)?;
    let admitted = admit(&wasm)?;
    let interface = &admitted.interface;
    let method = find(interface, name, method, true)?;
    if arguments.help {
        return help(session, name, method);
    }
    let init = match (interface.init(), arguments.init.as_deref()) {
        (_, None) => None,
        (Some((_, init)), given) => Some(encode("profile", init, given, &[])?),
        (None, Some(_)) => return Err(Failure::usage(format!("`{}` has no init method", interface.name))),
    };
    let names = names(arguments, Some(path), &admitted.id)?;
    let profiled = profile_module(&wasm, init, subject(session, arguments, method, names, flags)?)?;
    show(session, arguments, interface, method, name, &profiled)
}

/// A deployed contract, on its state.
fn of_contract(session: &Session, arguments: &Arguments, name: &str, method: &str, flags: &[Flag]) -> Outcome {
    if arguments.init.is_some() {
        return Err(Failure::usage("--init is for a module's file: the contract's init was done when it was deployed"));
    }
    let ledger = open_to_read(session)?;
    let (record, deployed) = contract(&ledger, name)?;
    let other = arguments.module.as_deref().map(read_module).transpose()?;
    let (id, interface) = match &other {
        None => (record.module, deployed),
        Some(wasm) => admit(wasm).map(|admitted| (admitted.id, admitted.interface))?,
    };
    let method = find(&interface, name, method, false)?;
    if arguments.help {
        return help(session, name, method);
    }
    let names = names(arguments, arguments.module.as_deref(), &id)?;
    let profiled = ledger.profile(name, other.as_deref(), subject(session, arguments, method, names, flags)?)?;
    show(session, arguments, &interface, method, name, &profiled)
}

/// A call or a query; an init only where the state is empty.
fn find<'a>(interface: &'a Interface, contract: &str, name: &str, with_init: bool) -> Outcome<&'a Method> {
    let possible = |method: &Method| with_init || method.kind != MethodKind::Init;
    let found = interface.method(&name.replace('-', "_")).map(|(_, method)| method).filter(|method| possible(method));
    found.ok_or_else(|| {
        let methods = interface.methods.iter().filter(|method| possible(method));
        let known: Vec<&str> = methods.map(|method| method.name.as_str()).collect();
        Failure::usage(format!("`{contract}` has no such method `{name}`: its methods are {}", known.join(", ")))
    })
}

fn help(session: &Session, contract: &str, method: &Method) -> Outcome {
    help::fields(session, &format!("chancery profile {contract} {}", method.name), &usage("profile", method))
}

fn subject(
    session: &Session,
    arguments: &Arguments,
    method: &Method,
    names: Names,
    flags: &[Flag],
) -> Outcome<Subject> {
    let encoded = encode("profile", method, arguments.json.as_deref(), flags)?;
    let actor = asker(session, arguments.actor.as_deref())?;
    Ok(Subject { method: method.name.clone(), arguments: encoded, actor, names })
}

/// The names that are given, or that lie beside the module's file; they must be this module's.
fn names(arguments: &Arguments, module: Option<&Path>, id: &ModuleId) -> Outcome<Names> {
    let beside = module.map(|file| file.with_extension("names")).filter(|file| file.exists());
    let Some(path) = arguments.names.clone().or(beside) else {
        tell(format_args!(
            "functions are shown by their numbers: give their names with --names FILE, which `chancery build` writes beside the module"
        ));
        return Ok(Names::default());
    };
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::file("cannot read", &path, &error))?;
    let usable = Names::parse(&text).and_then(|names| names.are_of(id).map(|()| names));
    usable.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn write(path: Option<&PathBuf>, text: impl FnOnce() -> String) -> Outcome {
    let Some(path) = path else { return Ok(()) };
    files::replace(path, text().as_bytes()).map_err(|error| files::not_written(path, &error))
}

fn show(
    session: &Session,
    arguments: &Arguments,
    interface: &Interface,
    method: &Method,
    contract: &str,
    profiled: &Profiled,
) -> Outcome {
    let Profiled { execution, profile } = profiled;
    let title = format!("{contract} {}: {} gas", method.name, execution.gas);
    write(arguments.flame.as_ref(), || flame::svg(profile, &title))?;
    write(arguments.folded.as_ref(), || profile.folded())?;
    let mut lines = profile.lines();
    match arguments.by {
        By::Gas => {}
        By::Callees => lines.sort_by_key(|line| std::cmp::Reverse(line.gas_with_callees)),
        By::Time => lines.sort_by_key(|line| std::cmp::Reverse(line.time)),
    }
    let outcome = explain::outcome(interface, &method.returns, &execution.outcome);
    let total = execution.gas.0;
    let stopped = profile.stopped_in();
    session.print(
        || {
            let mut text = format!("profile of {contract} {}: nothing was recorded\n", method.name);
            text.push_str(&crate::output::lines(&outcome, 2));
            text.push_str(&format!(
                "  gas: {total}\n  time: {} µs from the entry function on, in the fastest of {RUNS} runs; the hooks make it longer\n\n",
                micros(profile.time().as_nanos())
            ));
            if !stopped.is_empty() {
                text.push_str(&format!("stopped in: {}\n\n", escaped(&stopped.join(", called by "))));
            }
            text.push_str(&lines_table(&lines, total));
            text
        },
        || {
            let mut value = outcome.clone();
            value["gas"] = total.into();
            value["stopped_in"] = json!(stopped);
            value["nanoseconds"] = nanos(profile.time().as_nanos());
            value["profile"] = lines.iter().map(line_value).collect();
            value
        },
    );
    explain::refusal(interface, &execution.outcome, &execution.trace)
}

fn lines_table(lines: &[Line], total: u64) -> String {
    let mut shown = table(&["gas itself", "%", "with callees", "%", "calls", "µs itself", "", "function"]);
    for line in lines.iter().take(SHOWN_MAX) {
        shown.add_row([
            line.gas.to_string(),
            percent(line.gas.0, total),
            line.gas_with_callees.to_string(),
            percent(line.gas_with_callees.0, total),
            line.calls.to_string(),
            micros(line.time.as_nanos()),
            line.frame.kind().into(),
            line.frame.name().into(),
        ]);
    }
    shown.align_right(6);
    let rest = lines.get(SHOWN_MAX..).unwrap_or_default();
    let gas: u64 = rest.iter().map(|line| line.gas.0).sum();
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!("\nand {} more, {gas} gas itself: --output json shows all", rest.len())
    };
    let shown: Vec<String> = shown.to_string().lines().map(|line| line.trim_end().into()).collect();
    format!("{}{rest}\n", shown.join("\n"))
}

fn line_value(line: &Line) -> Value {
    json!({
        "kind": line.frame.kind(), "name": line.frame.name(), "calls": line.calls, "gas": line.gas.0,
        "gas_with_callees": line.gas_with_callees.0, "nanoseconds": nanos(line.time.as_nanos()),
    })
}

fn nanos(nanos: u128) -> Value {
    u64::try_from(nanos).unwrap_or(u64::MAX).into()
}

fn micros(nanos: u128) -> String {
    format!("{}.{:02}", nanos / 1_000, nanos % 1_000 / 10)
}

fn percent(part: u64, total: u64) -> String {
    let permille = u128::from(part) * 1_000 / u128::from(total.max(1));
    format!("{}.{}", permille / 10, permille % 10)
}
