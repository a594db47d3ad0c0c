//! `call`: one call of a method, recorded, or with `--dry-run` not.

use super::deploy::request;
use super::receipt::Wait;
use crate::explain;
use crate::failure::{Failure, Outcome, both};
use crate::fields::{Flag, encode, usage};
use crate::help;
use crate::output::Session;
use crate::town::{
    self, VALID_FOR_SECONDS, actor, call, contract, dry_actor, method, open, open_to_read, public, send,
};
use chancery_types::interface::MethodKind;
use chancery_types::{Action, Timestamp};

const FORM: &str = "chancery call CONTRACT METHOD --as KEY --field value… [--json JSON|@FILE] [--request ID] [--valid-for SECONDS | --valid-until TIME]\n\
    [--dry-run | --wait logged|published|witnessed]\n\
    `chancery inspect CONTRACT` lists the methods; `--help` after the method lists its fields, `chancery help call` explains the options";

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// The contract's name.
    contract: Option<String>,
    /// The method's name.
    method: Option<String>,
    /// Who calls: the name of a key.
    #[arg(long = "as", value_name = "KEY", env = "CHANCERY_AS")]
    actor: Option<String>,
    /// The fields as JSON, or @FILE.
    #[arg(long)]
    json: Option<String>,
    /// Execute and show outcome, events, writes, reasoning and gas without recording anything.
    #[arg(long)]
    dry_run: bool,
    /// Id of the request, hexadecimal; the same again is not done twice [default: a new one].
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Seconds for which the call is valid.
    #[arg(long, value_name = "SECONDS", default_value_t = VALID_FOR_SECONDS, conflicts_with = "valid_until")]
    valid_for: u64,
    /// What to wait for before the call is acknowledged.
    #[arg(long, value_enum, default_value_t = Wait::Logged, conflicts_with = "dry_run")]
    wait: Wait,
    /// Time until which the call is valid, YYYY-MM-DDTHH:MM:SSZ, instead of --valid-for.
    #[arg(long, value_name = "TIME")]
    valid_until: Option<String>,
    /// Show the method's fields.
    #[arg(long)]
    help: bool,
}

pub fn run(session: &Session, arguments: &Arguments, flags: &[Flag]) -> Outcome {
    let (Some(name), Some(method_name)) = (&arguments.contract, &arguments.method) else {
        return match &arguments.contract {
            Some(name) if arguments.help => help::methods(session, name, MethodKind::Call),
            _ => help::form(session, FORM, arguments.help),
        };
    };
    // The help and a dry run record nothing.
    let reads = arguments.help || arguments.dry_run;
    let ledger = if reads { open_to_read(session)? } else { open(session)? };
    let (_, interface) = contract(&ledger, name)?;
    let method = method(&interface, name, method_name, MethodKind::Call)?;
    if arguments.help {
        return help::fields(session, &format!("chancery call {name} {method_name} --as KEY"), &usage("call", method));
    }
    let encoded = encode("call", method, arguments.json.as_deref(), flags)?;
    let name_of_actor = arguments.actor.as_deref();
    // A dry run signs nothing.
    let key = if arguments.dry_run { None } else { Some(actor(session, name_of_actor)?) };
    let actor = key.as_ref().map_or_else(|| dry_actor(session, name_of_actor), |key| Ok(public(key)))?;
    let action = Action::Invoke { contract: name.clone(), method: method.name.clone(), arguments: encoded };
    let mut call = call(&ledger, actor, request(arguments.request.as_deref())?, arguments.valid_for, action);
    if let Some(text) = &arguments.valid_until {
        call.valid_until = Timestamp::parse(text).ok_or_else(|| {
            Failure::usage(format!("--valid-until: expected a time, YYYY-MM-DDTHH:MM:SSZ, found `{text}`"))
        })?;
    }
    let Some(key) = key else {
        let execution = ledger.dry_run(&call)?;
        return explain::show_execution(
            session,
            &interface,
            &method.returns,
            &execution,
            &format!("{name} {}", method.name),
        );
    };
    let answer = send(&ledger, &key, call)?;
    let reached = arguments.wait.reach(&ledger, answer.index);
    town::close(ledger);
    // The call is recorded, whether or not it came as far as was waited for.
    both(explain::show_answer(session, &interface, &method.returns, &answer), reached)
}
