//! `build`: a contract to wasm by whichever toolchain is present, stripped, checked, and laid into `dist/`.
//!
//! Two toolchains can do it: rustup's with the target `wasm32-unknown-unknown`, or a distribution's `rustc` with the sources of the standard
//! library and a `wasm-ld`, which builds `core` and `alloc` itself. Profile, stack size and flags are set here, so that a contract's own manifest says
//! nothing about them; the most memory it may say (see `package`). The names of its functions, which a deployed module does not carry, are laid beside it for `chancery profile`, and the hashes of its sources for the testing kit (`chancery_engine::sources`). The stack is at the bottom of the memory: when it overflows, the call traps.

mod package;

use crate::commands::inspect::memory_value;
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::output::{Session, tell};
use chancery_engine::limits::PAGE_BYTES;
use chancery_engine::profile::Names;
use chancery_engine::{AdmissionError, MemoryLimit, sources};
use package::Package;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(clap::Args)]
pub struct Arguments {
    /// The contract's package.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Where the module goes [default: dist in the package].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build every contract of the checkout in the current directory into contracts/dist, and write its manifest.
    #[arg(long)]
    dist: bool,
    /// Compare with what is there instead of writing; by the same toolchain, modules are equal to the byte.
    #[arg(long)]
    check: bool,
}

const TARGET: &str = "wasm32-unknown-unknown";
/// Bytes of a contract's stack: with data and a little heap, a small contract stays within one page of memory.
const STACK_BYTES: u32 = 32 * 1024;
const PROFILE: [&str; 7] = [
    "inherits=\"release\"",
    "opt-level=3",
    "lto=true",
    "codegen-units=1",
    "panic=\"abort\"",
    "strip=\"debuginfo\"",
    "overflow-checks=true",
];

/// A built module.
struct Built {
    name: String,
    wasm: Vec<u8>,
    id: String,
    /// The most memory that it may come to have, or why it is not admitted.
    admission: Result<MemoryLimit, String>,
    names: Names,
    /// What it was built from.
    sources: String,
}

/// What compiles to wasm here.
struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// The linker, where `core` and `alloc` are built from source.
    from_source: Option<PathBuf>,
    version: String,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let toolchain = Toolchain::find()?;
    if arguments.dist {
        return dist(session, &toolchain, arguments.check);
    }
    let built = build(&toolchain, &arguments.path)?;
    let out = arguments.out.clone().unwrap_or_else(|| arguments.path.join("dist"));
    let file = out.join(format!("{}.wasm", built.name));
    // What cannot be deployed does not take the place of what can.
    let memory = built.admission.as_ref().map_err(|problem| {
        Failure::usage(format!("{}: {problem}\n{} is left as it was", built.name, file.display()))
    })?;
    if arguments.check {
        built.compare(&file)?;
    } else {
        built.write(&file)?;
    }
    let value = json!({
        "file": file, "module": built.id, "bytes": built.wasm.len(), "admitted": true,
        "memory": memory_value(memory), "toolchain": toolchain.version,
    });
    session.print(
        || {
            format!(
                "{}\nBLAKE3 {}\n{} bytes\nmemory: {memory}\nadmitted\nby {}",
                file.display(),
                built.id,
                built.wasm.len(),
                toolchain.version
            )
        },
        || value.clone(),
    );
    Ok(())
}

fn first_line(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_string())
}

impl Toolchain {
    fn find() -> Outcome<Toolchain> {
        let path = |name: &str| PathBuf::from(std::env::var_os(name.to_uppercase()).unwrap_or_else(|| name.into()));
        let (cargo, rustc) = (path("cargo"), path("rustc"));
        let library = first_line(&rustc, &["--print", "target-libdir", "--target", TARGET]);
        if library.is_some_and(|library| Path::new(&library).is_dir()) {
            let version = first_line(&rustc, &["--version"]).unwrap_or_default();
            return Ok(Toolchain { cargo, rustc, from_source: None, version });
        }
        for rustc in [rustc, "/usr/bin/rustc".into()] {
            let Some(sysroot) = first_line(&rustc, &["--print", "sysroot"]) else { continue };
            let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/core");
            if let (true, Some(linker)) = (sources.is_dir(), find_linker()) {
                let cargo = rustc.with_file_name("cargo");
                let version = first_line(&rustc, &["--version"]).unwrap_or_default();
                return Ok(Toolchain { cargo, rustc, from_source: Some(linker), version });
            }
        }
        Err(Failure {
            code: crate::failure::Code::Unavailable,
            message: format!(
                "no toolchain for {TARGET} was found: `rustup target add {TARGET}`, or on Debian `apt-get install rustc-web cargo-web rust-web-src lld-22`"
            ),
        })
    }
}

/// The newest `wasm-ld` on the path.
fn find_linker() -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    let mut found: Vec<PathBuf> = std::env::split_paths(&directories)
        .filter_map(|directory| directory.read_dir().ok())
        .flatten()
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("wasm-ld")))
        .collect();
    found.sort();
    found.pop()
}

