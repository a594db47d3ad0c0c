//! A contract's package, as cargo and its manifest tell it.
//!
//! A manifest may say how much memory a call may come to have, in pages of 64 KiB. The less it is, the less an access costs:
//!
//! ```toml
//! [package.metadata.chancery]
//! memory-pages = 4
//! ```

use super::Toolchain;
use crate::failure::{Failure, Outcome};
use chancery_engine::limits::MEMORY_PAGES_MAX;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pages of 64 KiB that a contract's memory may have where its manifest does not say: 1 MiB.
const MEMORY_PAGES: u64 = 16;

/// What cargo knows of the package in a directory: its name, the name of its library, the workspace and the target directory.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) library: String,
    pub(super) workspace: PathBuf,
    pub(super) target: PathBuf,
    /// Pages that the memory may have.
    pub(super) memory_pages: u64,
}

impl Package {
    pub(super) fn read(toolchain: &Toolchain, directory: &Path) -> Outcome<Package> {
        let manifest = directory.join("Cargo.toml");
        let manifest = manifest.canonicalize().map_err(|error| Failure::file("cannot read", &manifest, &error))?;
        let output = Command::new(&toolchain.cargo)
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .env("RUSTC", &toolchain.rustc)
            .output()
            .map_err(|error| Failure::file("cannot run", &toolchain.cargo, &error))?;
        if !output.status.success() {
            return Err(Failure::usage(String::from_utf8_lossy(&output.stderr)));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).map_err(Failure::internal)?;
        let here = |package: &&Value| package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        let package = metadata["packages"].as_array().into_iter().flatten().find(here);
        let package = package.ok_or_else(|| Failure::usage(format!("{} is not a package", directory.display())))?;
        let is_cdylib =
            |target: &&Value| target["crate_types"].as_array().is_some_and(|types| types.contains(&json!("cdylib")));
        let library = package["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .find(is_cdylib)
            .and_then(|target| target["name"].as_str());
        let library = library.ok_or_else(|| {
            Failure::usage(format!("{}: expected `[lib] crate-type = [\"cdylib\", \"rlib\"]`", manifest.display()))
        })?;
        let memory_pages = memory_pages(&package["metadata"]["chancery"])
            .map_err(|problem| Failure::usage(format!("{}: {problem}", manifest.display())))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        Ok(Package {
            name: text(&package["name"]),
            library: library.replace('-', "_"),
            workspace: text(&metadata["workspace_root"]).into(),
            target: Path::new(&text(&metadata["target_directory"])).join("contracts"),
            memory_pages,
        })
    }
}

/// The pages that a manifest's table gives, or the usual number where there is no table or it does not say.
fn memory_pages(table: &Value) -> Result<u64, String> {
    let unknown = table.as_object().into_iter().flatten().map(|(key, _)| key).find(|key| *key != "memory-pages");
    if let Some(key) = unknown {
        return Err(format!("[package.metadata.chancery] has no `{key}`: expected memory-pages"));
    }
    match table.get("memory-pages") {
        None => Ok(MEMORY_PAGES),
        Some(value) => value.as_u64().filter(|pages| (1..=MEMORY_PAGES_MAX).contains(pages)).ok_or_else(|| {
            format!(
                "[package.metadata.chancery] memory-pages: expected a number of pages of 64 KiB from 1 to {MEMORY_PAGES_MAX}, found {value}"
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_those_of_the_manifest_or_the_usual_ones() {
        assert_eq!(memory_pages(&Value::Null), Ok(MEMORY_PAGES));
        assert_eq!(memory_pages(&json!({})), Ok(MEMORY_PAGES));
        for pages in [1, 4, 256] {
            assert_eq!(memory_pages(&json!({"memory-pages": pages})), Ok(pages));
        }
    }

    #[test]
    fn other_pages_and_other_keys_are_refused_with_what_was_found() {
        for (table, found) in [
            (json!({"memory-pages": 0}), "from 1 to 256, found 0"),
            (json!({"memory-pages": 257}), "found 257"),
            (json!({"memory-pages": -1}), "found -1"),
            (json!({"memory-pages": 1.5}), "found 1.5"),
            (json!({"memory-pages": "1 MiB"}), "found \"1 MiB\""),
            (json!({"memory_pages": 4}), "has no `memory_pages`: expected memory-pages"),
        ] {
            let problem = memory_pages(&table).unwrap_err();
            assert!(problem.contains(found), "{problem}");
        }
    }
}
