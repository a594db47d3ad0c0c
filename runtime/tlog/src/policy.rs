//! Trust policies: C2SP tlog-policy. Which logs and witnesses somebody trusts, and whose cosignatures together are enough.
//!
//! ```text
//! log <vkey, type 0x01> [<url>]
//! witness <name> <vkey, type 0x04> [<url>]
//! group <name> all|any|<k> <name>...
//! quorum <name>|none
//! ```
//!
//! One statement a line, each line ends in a line feed; items are separated by spaces and tabs; empty lines and those whose first item begins with `#` are
//! ignored. Witnesses and groups share their names, each is defined once, before it is used, and is a member of at most one group,
//! once. No public key stands twice among the logs or twice among the witnesses. A group has seen a checkpoint when k of its n
//! members have, 1 ≤ k ≤ n; `any` is k = 1, `all` is k = n. There is exactly one quorum. The document lets any octets stand in
//! names; here the file must be UTF-8, as the document recommends.
//!
//! A checkpoint is accepted when one of the logs signed it, under its origin, and the quorum has cosigned it: see [`Policy::open`].
//!
//! Worked example: of three witnesses two must have cosigned, and of two agencies one.
//!
//! ```text
//! log ledger.example/town+0df2a3b4+ATq…
//!
//! witness X1 x1.example+…
//! witness X2 x2.example+…
//! witness X3 x3.example+…
//! group X 2 X1 X2 X3
//!
//! witness Y1 y1.example+…
//! witness Y2 y2.example+…
//! group Y any Y1 Y2
//!
//! group X-and-Y all X Y
//! quorum X-and-Y
//! ```
//!
//! X1, X3 and Y2 are a quorum; X1, X2 and X3 are not, nor are X1, Y1 and Y2.

mod parse;

pub use parse::{LineFault, POLICY_BYTES_MAX, PolicyError, STATEMENTS_MAX};

use crate::checkpoint::Checkpoint;
use crate::cosignature::{self, Seconds, WitnessKey};
use crate::note::{self, NoteError, Verifier, VerifierKey};
use alloc::{format, string::String, string::ToString, vec, vec::Vec};
use core::fmt::{self, Display};

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// A log that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its key, named like its origin.
    pub key: VerifierKey,
    /// Where it is, if the policy says so.
    pub url: Option<String>,
}

/// A witness that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its name in the policy.
    pub name: String,
    /// Its key.
    pub key: WitnessKey,
    /// Its submission prefix, if the policy says so.
    pub url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    /// How many members are enough.
    threshold: usize,
    members: Vec<Member>,
}

/// A witness or a group, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// Why a policy does not accept a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The note does not open or is no checkpoint.
    #[error("{0}")]
    Note(NoteError),
    /// None of the policy's logs signed it.
    #[error("the checkpoint of {origin} is not signed by a log of the policy, which knows {logs}")]
    NoLog {
        /// The checkpoint's origin.
        origin: String,
        /// Names and ids of the keys of the policy's logs, with commas.
        logs: String,
    },
    /// A log of the policy signed it, but under another origin.
    #[error("the checkpoint is of {origin}, but the log that signed it is {log}")]
    Origin {
        /// The checkpoint's origin.
        origin: String,
        /// The name of the log's key.
        log: String,
    },
    /// Too few witnesses.
    #[error("the quorum {quorum} is not reached: cosigned by {}", if cosigners.is_empty() { "no witness of the policy" } else { cosigners.as_str() })]
    NoQuorum {
        /// The name in the quorum line.
        quorum: String,
        /// Who has cosigned, by name, with commas.
        cosigners: String,
    },
}

/// A checkpoint that a policy accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The key of the log that signed it.
    pub log: VerifierKey,
    /// Which of [`Policy::witnesses`] cosigned it, each once, and the latest time that it said.
    pub cosigners: Vec<(usize, Seconds)>,
}

impl Policy {
    /// A policy of one log and no witnesses, whose checkpoints need no cosignature.
    pub fn of_log(key: VerifierKey) -> Self {
        Policy { logs: vec![Log { key, url: None }], witnesses: Vec::new(), groups: Vec::new(), quorum: None }
    }