fn build(toolchain: &Toolchain, directory: &Path) -> Outcome<Built> {
    let package = Package::read(toolchain, directory)?;
    // Before they are compiled: what changes meanwhile makes the module old and not new.
    let sources =
        sources::of(directory).map_err(|error| Failure::usage(format!("cannot read the sources: {error}")))?;
    let remap = format!("--remap-path-prefix={}=/contract", package.workspace.display());
    // Unit separators: paths may have spaces.
    let stack = format!("-Clink-arg=-zstack-size={STACK_BYTES}");
    let memory = format!("-Clink-arg=--max-memory={}", package.memory_pages * PAGE_BYTES);
    let flags = ["-Zlocation-detail=none", &stack, &memory, &remap].join("\u{1f}");
    let mut command = Command::new(&toolchain.cargo);
    command
        .args(["build", "--quiet", "--lib", "--profile", "contract", "--target", TARGET, "--package", &package.name])
        .arg("--target-dir")
        .arg(&package.target)
        .current_dir(directory)
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    for setting in PROFILE {
        command.arg("--config").arg(format!("profile.contract.{setting}"));
    }
    if let Some(linker) = &toolchain.from_source {
        command.arg("-Zbuild-std=core,alloc").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    let status = command.status().map_err(|error| Failure::file("cannot run", &toolchain.cargo, &error))?;
    if !status.success() {
        return Err(Failure::usage(format!("`{}` does not compile (see above)", package.name)));
    }
    let raw = package.target.join(TARGET).join("contract").join(format!("{}.wasm", package.library));
    let raw = std::fs::read(&raw).map_err(|error| Failure::file("cannot read", &raw, &error))?;
    let wasm = chancery_engine::strip(&raw).map_err(Failure::internal)?;
    let id = blake3::hash(&wasm).to_string();
    let name = package.name.strip_prefix("chancery-contract-").unwrap_or(&package.name).to_string();
    let names = Names::of(&raw, &wasm);
    let admission = chancery_engine::admit_new(&wasm);
    let admission = admission.map(|admitted| admitted.memory).map_err(|error| not_admitted(&error, &names));
    Ok(Built { name, wasm, id, admission, names, sources })
}

/// Why a module is not admitted; a function is called by its name.
fn not_admitted(error: &AdmissionError, names: &Names) -> String {
    match error {
        AdmissionError::Body { function, .. } => names
            .get(*function)
            .map_or_else(|| error.to_string(), |name| format!("{error}\nfunction {function} is `{name}`")),
        _ => error.to_string(),
    }
}

fn write(file: &Path, bytes: &[u8]) -> Outcome {
    let written = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| files::replace(file, bytes));
    written.map_err(|error| files::not_written(file, &error))
}

impl Built {
    /// The module's file and what lies beside it. The sources come last: what an interrupted build leaves counts as old.
    fn files(&self, module: &Path) -> [(PathBuf, Vec<u8>); 3] {
        [
            (module.to_path_buf(), self.wasm.clone()),
            (module.with_extension("names"), self.names.to_text().into_bytes()),
            (module.with_extension("sources"), self.sources.clone().into_bytes()),
        ]
    }

    fn write(&self, module: &Path) -> Outcome {
        self.files(module).iter().try_for_each(|(file, bytes)| write(file, bytes))
    }

    /// Compares with the files that are there.
    fn compare(&self, module: &Path) -> Outcome {
        for (file, bytes) in self.files(module) {
            let there = std::fs::read(&file).map_err(|error| Failure::file("cannot read", &file, &error))?;
            if there != bytes {
                let message = format!(
                    "{} differs from what the source builds (module {}): run `chancery build` and commit its files",
                    file.display(),
                    self.id
                );
                return Err(Failure { code: crate::failure::Code::NotVerified, message });
            }
        }
        Ok(())
    }
}

/// All contracts of the checkout.
fn dist(session: &Session, toolchain: &Toolchain, check: bool) -> Outcome {
    let contracts = Path::new("contracts");
    let read = contracts.read_dir().map_err(|error| Failure::file("cannot read", contracts, &error))?;
    // Contracts in other languages are a package too, which is no module itself.
    let is_contract = |path: &PathBuf| {
        std::fs::read_to_string(path.join("Cargo.toml")).is_ok_and(|manifest| manifest.contains("cdylib"))
    };
    let mut packages: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).filter(is_contract).collect();
    packages.sort();
    let manifest_path = contracts.join("dist/MANIFEST");
    let same_toolchain = std::fs::read_to_string(&manifest_path)
        .is_ok_and(|manifest| manifest.lines().next() == Some(&format!("built by {}", toolchain.version)));
    if check && !same_toolchain {
        // Another compiler writes other bytes: that it builds and is admitted is all that can be said.
        tell(format_args!(
            "contracts/dist was built by another toolchain than {}: modules are built and checked, not compared",
            toolchain.version
        ));
    }
    let mut manifest = format!("built by {}\n", toolchain.version);
    for path in packages {
        let built = build(toolchain, &path)?;
        built.admission.as_ref().map_err(|problem| Failure::usage(format!("{}: {problem}", built.name)))?;
        let file = contracts.join("dist").join(format!("{}.wasm", built.name));
        match (check, same_toolchain) {
            (true, true) => built.compare(&file)?,
            (true, false) => {}
            (false, _) => built.write(&file)?,
        }
        manifest.push_str(&format!("{} {} {}.wasm\n", built.id, built.wasm.len(), built.name));
    }
    if !check {
        write(&manifest_path, manifest.as_bytes())?;
    }
    session.print(|| manifest.clone(), || json!({"manifest": manifest, "compared": check && same_toolchain}));
    Ok(())
}
