//! `witness key`, `witness serve`: a witness that cosigns what grows and remembers it (C2SP tlog-witness).

use crate::failure::{Code, Failure, Outcome};
use crate::keys::Keys;
use crate::output::{Session, finish};
use chancery_node::witness_server::WitnessServer;
use chancery_tlog::cosignature::WitnessKey;
use chancery_tlog::note::{VerifierKey, is_key_name};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show a witness's vkey, as policies name it.
    Key(Identity),
    /// Cosign the checkpoints of logs, each only where it continues the one before.
    Serve(Serve),
}

#[derive(clap::Args)]
struct Identity {
    /// The key that it cosigns with, made by `chancery key new`. Use it for nothing else.
    #[arg(long, value_name = "NAME")]
    key: String,
    /// The witness's name, a URL without scheme [default: the key's name].
    #[arg(long, value_name = "URL")]
    name: Option<String>,
}

#[derive(clap::Args)]
struct Serve {
    #[command(flatten)]
    identity: Identity,
    /// Address to listen on. Put a proxy with TLS and time limits before it.
    #[arg(long, default_value = "127.0.0.1:7380", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Directory in which it remembers what it cosigned. Never restore it from a copy.
    #[arg(long)]
    dir: PathBuf,
    /// A log's public key, the file log.vkey of its export. More than one may be given.
    #[arg(long = "log", value_name = "FILE", required = true)]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    metrics: crate::metrics::Arguments,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Key(identity) => {
            let public = Keys::new(&session.keys).public(&identity.key)?.key;
            let vkey = WitnessKey { name: name_of(identity)?, key: public }.to_vkey();
            session.print(|| vkey.clone(), || json!({"vkey": vkey}));
            Ok(())
        }
        Command::Serve(serve) => self::serve(session, serve),
    }
}

fn serve(session: &Session, serve: &Serve) -> Outcome {
    let _metrics = serve.metrics.start()?;
    let logs = serve.logs.iter().map(|path| read_vkey(path)).collect::<Outcome<Vec<_>>>()?;
    let key = Keys::new(&session.keys).open(&serve.identity.key)?;
    let origins: Vec<String> = logs.iter().map(|log| log.name.clone()).collect();
    let server = WitnessServer::open(&serve.dir, &name_of(&serve.identity)?, key, logs).map_err(|error| {
        Failure::unfinished(error, &format!("{} cannot be made, in which it remembers", serve.dir.display()))
    })?;
    let cannot = |error: &dyn std::fmt::Display| Failure {
        code: Code::Unavailable,
        message: format!("cannot listen on {}: {error}", serve.listen),
    };
    let listener = tiny_http::Server::http(serve.listen).map_err(|error| cannot(&error))?;
    // Port 0 stands for one that the system chooses.
    let address = listener.server_addr().to_ip().unwrap_or(serve.listen);
    let vkey = server.verifier().to_vkey();
    session.print(
        || format!("cosigning {} at http://{address}\n{vkey}", origins.join(", ")),
        || json!({"url": format!("http://{address}"), "vkey": vkey, "logs": origins}),
    );
    // Whoever started this waits for the address.
    finish()?;
    Arc::new(server).serve(&listener).map_err(|error| cannot(&error))
}

fn name_of(identity: &Identity) -> Outcome<String> {
    let name = identity.name.as_ref().unwrap_or(&identity.key);
    if is_key_name(name) {
        return Ok(name.clone());
    }
    Err(Failure::usage(format!("`{name}` cannot name a witness: expected a URL without scheme, spaces and `+`")))
}

/// The public key in a file `log.vkey`.
fn read_vkey(path: &Path) -> Outcome<VerifierKey> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file("cannot read", path, &error))?;
    VerifierKey::parse(text.trim_end()).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}
