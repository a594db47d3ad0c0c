//! `new`: a contract project from a template, with a test that passes.

use crate::failure::{Failure, Outcome};
use crate::files;
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

/// Names that the project's library and module cannot have: keywords of Rust, which no module can be called, and crates that it stands on.
const TAKEN: [&str; 58] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "chancery-sdk",
    "chancery-testing",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

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
    if TAKEN.contains(&name.as_str()) {
        return Err(Failure::usage(format!(
            "`{name}` cannot name a contract's project: expected a name that is free in Rust, found a keyword or a library; choose a longer one, such as `{name}-contract`"
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
    if dir.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!(
            "{name} exists already: choose another name, or another directory to work in"
        )));
    }
    let module = name.replace('-', "_");
    let failed = |path: &Path, error: std::io::Error| {
        // Half a project would be in the way of the next try; that it may stay is harmless.
        drop(std::fs::remove_dir_all(dir));
        files::not_written(path, &error)
    };
    for (file, text) in FILES {
        let text = text.replace("{name}", name).replace("{module}", &module).replace("{crate_name}", &module);
        let text = text.replace("{sdk}", &sdk.display().to_string());
        let path = dir.join(file);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
        made.map_err(|error| failed(&path, error))?;
    }
    // The versions and the toolchain that the SDK was tested with.
    for file in ["Cargo.lock", "rust-toolchain.toml"] {
        let from = sdk.join("..").join(file);
        if from.is_file() {
            std::fs::copy(&from, dir.join(file)).map_err(|error| failed(&dir.join(file), error))?;
        }
    }
    let files: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
    session.print(
        || format!("{name}: {}\ncd {name}; chancery build; cargo test", files.join(", ")),
        || json!({"name": name, "files": files}),
    );
    Ok(())
}