    /// The logs, in the order of the file.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The witnesses, in the order of the file.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Whether these witnesses, by their numbers in [`Policy::witnesses`], are a quorum together.
    pub fn is_quorum(&self, cosigners: &[usize]) -> bool {
        let witnessed = |member: &Member, groups: &[bool]| match member {
            Member::Witness(number) => cosigners.contains(number),
            Member::Group(number) => groups.get(*number) == Some(&true),
        };
        // A group's members are defined before it: one pass settles all.
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let count = group.members.iter().filter(|member| witnessed(member, &groups)).count();
            groups.push(count >= group.threshold);
        }
        self.quorum.as_ref().is_none_or(|member| witnessed(member, &groups))
    }

    /// Opens a checkpoint that this policy accepts: signed by one of its logs, under that log's origin, and cosigned by the
    /// quorum.
    ///
    /// # Errors
    /// Which of these fails.
    pub fn open(&self, note: &str) -> Result<Accepted, NotAccepted> {
        let accepted = self.open_without_quorum(note)?;
        let cosigners: Vec<usize> = accepted.cosigners.iter().map(|(number, _)| *number).collect();
        if self.is_quorum(&cosigners) {
            return Ok(accepted);
        }
        let quorum = self.quorum.map_or("none", |member| self.name_of(member)).to_string();
        let names: Vec<&str> =
            cosigners.iter().filter_map(|number| Some(self.witnesses.get(*number)?.name.as_str())).collect();
        Err(NotAccepted::NoQuorum { quorum, cosigners: names.join(", ") })
    }

    /// Opens a checkpoint that one of this policy's logs signed, whoever has cosigned it: for the log itself, which has yet to
    /// collect cosignatures.
    ///
    /// # Errors
    /// When no log of the policy signed it under its origin, or a log's or a witness's signature is wrong.
    pub fn open_without_quorum(&self, note: &str) -> Result<Accepted, NotAccepted> {
        let logs = self.logs.iter().map(|log| &log.key as &dyn Verifier);
        let known: Vec<&dyn Verifier> = logs.chain(self.witnesses.iter().map(|witness| &witness.key as _)).collect();
        let opened = note::open_with(note, &known).map_err(|error| match error {
            NoteError::NotSigned(_) => self.no_log(note.lines().next().unwrap_or_default()),
            error => NotAccepted::Note(error),
        })?;
        let checkpoint = Checkpoint::parse(opened.text).map_err(NotAccepted::Note)?;
        let mut signers = opened.signatures.iter().filter_map(|signature| self.logs.get(signature.key));
        let Some(log) = signers.clone().find(|log| log.key.name == checkpoint.origin).map(|log| log.key.clone()) else {
            return Err(match signers.next() {
                Some(log) => NotAccepted::Origin { origin: checkpoint.origin, log: log.key.name.clone() },
                None => self.no_log(&checkpoint.origin),
            });
        };
        let mut cosigners: Vec<(usize, Seconds)> = Vec::new();
        for signature in &opened.signatures {
            let witness = signature.key.checked_sub(self.logs.len());
            let Some((number, time)) = witness.zip(cosignature::time_of(&signature.signature)) else { continue };
            match cosigners.iter_mut().find(|(cosigner, _)| *cosigner == number) {
                Some((_, latest)) => *latest = time.max(*latest),
                None => cosigners.push((number, time)),
            }
        }
        Ok(Accepted { checkpoint, log, cosigners })
    }

    fn no_log(&self, origin: &str) -> NotAccepted {
        let logs: Vec<String> =
            self.logs.iter().map(|log| format!("{}+{:08x}", log.key.name, u32::from_be_bytes(log.key.id()))).collect();
        let logs = if logs.is_empty() { "none".into() } else { logs.join(", ") };
        NotAccepted::NoLog { origin: origin.into(), logs }
    }

    fn name_of(&self, member: Member) -> &str {
        let name = match member {
            Member::Witness(number) => self.witnesses.get(number).map(|witness| &witness.name),
            Member::Group(number) => self.groups.get(number).map(|group| &group.name),
        };
        name.map_or("", String::as_str)
    }
}

