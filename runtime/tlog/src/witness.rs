//! A witness's decisions: C2SP tlog-witness v1.0.0 without its HTTP and its disk.
//!
//! ```text
//! request    = "old " ‖ size, decimal ‖ LF                 POST <prefix>/add-checkpoint
//!              base64 of 32 bytes ‖ LF                      from none to 63 lines: the consistency proof from old to the checkpoint
//!              LF
//!              checkpoint                                   a note with a signature of the log
//! answers      200  the witness's cosignature line          it has been persisted that this is the latest checkpoint
//!              400  the request is malformed, or old is larger than the checkpoint
//!              403  no known key of the log signed the checkpoint
//!              404  the witness does not know the origin
//!              409  old is not the size that the witness cosigned last; the body is that size ‖ LF, text/x.tlog.size
//!              422  the proof does not verify; or the sizes are equal and the roots are not
//! GET <prefix>/<hex SHA-256(origin)>/checkpoint             the latest checkpoint that the witness cosigned, for monitors
//! ```
//!
//! A log that a witness has not seen has size 0 there. Whoever serves a [`Witness`] must hold a lock on the origin from reading
//! the latest checkpoint until `persist` is durable, and answer only then: otherwise two requests could interleave,
//! or a crash forget, and the witness would cosign a log that went backwards.
//!
//! Worked example: the witness cosigned size 2, the log has size 3. By the example of [`crate::merkle`] the request is
//!
//! ```text
//! old 2
//! <leaf 2>
//!
//! ledger.example/town
//! 3
//! <root>
//!
//! — ledger.example/town <signature>
//! ```
//!
//! and the answer `— witness.example/w1 <cosignature>`. The same request once more is answered 409 with the body `3`.

use crate::checkpoint::{Checkpoint, parse_decimal, parse_hash};
use crate::cosignature::{Seconds, WitnessKey, cosign};
use crate::merkle::{check_consistency, empty_root};
use crate::note::{self, NOTE_BYTES_MAX, NoteError, Verifier, VerifierKey};
use alloc::{format, string::String, string::ToString, vec::Vec};
use base64::{Engine, engine::general_purpose::STANDARD};
use chancery_types::Hash;
use core::fmt::{self, Display, Write};
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

/// Most lines of a consistency proof.
pub const PROOF_LINES_MAX: usize = 63;
/// Longest request in bytes: a server reads no more.
pub const REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + PROOF_LINES_MAX * 45 + 64;
/// Content type of the body of an answer 409.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// What a log asks of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The size that, as far as the log knows, the witness cosigned last.
    pub old: u64,
    /// The consistency proof from there to the checkpoint.
    pub proof: Vec<Hash>,
    /// The checkpoint's note.
    pub checkpoint: String,
}

/// The request as a body.
impl Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash.0)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl Request {
    /// Reads a request's body.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] with the line that is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what| Refusal::Malformed(what);
        if body.len() > REQUEST_BYTES_MAX {
            return Err(malformed("the request is too long"));
        }
        let text = core::str::from_utf8(body).map_err(|_| malformed("the request is not UTF-8"))?;
        let cut = "the request ends before the empty line";
        let (line, mut rest) = text.split_once('\n').ok_or(malformed(cut))?;
        let old = line.strip_prefix("old ").and_then(parse_decimal);
        let old = old.ok_or(malformed("the first line is not `old ` and a size without leading zeros"))?;
        let mut proof = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(malformed(cut))?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if proof.len() == PROOF_LINES_MAX {
                return Err(malformed("more than 63 proof lines"));
            }
            proof.push(parse_hash(line).ok_or(malformed("a proof line is not base64 of 32 bytes"))?);
        }
        note::split(rest).map_err(|_| malformed("the checkpoint is not a signed note"))?;
        Ok(Request { old, proof, checkpoint: rest.to_string() })
    }

    /// The origin that the checkpoint claims, before anything has been verified: what the witness locks and looks up.
    pub fn origin(&self) -> &str {
        self.checkpoint.split('\n').next().unwrap_or_default()
    }
}

