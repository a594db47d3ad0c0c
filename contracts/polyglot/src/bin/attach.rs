//! `attach DESCRIPTION.json MODULE.wasm OUT.wasm`: gives a module its interface description, and prints its BLAKE3, bytes and name, a line of
//! `dist/MANIFEST`; on standard error the most memory that it may have. `attach --header OUT.h` writes the C header.

use anyhow::{Context, Result, bail};
use chancery_types::Hash;
use std::fs;
use std::path::Path;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["--header", out] => fs::write(out, chancery_engine::c_header()).with_context(|| format!("writing {out}")),
        [description, module, out] => {
            let text = fs::read_to_string(description).with_context(|| format!("reading {description}"))?;
            let wasm = fs::read(module).with_context(|| format!("reading {module}"))?;
            let attached = chancery_polyglot::attach(&wasm, &text).with_context(|| (*module).to_string())?;
            let name = Path::new(out).file_name().context("OUT.wasm is a file")?.display();
            eprintln!("{name}: memory: {}", chancery_engine::admit(&attached)?.memory);
            println!("{} {} {name}", Hash::of(&attached), attached.len());
            fs::write(out, attached).with_context(|| format!("writing {out}"))
        }
        _ => bail!("expected DESCRIPTION.json MODULE.wasm OUT.wasm, or --header OUT.h"),
    }
}
