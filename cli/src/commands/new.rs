//! `new`: a contract project from a template, with a test that passes.

use crate::failure::{Failure, Outcome};
use crate::output::Session;
use chancery_types::call::is_contract_name;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// The contract's name: lower-case letters, digits and `-`. The project goes into a directory of this name.
    name: String,
    /// The SDK's directory in a checkout of Chancery [default: that of the checkout this program was built from].
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../template/Cargo.toml.txt")),
    ("README.md", include_str!("../../template/README.md.txt")),
    ("src/lib.rs", include_str!("../../template/src/lib.rs.txt")),
    ("tests/contract.rs", include_str!("../../template/tests/contract.rs.txt")),
];

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let name = &arguments.name;
    if !is_contract_name(name) {
        return Err(Failure::usage(format!(
            "`{name}` cannot name a contract: expected lower-case letters, digits and `-`, a letter first"
        )));
    }
    let sdk = arguments.sdk.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk"));
    let sdk = sdk.canonicalize().ok().filter(|sdk| sdk.join("testing/Cargo.toml").is_file()).ok_or_else(|| {
        Failure::not_found(format!(
            "the SDK is not at {}: name the `sdk` directory of a checkout with --sdk",
            sdk.display()
        ))
    })?;
    let dir = Path::new(name);
    if dir.exists() {
        return Err(Failure::usage(format!(
            "{name} exists already: choose another name, or another directory to work in"
        )));
    }
    let module = name.replace('-', "_");
    let failed = |path: &Path, error: std::io::Error| Failure::file("cannot write", path, &error);
    for (file, text) in FILES {
        let text = text.replace("{name}", name).replace("{module}", &module).replace("{crate_name}", &module);
        let text = text.replace("{sdk}", &sdk.display().to_string());
        let path = dir.join(file);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
        made.map_err(|error| failed(&path, error))?;
    }
    // The versions that the SDK was tested with.
    let lock = sdk.join("../Cargo.lock");
    if lock.is_file() {
        std::fs::copy(&lock, dir.join("Cargo.lock")).map_err(|error| failed(&lock, error))?;
    }
    let files: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
    session.print(
        || format!("{name}: {}\ncd {name}; cargo test; chancery build", files.join(", ")),
        || json!({"name": name, "files": files}),
    );
    Ok(())
}