/// Why a witness does not cosign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is not one.
    #[error("{0}")]
    Malformed(&'static str),
    /// The old size is larger than the checkpoint.
    #[error("the old size {old} is larger than the checkpoint's size {size}")]
    OldLarger {
        /// Size in the request.
        old: u64,
        /// Size of the checkpoint.
        size: u64,
    },
    /// The witness does not know the log.
    #[error("this witness does not know the log {0:?}")]
    UnknownOrigin(String),
    /// No known key of the log signed the checkpoint.
    #[error("the checkpoint is not signed by the log: {0}")]
    NotSigned(NoteError),
    /// The witness has cosigned another size.
    #[error("the latest cosigned checkpoint has size {0}")]
    Conflict(u64),
    /// Same size, other root.
    #[error(
        "this witness cosigned size {size} with the root {seen}; the checkpoint has the root {found}: the log has forked"
    )]
    Fork {
        /// The size.
        size: u64,
        /// Root that the witness cosigned.
        seen: Hash,
        /// Root of the checkpoint.
        found: Hash,
    },
    /// The consistency proof does not verify.
    #[error("the proof does not show that the tree of size {size} continues the tree of size {old}")]
    Inconsistent {
        /// Size that the witness cosigned.
        old: u64,
        /// Size of the checkpoint.
        size: u64,
    },
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Malformed(_) | Refusal::OldLarger { .. } => 400,
            Refusal::NotSigned(_) => 403,
            Refusal::UnknownOrigin(_) => 404,
            Refusal::Conflict(_) => 409,
            Refusal::Fork { .. } | Refusal::Inconsistent { .. } => 422,
        }
    }

    /// The answer's body.
    pub fn body(&self) -> String {
        if let Refusal::Conflict(size) = self { format!("{size}\n") } else { format!("{self}\n") }
    }
}

/// What a witness decides when it does not refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The note to keep as the latest of this origin, durably, before the answer is given: the checkpoint with a signature of
    /// each key of the log that verifies, and the cosignature.
    pub persist: String,
    /// The answer's body.
    pub answer: String,
}

/// A witness: its name and key, and the logs it knows.
pub struct Witness {
    name: String,
    key: SigningKey,
    logs: Vec<VerifierKey>,
}

impl Witness {
    /// A witness of these logs. Several keys with one name are several keys of one log.
    pub fn new(name: &str, key: SigningKey, logs: Vec<VerifierKey>) -> Self {
        Witness { name: name.into(), key, logs }
    }

    /// What its cosignatures are verified with.
    pub fn verifier(&self) -> WitnessKey {
        WitnessKey::of(&self.name, &self.key)
    }

    /// Whether it knows the log.
    pub fn knows(&self, origin: &str) -> bool {
        self.logs.iter().any(|log| log.name == origin)
    }

    /// Reads a note that it has kept, as [`Cosigned::persist`] was.
    ///
    /// # Errors
    /// When it is not a checkpoint of this origin that this witness cosigned: the file was changed, and the witness must not go on
    /// with it.
    pub fn reopen(&self, kept: &str, origin: &str) -> Result<Checkpoint, NoteError> {
        let checkpoint = Checkpoint::parse(note::open_with(kept, &[&self.verifier()])?.text)?;
        let other = NoteError::Malformed("the kept checkpoint is of another origin");
        if checkpoint.origin == origin { Ok(checkpoint) } else { Err(other) }
    }

    /// Decides on a request, given the latest checkpoint that it cosigned for [`Request::origin`].
    ///
    /// # Errors
    /// Why it does not cosign.
    pub fn decide(&self, request: &Request, latest: Option<&Checkpoint>, now: Seconds) -> Result<Cosigned, Refusal> {
        let origin = request.origin();
        let keys: Vec<&dyn Verifier> = self.logs.iter().filter(|log| log.name == origin).map(|log| log as _).collect();
        if keys.is_empty() {
            return Err(Refusal::UnknownOrigin(origin.chars().take(100).collect()));
        }
        let opened = note::open_with(&request.checkpoint, &keys).map_err(Refusal::NotSigned)?;
        let checkpoint = Checkpoint::parse(opened.text)
            .map_err(|_| Refusal::Malformed("the checkpoint's text is not origin, size and root"))?;
        check(request, &checkpoint, latest)?;
        let answer = cosign(opened.text, &self.name, &self.key, now);
        let persist = format!("{}\n{}{answer}", opened.text, opened.line_of_each_key());
        Ok(Cosigned { persist, answer })
    }
}

