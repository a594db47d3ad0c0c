//! Writes the valid examples of each law, and the golden receipts and proofs, as the seeds of the targets:
//! `corpus/<target>/example-<n>`.

#[path = "../../runtime/tlog/tests/laws/mod.rs"]
#[allow(dead_code)]
mod laws;

fn main() -> std::io::Result<()> {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, _) in laws::LAWS {
        let dir = corpus.join(target);
        std::fs::create_dir_all(&dir)?;
        for (number, example) in laws::examples::examples(target).iter().enumerate() {
            std::fs::write(dir.join(format!("example-{number}")), example)?;
        }
    }
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/receipt/tests/golden");
    let proofs = ["held.state-proof", "absent.state-proof", "v1/held.state-proof", "v1/absent.state-proof"];
    let files = ["call.receipt", "together.receipt", "v1/call.receipt", "grown.consistency-proof"];
    for (target, names) in [("receipt", [&files[..], &proofs].concat()), ("state_proof", proofs.to_vec())] {
        std::fs::create_dir_all(corpus.join(target))?;
        for (number, name) in names.iter().enumerate() {
            std::fs::copy(golden.join(name), corpus.join(target).join(format!("example-{number}")))?;
        }
    }
    Ok(())
}
