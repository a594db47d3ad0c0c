//! Writes the valid examples of each law as the seeds of its target: `corpus/<target>/example-<n>`.

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
    Ok(())
}
