//! Writes the export of a made-up ledger of real entries, and beside it the files that are handed out: what verifiers that are not ours are
//! tried on. `export DIR FILES [SIZE]`: the export goes to DIR, the files to FILES; 70,000 entries unless said otherwise.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Town, cosigned, write};
use std::path::Path;

/// Calls in a block.
const BLOCK_CALLS: u64 = 99;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, files, rest @ ..] = arguments.as_slice() else { panic!("export DIR FILES [SIZE]") };
    let (directory, files) = (Path::new(directory), Path::new(files));
    let size = rest.first().map_or(70_000, |size| size.parse().unwrap());
    let town = Town::grown(size, BLOCK_CALLS);
    let old = size / 3;
    town.export(directory, old);

    let call = size / 2;
    let key = format!("case/{call}");
    write(files, "call.receipt", town.full_receipt(call).to_text().unwrap());
    write(files, "short.receipt", town.receipt(call).to_text().unwrap());
    write(files, "genesis.receipt", town.receipt(0).to_text().unwrap());
    write(files, "held.state-proof", town.state(key.as_bytes()).to_text().unwrap());
    write(files, "absent.state-proof", town.state(b"case/none").to_text().unwrap());
    write(files, "entry.tlog-proof", town.proof(call).to_string());
    write(files, "grown.consistency-proof", town.consistency(old).to_text());
    write(files, "old.checkpoint", cosigned(&town.checkpoint(old)));
}
