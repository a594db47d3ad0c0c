//! `key new`, `key list`, `key show`.

use crate::failure::Outcome;
use crate::keys::{Keys, Listed, new_passphrase};
use crate::output::{Session, table, tell};
use chancery_types::PublicKey;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make an Ed25519 key.
    New {
        /// Its name.
        name: String,
        /// Protect it by a passphrase.
        #[arg(long)]
        passphrase: bool,
    },
    /// List the keys, and say of a file that cannot be used why not.
    List,
    /// Show the public half of a key.
    Show {
        /// Its name.
        name: String,
    },
}

fn value(key: &Listed) -> Value {
    json!({"name": key.name, "did": key.key.to_did(), "hex": key.key.to_string(), "passphrase": key.sealed})
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let keys = Keys::new(&session.keys);
    let show =
        |key: &Listed| session.print(|| format!("{} {}\nhex {}", key.name, key.key.to_did(), key.key), || value(key));
    match &arguments.command {
        Command::New { name, passphrase: wanted } => {
            let secret = wanted.then(|| new_passphrase(name)).transpose()?;
            let key = keys.create(name, secret.as_ref().map(|secret| secret.as_str()))?;
            show(&Listed { name: name.clone(), key: PublicKey(key.verifying_key().to_bytes()), sealed: *wanted });
        }
        Command::Show { name } => show(&keys.public(name)?),
        Command::List => {
            let all = keys.list()?;
            let text = || {
                let mut table = table(&["name", "did", "passphrase"]);
                for (name, key) in &all {
                    match key {
                        Ok(key) => {
                            table.add_row([name.as_str(), &key.key.to_did(), if key.sealed { "yes" } else { "no" }])
                        }
                        Err(_) => table.add_row([name.as_str(), "cannot be used", "-"]),
                    }
                }
                table.to_string()
            };
            let value = |(name, key): &(String, Outcome<Listed>)| match key {
                Ok(key) => value(key),
                Err(problem) => json!({"name": name, "problem": problem.message}),
            };
            session.print(text, || all.iter().map(value).collect());
            let problems = all.iter().filter_map(|(_, key)| key.as_ref().err());
            problems.for_each(|problem| tell(format_args!("warning: {}", problem.message)));
        }
    }
    Ok(())
}
