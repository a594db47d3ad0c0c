//! `query`: a question to a contract; metered, never recorded.

use crate::failure::{Failure, Outcome};
use crate::fields::{Flag, encode, usage};
use crate::keys::Keys;
use crate::output::{Session, lines};
use crate::town::{contract, explain, method, methods, open, refusal};
use chancery_types::PublicKey;
use chancery_types::interface::MethodKind;
use serde_json::json;

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
        let help = "chancery query CONTRACT QUERY --field value… [--json JSON|@FILE] [--as KEY]\n\
            `chancery inspect CONTRACT` lists the queries; `--help` after the query lists its fields, `chancery help query` explains the options";
        if let (Some(name), true) = (&arguments.contract, arguments.help) {
            let (_, interface) = contract(&open(session)?, name)?;
            let help = methods(&interface, name, MethodKind::Query);
            session.print(|| help.clone(), || json!(help));
            return Ok(());
        }
        if arguments.help {
            session.print(|| help.into(), || json!(help));
            return Ok(());
        }
        return Err(Failure::usage(help));
    };
    let ledger = open(session)?;
    let (_, interface) = contract(&ledger, name)?;
    let method = method(&interface, name, query, MethodKind::Query)?;
    if arguments.help {
        session.print(|| format!("chancery query {name} {query}\n{}", usage(method)), || json!(usage(method)));
        return Ok(());
    }
    let encoded = encode(method, arguments.json.as_deref(), flags)?;
    let actor = match &arguments.actor {
        Some(actor) => Keys::new(&session.keys).public(actor)?.key,
        None => PublicKey::default(),
    };
    let execution = ledger.query(name, &method.name, encoded, actor)?;
    let mut shown = explain(&interface, &method.returns, &execution.outcome);
    if execution.outcome.is_done() {
        // A person wants the answer alone.
        let result = shown.get("result").cloned().unwrap_or_default();
        shown["gas"] = execution.gas.0.into();
        session.print(|| lines(&result, 0), || shown.clone());
        return Ok(());
    }
    session.print(|| lines(&shown, 0), || shown.clone());
    refusal(&execution.outcome)
}
