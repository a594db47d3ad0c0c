//! `query`: a question to a contract; metered, never recorded.

use crate::explain;
use crate::failure::Outcome;
use crate::fields::{Flag, encode, usage};
use crate::help;
use crate::output::{Session, lines};
use crate::town::{asker, contract, method, open_to_read};
use chancery_types::interface::MethodKind;

const FORM: &str = "chancery query CONTRACT QUERY --field value… [--json JSON|@FILE] [--as KEY]\n\
    `chancery inspect CONTRACT` lists the queries; `--help` after the query lists its fields, `chancery help query` explains the options";

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// The contract's name.
    contract: Option<String>,
    /// The query's name.
    query: Option<String>,
    /// Who asks: the name of a key [default: nobody].
    #[arg(long = "as", value_name = "KEY", env = "CHANCERY_AS")]
    actor: Option<String>,
    /// The fields as JSON, or @FILE.
    #[arg(long)]
    json: Option<String>,
    /// Show the query's fields.
    #[arg(long)]
    help: bool,
}

pub fn run(session: &Session, arguments: &Arguments, flags: &[Flag]) -> Outcome {
    let (Some(name), Some(query)) = (&arguments.contract, &arguments.query) else {
        return match &arguments.contract {
            Some(name) if arguments.help => help::methods(session, name, MethodKind::Query),
            _ => help::form(session, FORM, arguments.help),
        };
    };
    let ledger = open_to_read(session)?;
    let (_, interface) = contract(&ledger, name)?;
    let method = method(&interface, name, query, MethodKind::Query)?;
    if arguments.help {
        return help::fields(session, &format!("chancery query {name} {query}"), &usage("query", method));
    }
    let encoded = encode("query", method, arguments.json.as_deref(), flags)?;
    let execution = ledger.query(name, &method.name, encoded, asker(session, arguments.actor.as_deref())?)?;
    let outcome = explain::outcome(&interface, &method.returns, &execution.outcome);
    let mut shown = outcome.clone();
    shown["log"] = execution.diagnostics.clone().into();
    if execution.outcome.is_done() {
        // A person wants the answer alone.
        let result = shown.get("result").cloned().unwrap_or_default();
        shown["gas"] = execution.gas.0.into();
        explain::tell_diagnostics(session, &execution.diagnostics);
        session.print(|| lines(&result, 0), || shown.clone());
        return Ok(());
    }
    explain::tell_diagnostics(session, &execution.diagnostics);
    session.print(|| explain::outcome_lines(&outcome, &execution.outcome, &execution.trace), || shown.clone());
    explain::refusal(&interface, &execution.outcome, &execution.trace)
}