/// The policy as a file: the logs, the witnesses, the groups, the quorum.
impl Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let url = |url: &Option<String>| url.as_ref().map_or(String::new(), |url| [" ", url].concat());
        for log in &self.logs {
            writeln!(f, "log {}{}", log.key.to_vkey(), url(&log.url))?;
        }
        for witness in &self.witnesses {
            writeln!(f, "witness {} {}{}", witness.name, witness.key.to_vkey(), url(&witness.url))?;
        }
        for group in &self.groups {
            write!(f, "group {} {}", group.name, group.threshold)?;
            for member in &group.members {
                write!(f, " {}", self.name_of(*member))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "quorum {}", self.quorum.map_or("none", |member| self.name_of(member)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use chancery_types::Hash;
    use ed25519_dalek::SigningKey;

    const NAMES: [&str; 5] = ["X1", "X2", "X3", "Y1", "Y2"];

    pub(super) fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    pub(super) fn witness(number: usize) -> String {
        let name = NAMES[number];
        format!("witness {name} {}\n", WitnessKey::of(name, &key(number as u8 + 10)).to_vkey())
    }

    pub(super) fn log() -> VerifierKey {
        VerifierKey::of("ledger.example/town", &key(1))
    }

    /// The worked example of the header.
    fn example() -> String {
        let (x, y) = ((0..3).map(witness).collect::<String>(), (3..5).map(witness).collect::<String>());
        let groups = "group X-and-Y all X Y\nquorum X-and-Y\n";
        format!("log {}\n\n{x}group X 2 X1 X2 X3\n\n{y}group Y any Y1 Y2\n\n{groups}", log().to_vkey())
    }

    pub(super) fn parse(text: &str) -> Result<Policy, PolicyError> {
        Policy::parse(text.as_bytes())
    }

    /// Of every subset of the witnesses: is it a quorum?
    #[test]
    fn the_worked_example_of_the_header_holds() {
        let policy = parse(&example()).unwrap();
        for subset in 0u32..32 {
            let cosigners: Vec<usize> = (0..5).filter(|number| subset >> number & 1 == 1).collect();
            let expected = (subset & 0b111).count_ones() >= 2 && subset >> 3 != 0;
            assert_eq!(policy.is_quorum(&cosigners), expected, "{cosigners:?}");
        }
        assert!(policy.is_quorum(&[0, 2, 4]));
        assert!(!policy.is_quorum(&[0, 1, 2]) && !policy.is_quorum(&[0, 3, 4]));
        // Naming a witness twice does not make it two, and numbers beyond the witnesses are nobody.
        assert!(!policy.is_quorum(&[0, 0, 3]) && !policy.is_quorum(&[0, 9, 3]));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let policy = parse(&example()).unwrap();
        assert_eq!(parse(&policy.to_string()), Ok(policy.clone()));
        let url = format!(
            "# who\n\t log  {} \thttps://ledger.example/ \n{}quorum X1\n",
            log().to_vkey(),
            witness(0).replace('\n', " https://x1.example\n")
        );
        let with_url = parse(&url).unwrap();
        assert_eq!(with_url.logs()[0].url.as_deref(), Some("https://ledger.example/"));
        assert_eq!(with_url.witnesses()[0].url.as_deref(), Some("https://x1.example"));
        assert_eq!(parse(&with_url.to_string()), Ok(with_url));
        let none = Policy::of_log(log());
        assert_eq!(parse(&none.to_string()), Ok(none));
    }

    fn checkpoint(signer: u8, cosigners: &[(usize, u64)]) -> String {
        let checkpoint = Checkpoint { origin: log().name, size: 3, root: Hash([7; 32]) };
        let mut note = checkpoint.sign(&key(signer));
        for (number, time) in cosigners {
            note += &cosignature::cosign(&checkpoint.text(), NAMES[*number], &key(*number as u8 + 10), Seconds(*time));
        }
        note
    }

    #[test]
    fn a_checkpoint_needs_the_log_and_the_quorum() {
        let policy = parse(&example()).unwrap();
        let accepted = policy.open(&checkpoint(1, &[(0, 5), (4, 8), (2, 6), (0, 9)])).unwrap();
        assert_eq!(accepted.cosigners, [(0, Seconds(9)), (4, Seconds(8)), (2, Seconds(6))]);
        assert_eq!((accepted.checkpoint.size, accepted.log), (3, log()));
        let error = |note: &str| policy.open(note).unwrap_err().to_string();
        assert_eq!(
            error(&checkpoint(1, &[])),
            "the quorum X-and-Y is not reached: cosigned by no witness of the policy"
        );
        assert_eq!(
            error(&checkpoint(1, &[(0, 5), (0, 6), (3, 5)])),
            "the quorum X-and-Y is not reached: cosigned by X1, Y1"
        );
        assert_eq!(
            error(&checkpoint(2, &[(0, 5), (1, 5), (3, 5)])),
            format!(
                "the checkpoint of ledger.example/town is not signed by a log of the policy, which knows {}",
                log().to_vkey().rsplit_once('+').unwrap().0
            )
        );
        // One cosignature over something else: not ignored.
        let mut forged = checkpoint(1, &[(0, 5), (1, 5), (3, 5)]);
        forged += &cosignature::cosign("other\n", "Y2", &key(14), Seconds(5));
        assert!(error(&forged).starts_with("the signature of Y2 does not verify"));
        assert_eq!(policy.open_without_quorum(&checkpoint(1, &[])).unwrap().cosigners, []);
    }

    #[test]
    fn a_log_cannot_sign_under_anothers_origin() {
        let other = VerifierKey::of("other.example", &key(3));
        let policy = parse(&format!("log {}\nlog {}\nquorum none\n", log().to_vkey(), other.to_vkey())).unwrap();
        let text = Checkpoint { origin: log().name, size: 3, root: Hash([7; 32]) }.text();
        let foreign = note::sign(&text, "other.example", &key(3));
        assert_eq!(policy.open(&foreign), Err(NotAccepted::Origin { origin: log().name, log: other.name }));
        assert!(policy.open(&note::sign(&text, &log().name, &key(1))).is_ok());
        let empty = parse("quorum none\n").unwrap();
        assert!(matches!(empty.open(&foreign), Err(NotAccepted::NoLog { .. })));
    }
}
