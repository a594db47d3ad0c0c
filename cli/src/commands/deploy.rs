//! `deploy`: a module under a name, with its `init`.

use crate::commands::receipt::Wait;
use crate::explain;
use crate::failure::{Failure, Outcome, both};
use crate::fields::{Flag, encode, usage};
use crate::help;
use crate::keys::request_id;
use crate::output::Session;
use crate::town::{self, actor, admit_new, open, read_module};
use chancery_types::RequestId;
use chancery_types::interface::Type;
use serde_json::json;
use std::path::PathBuf;

const FORM: &str = "chancery deploy FILE.wasm --name NAME --as KEY --field value… [--init JSON|@FILE] [--request ID] [--wait logged|published|witnessed]\n\
    `--help` after the file lists the fields of its init, `chancery help deploy` explains the options";

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// The module's file.
    file: Option<PathBuf>,
    /// The contract's name: lower-case letters, digits and `-`.
    #[arg(long)]
    name: Option<String>,
    /// Who deploys: the name of a key.
    #[arg(long = "as", value_name = "KEY", env = "CHANCERY_AS")]
    actor: Option<String>,
    /// The fields of `init` as JSON, or @FILE.
    #[arg(long, value_name = "JSON")]
    init: Option<String>,
    /// Id of the request, hexadecimal; the same again is not done twice [default: a new one].
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// What to wait for before the call is acknowledged.
    #[arg(long, value_enum, default_value_t = Wait::Logged)]
    wait: Wait,
    /// Show the fields of `init`.
    #[arg(long)]
    help: bool,
}

/// The request's id: the given one, or a new one.
pub fn request(given: Option<&str>) -> Outcome<RequestId> {
    match given {
        None => Ok(RequestId(request_id()?)),
        Some(text) => RequestId::parse(text)
            .ok_or_else(|| Failure::usage(format!("--request: expected 1 to 32 hexadecimal digits, found `{text}`"))),
    }
}

pub fn run(session: &Session, arguments: &Arguments, flags: &[Flag]) -> Outcome {
    let Some(file) = &arguments.file else {
        return help::form(session, FORM, arguments.help);
    };
    let wasm = read_module(file)?;
    let interface = admit_new(&wasm)?.interface;
    if arguments.help {
        let init = interface.init().map_or_else(|| "init has no fields".into(), |(_, init)| usage("deploy", init));
        return help::fields(session, "chancery deploy FILE --name NAME --as KEY", &init);
    }
    let name = arguments.name.clone().ok_or_else(|| Failure::usage("say under which name with --name NAME"))?;
    let encoded = match interface.init() {
        Some((_, init)) => encode("deploy", init, arguments.init.as_deref(), flags)?,
        None if flags.is_empty() && arguments.init.is_none() => Vec::new(),
        None => return Err(Failure::usage(format!("`{}` has no init method and takes no fields", interface.name))),
    };
    let key = actor(session, arguments.actor.as_deref())?;
    let ledger = open(session)?;
    let request = request(arguments.request.as_deref())?;
    let (module, answer) = town::deploy(&ledger, &key, &name, &wasm, encoded, request)?;
    let reached = arguments.wait.reach(&ledger, answer.index);
    let outcome = town::outcome(&answer)?;
    let shown = explain::outcome(&interface, &Type::Unit, outcome);
    let record = ledger.contract(&name)?;
    let receipt = ledger.receipt(answer.index, &Default::default(), chancery_node::Level::Published).ok();
    town::close(ledger);
    let contract = record.filter(|_| outcome.is_done()).map(|record| record.id.to_string());
    session.print(
        || {
            let mut text = explain::outcome_lines(&shown, outcome, &answer.trace);
            if let Some(contract) = &contract {
                text.push_str(&format!("contract {name} {contract}\n"));
            }
            text.push_str(&format!("module {module}\nentry {}\nrequest {request}\n", answer.index));
            if let Some(receipt) = &receipt {
                text.push_str(&format!(
                    "receipt: {} hashes up to the checkpoint\n{}",
                    receipt.proof.path.len(),
                    receipt.proof.checkpoint
                ));
            }
            text
        },
        || {
            let mut value = shown.clone();
            value["contract"] = json!(contract);
            value["module"] = json!(module.to_string());
            value["entry"] = json!(answer.index);
            value["request"] = json!(request.to_string());
            value["receipt"] = json!(receipt.as_ref().and_then(|receipt| receipt.to_text().ok()));
            value
        },
    );
    both(explain::refusal(&interface, outcome, &answer.trace), reached)
}
