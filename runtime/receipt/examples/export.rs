//! Writes the export of a made-up ledger of real entries, and beside it the files that are handed out: what verifiers that are not ours are
//! tried on. `export DIR FILES [SIZE]`: the export goes to DIR, the files to FILES; 70,000 entries unless said otherwise.

#[path = "../tests/common/mod.rs"]
mod common;

use chancery_tlog::note::VerifierKey;
use chancery_tlog::tile::{bundles_for, encode_bundle, tiles_for};
use common::{MODULE, ORIGIN, Town, cosigned, log_key, policy_text};
use std::path::Path;

/// Calls in a block.
const BLOCK_CALLS: u64 = 99;

fn write(directory: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = directory.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, files, rest @ ..] = arguments.as_slice() else { panic!("export DIR FILES [SIZE]") };
    let (directory, files) = (Path::new(directory), Path::new(files));
    let size = rest.first().map_or(70_000, |size| size.parse().unwrap());
    let town = Town::grown(size, BLOCK_CALLS);
    // Two sizes were published: the partial tiles of the older one are still there.
    let old = size / 3;
    for (from, to) in [(0, old), (old, size)] {
        for tile in tiles_for(from, to) {
            let first = tile.index * 256;
            let row = town.log.row(u32::from(tile.level) * 8, first, tile.width.into()).unwrap();
            write(directory, &tile.path(), row.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>());
        }
        for bundle in bundles_for(from, to) {
            let first = bundle.first() as usize;
            let entries = &town.entries[first..first + usize::from(bundle.width)];
            write(directory, &bundle.path(), encode_bundle(entries).unwrap());
        }
    }
    let blob = chancery_types::Hash::of(MODULE).to_string();
    write(directory, &format!("blobs/{}/{blob}", &blob[..2]), MODULE);
    write(directory, "checkpoint", cosigned(&town.checkpoint(size)));
    write(directory, "log.vkey", VerifierKey::of(ORIGIN, &log_key()).to_vkey() + "\n");
    write(directory, "policy", policy_text());

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
