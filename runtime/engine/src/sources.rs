//! What a module was built from, kept beside it: whether a source has changed since is seen without a compiler, and whatever the times of the files are.
//!
//! Of each file of the package that is hashed, `Cargo.toml` and what lies in `src`, without hidden files, there is a line as `b3sum` writes and checks it, in the order of the paths:
//!
//! ```text
//! 6f1ed002ab5595859014ebf0951522d9…  Cargo.toml
//! c4d2b0e8a1f3975c0a2e6d7f8b9c1d0e…  src/lib.rs
//! ```
//!
//! What lies outside of the package, such as the SDK, is not in it: of that, `chancery build --check` says more.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// The lines of the package in a directory, as its files are now.
///
/// # Errors
/// When a file cannot be read; the error names it.
pub fn of(package: &Path) -> io::Result<String> {
    let mut paths = BTreeSet::from(["Cargo.toml".to_string()]);
    let mut directories = Vec::new();
    if package.join("src").is_dir() {
        directories.push("src".to_string());
    }
    while let Some(directory) = directories.pop() {
        let at = package.join(&directory);
        for entry in at.read_dir().map_err(|error| naming(&at, &error))? {
            let entry = entry.map_err(|error| naming(&at, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{directory}/{name}");
            if entry.path().is_dir() {
                directories.push(path);
            } else {
                paths.insert(path);
            }
        }
    }
    let line = |path: String| {
        let file = package.join(&path);
        let bytes = std::fs::read(&file).map_err(|error| naming(&file, &error))?;
        Ok(format!("{}  {path}\n", blake3::hash(&bytes)))
    };
    paths.into_iter().map(line).collect()
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The files whose lines are not in both texts: those that were changed, added or removed.
pub fn changed<'a>(before: &'a str, now: &'a str) -> BTreeSet<&'a str> {
    let lines = |text: &'a str| text.lines().collect::<BTreeSet<_>>();
    let path = |line: &&'a str| line.split_once("  ").map_or(*line, |(_, path)| path);
    lines(before).symmetric_difference(&lines(now)).map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    #[test]
    fn every_file_of_the_package_counts_and_its_time_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        create_dir_all(at("src/rules")).unwrap();
        for (path, text) in [("Cargo.toml", "[package]"), ("src/lib.rs", "mod rules;"), ("src/rules/mod.rs", "")] {
            write(at(path), text).unwrap();
        }
        let before = of(dir.path()).unwrap();
        let paths: Vec<&str> = before.lines().map(|line| line.split_once("  ").unwrap().1).collect();
        assert_eq!(paths, ["Cargo.toml", "src/lib.rs", "src/rules/mod.rs"]);
        assert!(before.starts_with(&format!("{}  Cargo.toml\n", blake3::hash(b"[package]"))), "{before}");

        write(at("src/lib.rs"), "mod rules;").unwrap();
        write(at("src/.lib.rs.swp"), "an editor's").unwrap();
        write(at("README.md"), "no source").unwrap();
        assert_eq!(of(dir.path()).unwrap(), before);

        write(at("src/lib.rs"), "mod rules; mod fees;").unwrap();
        write(at("src/fees.csv"), "1").unwrap();
        std::fs::remove_file(at("src/rules/mod.rs")).unwrap();
        let now = of(dir.path()).unwrap();
        assert_eq!(
            changed(&before, &now).into_iter().collect::<Vec<_>>(),
            ["src/fees.csv", "src/lib.rs", "src/rules/mod.rs"]
        );
        assert!(changed(&now, &now).is_empty());

        std::fs::remove_file(at("Cargo.toml")).unwrap();
        assert!(of(dir.path()).unwrap_err().to_string().contains("Cargo.toml: "));
    }
}