/// Whether the checkpoint continues what was cosigned last.
fn check(request: &Request, new: &Checkpoint, latest: Option<&Checkpoint>) -> Result<(), Refusal> {
    let (old, size) = (request.old, new.size);
    if old > size {
        return Err(Refusal::OldLarger { old, size });
    }
    let seen_size = latest.map_or(0, |latest| latest.size);
    let seen_root = latest.map_or_else(empty_root, |latest| latest.root);
    if old != seen_size {
        return Err(Refusal::Conflict(seen_size));
    }
    if old == size && new.root != seen_root {
        return Err(Refusal::Fork { size, seen: seen_root, found: new.root });
    }
    let consistent = if old == 0 {
        request.proof.is_empty()
    } else {
        check_consistency(old, size, &request.proof, &seen_root, &new.root)
    };
    if consistent { Ok(()) } else { Err(Refusal::Inconsistent { old, size }) }
}

/// The path, below a witness's prefix, of the latest checkpoint that it cosigned for a log.
pub fn monitor_path(origin: &str) -> String {
    format!("{}/checkpoint", origin_digest(origin))
}

/// SHA-256 of an origin in hexadecimal: a name for files and paths that no origin can bend.
pub fn origin_digest(origin: &str) -> String {
    Sha256::digest(origin).iter().fold(String::new(), |mut hex, byte| {
        // Writing into a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The line, with its line feed, by which `witness` cosigned the note's text, out of its answer. Lines of other keys are left
/// out, as a client must, and so are further ones of this key: a witness that fills the note with them would keep out
/// every other.
///
/// # Errors
/// When the answer is no sequence of signature lines, one of the witness's own does not verify, or there is none.
pub fn cosignature(note: &str, answer: &str, witness: &WitnessKey) -> Result<String, NoteError> {
    let (text, _) = note::split(note)?;
    // The document's own way: the answer after the text is a note.
    let joined = format!("{text}\n{answer}");
    if note::split(&joined)?.0 != text {
        return Err(NoteError::Malformed("an empty line in the witness's answer"));
    }
    Ok(note::open_with(&joined, &[witness])?.line_of_each_key())
}

/// The size in the body of an answer 409.
pub fn parse_size(body: &[u8]) -> Option<u64> {
    core::str::from_utf8(body).ok()?.strip_suffix('\n').and_then(parse_decimal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Tree, leaf_hash};
    use crate::policy::Policy;

    const ORIGIN: &str = "ledger.example/town";
    const NOW: Seconds = Seconds(1_700_000_000);

    fn log_key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn witness() -> Witness {
        let log = VerifierKey::of(ORIGIN, &log_key());
        Witness::new("witness.example/w1", SigningKey::from_bytes(&[2; 32]), [log].to_vec())
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::new();
        (0..size).for_each(|index| tree.push(leaf_hash(&index.to_be_bytes())));
        tree
    }

    fn checkpoint(tree: &Tree, size: u64) -> Checkpoint {
        Checkpoint { origin: ORIGIN.into(), size, root: tree.root_at(size).unwrap_or_else(empty_root) }
    }

    fn request(tree: &Tree, old: u64, new: u64) -> Request {
        let proof = tree.prove_consistency(old, new).unwrap_or_default();
        Request { old, proof, checkpoint: checkpoint(tree, new).sign(&log_key()) }
    }

    #[test]
    fn the_worked_example_of_the_header_holds() {
        let (witness, tree) = (witness(), tree(3));
        let request = request(&tree, 2, 3);
        let leaf = STANDARD.encode(leaf_hash(&2u64.to_be_bytes()).0);
        assert!(request.to_string().starts_with(&format!("old 2\n{leaf}\n\n{ORIGIN}\n3\n")));
        assert_eq!(Request::parse(request.to_string().as_bytes()), Ok(request.clone()));
        let cosigned = witness.decide(&request, Some(&checkpoint(&tree, 2)), NOW).unwrap();
        assert!(cosigned.answer.starts_with("\u{2014} witness.example/w1 "));
        let latest = witness.reopen(&cosigned.persist, ORIGIN).unwrap();
        assert_eq!(latest, checkpoint(&tree, 3));
        let again = witness.decide(&request, Some(&latest), NOW).unwrap_err();
        assert_eq!((again.status(), again.body()), (409, "3\n".into()));
        assert_eq!(parse_size(again.body().as_bytes()), Some(3));
    }

    /// Whatever was seen last and whatever is asked, only what continues it is cosigned.
    #[test]
    fn every_continuation_is_cosigned_and_nothing_else() {
        let (witness, tree) = (witness(), tree(20));
        for seen in 0..=20 {
            let latest = (seen > 0).then(|| checkpoint(&tree, seen));
            for old in 0..=20 {
                for new in 0..=20 {
                    let decision = witness.decide(&request(&tree, old, new), latest.as_ref(), NOW);
                    let status = decision.map_or_else(|refusal| refusal.status(), |_| 200);
                    let expected = if old > new {
                        400
                    } else if old != seen {
                        409
                    } else {
                        200
                    };
                    assert_eq!(status, expected, "seen {seen}, old {old}, new {new}");
                }
            }
        }
    }

    #[test]
    fn a_fork_and_a_bent_proof_are_refused() {
        let (witness, honest) = (witness(), tree(8));
        let mut forked = tree(5);
        (5..8).for_each(|index: u64| forked.push(leaf_hash(&(index + 100).to_be_bytes())));
        let seen = checkpoint(&honest, 6);
        let refusal = |request: &Request| witness.decide(request, Some(&seen), NOW).unwrap_err();
        // The same size with another root, and growth from another tree.
        assert!(matches!(refusal(&request(&forked, 6, 6)), Refusal::Fork { size: 6, .. }));
        assert_eq!(refusal(&request(&forked, 6, 8)), Refusal::Inconsistent { old: 6, size: 8 });
        assert_eq!(refusal(&request(&forked, 6, 8)).status(), 422);
        // A log that was rolled back must ask with its smaller size.
        assert_eq!(refusal(&request(&honest, 4, 5)), Refusal::Conflict(6));
        assert_eq!(refusal(&request(&honest, 6, 5)).status(), 400);
        for bend in 0..3 {
            let mut bent = request(&honest, 6, 8);
            match bend {
                0 => bent.proof.clear(),
                1 => bent.proof.push(Hash([0; 32])),
                _ => bent.proof[0].0[0] ^= 1,
            }
            assert_eq!(refusal(&bent).status(), 422);
        }
        let first = Request { proof: [Hash([0; 32])].to_vec(), ..request(&honest, 0, 3) };
        assert_eq!(witness.decide(&first, None, NOW), Err(Refusal::Inconsistent { old: 0, size: 3 }));
        let empty = Checkpoint { origin: ORIGIN.into(), size: 0, root: Hash([1; 32]) }.sign(&log_key());
        let empty = Request { old: 0, proof: Vec::new(), checkpoint: empty };
        assert_eq!(witness.decide(&empty, None, NOW).unwrap_err().status(), 422);
    }

    #[test]
    fn strangers_are_refused() {
        let (witness, tree) = (witness(), tree(3));
        let sign = |origin: &str, seed: u8| {
            let checkpoint = Checkpoint { origin: origin.into(), ..checkpoint(&tree, 3) };
            Request { checkpoint: checkpoint.sign(&SigningKey::from_bytes(&[seed; 32])), ..request(&tree, 0, 3) }
        };
        let status = |request: &Request| witness.decide(request, None, NOW).unwrap_err().status();
        assert_eq!(status(&sign("other.example", 1)), 404);
        assert_eq!(status(&sign(ORIGIN, 3)), 403);
        let mut changed = request(&tree, 0, 3);
        changed.checkpoint = changed.checkpoint.replace("\n3\n", "\n4\n");
        assert_eq!(status(&changed), 403);
        let no_checkpoint = note::sign(&format!("{ORIGIN}\nthree\n"), ORIGIN, &log_key());
        assert_eq!(status(&Request { checkpoint: no_checkpoint, ..request(&tree, 0, 3) }), 400);
    }

    #[test]
    fn each_wrong_line_of_a_request_is_named() {
        let good = request(&tree(3), 2, 3).to_string();
        let line = good.split('\n').nth(1).unwrap();
        for (body, expected) in [
            (good.replace("old 2", "old 02"), "the first line is not `old ` and a size without leading zeros"),
            (good.replace("old 2", "old -2"), "the first line is not `old ` and a size without leading zeros"),
            (good.replace("old 2\n", "old 2\r\n"), "the first line is not `old ` and a size without leading zeros"),
            (good.replace("old 2", "new 2"), "the first line is not `old ` and a size without leading zeros"),
            (good.replace(line, "AAAA"), "a proof line is not base64 of 32 bytes"),
            (good.replace(line, &[line; 64].join("\n")), "more than 63 proof lines"),
            (good[..good.find("\n\n").unwrap() + 1].into(), "the request ends before the empty line"),
            (String::new(), "the request ends before the empty line"),
            (good.trim_end().into(), "the checkpoint is not a signed note"),
            (format!("{good}{}", "x".repeat(REQUEST_BYTES_MAX)), "the request is too long"),
        ] {
            assert_eq!(Request::parse(body.as_bytes()), Err(Refusal::Malformed(expected)), "{body}");
        }
        assert_eq!(Request::parse(b"old \xff"), Err(Refusal::Malformed("the request is not UTF-8")));
    }

    #[test]
    fn a_client_takes_the_line_of_its_witness_alone() {
        let (witness, tree) = (witness(), tree(3));
        let request = request(&tree, 0, 3);
        let cosigned = witness.decide(&request, None, NOW).unwrap();
        let other = SigningKey::from_bytes(&[9; 32]);
        let (text, _) = note::split(&request.checkpoint).unwrap();
        let stranger = cosign(text, "stranger", &other, NOW);
        let key = witness.verifier();
        let take = |answer: &str| cosignature(&request.checkpoint, answer, &key);
        assert_eq!(take(&format!("{stranger}{}", cosigned.answer)), Ok(cosigned.answer.clone()));
        assert!(matches!(take(&stranger), Err(NoteError::NotSigned(_))));
        assert!(matches!(
            take(&cosign("else\n", "witness.example/w1", &SigningKey::from_bytes(&[2; 32]), NOW)),
            Err(NoteError::BadSignature(_))
        ));
        for malformed in ["", "\n", "200\n", &format!("\n{}", cosigned.answer), &format!("x\n\n{}", cosigned.answer)] {
            assert!(matches!(take(malformed), Err(NoteError::Malformed(_))), "{malformed:?}");
        }
        // With the line among its signatures the log's note satisfies whoever asks for this witness.
        let vkeys = (VerifierKey::of(ORIGIN, &log_key()).to_vkey(), key.to_vkey());
        let policy = format!("log {}\nwitness w {}\nquorum w\n", vkeys.0, vkeys.1);
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        assert!(policy.open(&request.checkpoint).is_err());
        assert!(policy.open(&format!("{}{}", request.checkpoint, cosigned.answer)).is_ok());
        assert!(policy.open(&cosigned.persist).is_ok());
    }

    /// Once a witness that answered 64 lines of its own, each good, filled the note: it had more signatures than are read, and no
    /// quorum was reached whoever else had cosigned.
    #[test]
    fn a_witness_that_cosigns_many_times_leaves_room_for_the_others() {
        let (witness, tree) = (witness(), tree(3));
        let checkpoint = request(&tree, 0, 3).checkpoint;
        let (text, _) = note::split(&checkpoint).unwrap();
        let lines = |count| -> String {
            (1..=count).map(|time| cosign(text, &witness.name, &witness.key, Seconds(time))).collect()
        };
        let many = note::SIGNATURES_MAX as u64;
        assert_eq!(cosignature(&checkpoint, &lines(many), &witness.verifier()), Ok(lines(1)));
    }

    /// Anybody can repeat the log's line. Once the witness then kept 65 lines, one more than are read.
    #[test]
    fn a_checkpoint_that_was_signed_many_times_can_be_read_when_it_was_kept() {
        let (witness, tree) = (witness(), tree(3));
        let mut request = request(&tree, 0, 3);
        let line = request.checkpoint.rsplit_once("\n\n").unwrap().1.to_string();
        request.checkpoint += &line.repeat(note::SIGNATURES_MAX - 1);
        let kept = witness.decide(&request, None, NOW).unwrap().persist;
        assert_eq!(witness.reopen(&kept, ORIGIN), Ok(checkpoint(&tree, 3)));
    }

    #[test]
    fn a_kept_checkpoint_that_was_changed_is_not_used() {
        let (witness, tree) = (witness(), tree(3));
        let kept = witness.decide(&request(&tree, 0, 3), None, NOW).unwrap().persist;
        assert!(witness.reopen(&kept, ORIGIN).is_ok());
        assert!(witness.reopen(&kept.replace("\n3\n", "\n2\n"), ORIGIN).is_err());
        assert!(witness.reopen(&kept, "other.example").is_err());
        assert!(witness.reopen("", ORIGIN).is_err());
    }

    #[test]
    fn a_monitors_path_is_the_digest_of_the_origin() {
        // The digest of the first example of FIPS 180.
        assert_eq!(monitor_path("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/checkpoint");
    }
}
