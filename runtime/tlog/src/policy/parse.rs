//! Reading a policy, statement by statement: what is wrong is named with its line.

use super::{Group, Log, Member, Policy, Witness};
use crate::cosignature::WitnessKey;
use crate::note::{VerifierKey, VkeyError};
use alloc::{string::String, string::ToString, vec::Vec};

/// Longest policy in bytes.
pub const POLICY_BYTES_MAX: usize = 1 << 16;
/// Most logs, most witnesses and most groups of a policy.
pub const STATEMENTS_MAX: usize = 64;

/// What is wrong with a policy, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Too long.
    #[error("the policy has {0} bytes; at most 65,536 are read")]
    TooLong(usize),
    /// Not text.
    #[error("the policy is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// A line is wrong.
    #[error("line {line} of the policy: {fault}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// No quorum line.
    #[error("the policy has no quorum line; one that asks for no cosignatures says `quorum none`")]
    NoQuorum,
    /// The last line does not end.
    #[error("the policy's last line has no line feed: is the file complete?")]
    Unfinished,
}

/// What is wrong with a line of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// A control character.
    #[error("a control character; only tabs and line feeds may stand in a policy")]
    Control,
    /// Unknown statement.
    #[error("`{0}` is no statement; expected log, witness, group or quorum")]
    Statement(String),
    /// Too few or too many items.
    #[error("expected `{0}`")]
    Items(&'static str),
    /// A vkey is wrong.
    #[error("{0}")]
    Vkey(VkeyError),
    /// A public key stands twice.
    #[error("the public key of {0} stands in an earlier line")]
    KeyTwice(String),
    /// A name is defined twice.
    #[error("the name {0} is defined twice")]
    NameTwice(String),
    /// A name that nothing may have.
    #[error("`none` stands for no cosignatures and cannot be a name or a member")]
    NameNone,
    /// A name that no earlier line defines.
    #[error("the name {0} is not defined in an earlier line")]
    Unknown(String),
    /// A member of two groups.
    #[error("{0} is already a member of a group; each may be a member once")]
    MemberTwice(String),
    /// The threshold is no number from 1 to the members.
    #[error("the threshold is `{found}`; expected all, any or a number from 1 to {members} without leading zeros")]
    Threshold {
        /// What stands there.
        found: String,
        /// How many members the group has.
        members: usize,
    },
    /// More than one quorum.
    #[error("a second quorum line")]
    QuorumTwice,
    /// Too many statements.
    #[error("more than 64 {0}")]
    TooMany(&'static str),
}

impl Policy {
    /// Reads a policy from a file's bytes.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong(bytes.len()));
        }
        let text = core::str::from_utf8(bytes).map_err(|error| PolicyError::NotUtf8(error.valid_up_to()))?;
        let text = text.strip_suffix('\n').ok_or(PolicyError::Unfinished)?;
        let mut draft = Draft::default();
        for (number, line) in text.split('\n').enumerate() {
            draft.line(line).map_err(|fault| PolicyError::Line { line: number + 1, fault })?;
        }
        let quorum = draft.quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(Policy { logs: draft.logs, witnesses: draft.witnesses, groups: draft.groups, quorum })
    }
}

/// A policy as far as it has been read.
#[derive(Default)]
struct Draft {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// Who is a member of a group already.
    members: Vec<Member>,
    /// `Some(None)` is `quorum none`.
    quorum: Option<Option<Member>>,
}

impl Draft {
    fn line(&mut self, line: &str) -> Result<(), LineFault> {
        if line.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7F) {
            return Err(LineFault::Control);
        }
        // Spaces and tabs alone: what else Unicode calls a space may stand in a name.
        let items: Vec<&str> = line.split([' ', '\t']).filter(|item| !item.is_empty()).collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", vkey, url @ ..] if url.len() < 2 => self.log(vkey, url),
            ["log", ..] => Err(LineFault::Items("log <vkey> [<url>]")),
            ["witness", name, vkey, url @ ..] if url.len() < 2 => self.witness(name, vkey, url),
            ["witness", ..] => Err(LineFault::Items("witness <name> <vkey> [<url>]")),
            ["group", name, threshold, members @ ..] if !members.is_empty() => self.group(name, threshold, members),
            ["group", ..] => Err(LineFault::Items("group <name> all|any|<k> <name>...")),
            ["quorum", name] => self.quorum(name),
            ["quorum", ..] => Err(LineFault::Items("quorum <name>|none")),
            [other, ..] => Err(LineFault::Statement(other.chars().take(40).collect())),
        }
    }

    fn log(&mut self, vkey: &str, url: &[&str]) -> Result<(), LineFault> {
        let key = VerifierKey::parse(vkey).map_err(LineFault::Vkey)?;
        if self.logs.iter().any(|log| log.key.key == key.key) {
            return Err(LineFault::KeyTwice(key.name));
        }
        bounded(&self.logs, "logs")?;
        self.logs.push(Log { key, url: url.first().map(ToString::to_string) });
        Ok(())
    }

    fn witness(&mut self, name: &str, vkey: &str, url: &[&str]) -> Result<(), LineFault> {
        let key = WitnessKey::parse(vkey).map_err(LineFault::Vkey)?;
        if self.witnesses.iter().any(|witness| witness.key.key == key.key) {
            return Err(LineFault::KeyTwice(name.into()));
        }
        self.is_new(name)?;
        bounded(&self.witnesses, "witnesses")?;
        self.witnesses.push(Witness { name: name.into(), key, url: url.first().map(ToString::to_string) });
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, names: &[&str]) -> Result<(), LineFault> {
        self.is_new(name)?;
        bounded(&self.groups, "groups")?;
        let number = crate::checkpoint::parse_decimal(threshold).and_then(|number| usize::try_from(number).ok());
        let threshold = match threshold {
            "all" => Some(names.len()),
            "any" => Some(1),
            _ => number.filter(|number| (1..=names.len()).contains(number)),
        }
        .ok_or_else(|| LineFault::Threshold { found: threshold.into(), members: names.len() })?;
        let mut members = Vec::new();
        for name in names {
            let member = self.find(name)?;
            if self.members.contains(&member) {
                return Err(LineFault::MemberTwice((*name).into()));
            }
            self.members.push(member);
            members.push(member);
        }
        self.groups.push(Group { name: name.into(), threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), LineFault> {
        if self.quorum.is_some() {
            return Err(LineFault::QuorumTwice);
        }
        self.quorum = Some(if name == "none" { None } else { Some(self.find(name)?) });
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Member, LineFault> {
        if name == "none" {
            return Err(LineFault::NameNone);
        }
        let witness = self.witnesses.iter().position(|witness| witness.name == name).map(Member::Witness);
        let group = || self.groups.iter().position(|group| group.name == name).map(Member::Group);
        witness.or_else(group).ok_or_else(|| LineFault::Unknown(name.into()))
    }

    fn is_new(&self, name: &str) -> Result<(), LineFault> {
        match self.find(name) {
            Ok(_) => Err(LineFault::NameTwice(name.into())),
            Err(LineFault::Unknown(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

fn bounded<T>(statements: &[T], what: &'static str) -> Result<(), LineFault> {
    if statements.len() < STATEMENTS_MAX { Ok(()) } else { Err(LineFault::TooMany(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{key, log, parse, witness};
    use alloc::format;

    #[test]
    fn each_wrong_line_is_named() {
        let two = [witness(0), witness(1)].concat();
        let vkey = WitnessKey::of("w", &key(10)).to_vkey();
        for (text, line, expected) in [
            ("logs x\n".into(), 1, "`logs` is no statement; expected log, witness, group or quorum"),
            ("\n#\nlog\n".into(), 3, "expected `log <vkey> [<url>]`"),
            (format!("log {} a b\n", log().to_vkey()), 1, "expected `log <vkey> [<url>]`"),
            (format!("log {vkey}\n"), 1, "the vkey is of signature type 0x04; expected 0x01"),
            (format!("witness w {}\n", log().to_vkey()), 1, "the vkey is of signature type 0x01; expected 0x04"),
            (format!("witness none {vkey}\n"), 1, "`none` stands for no cosignatures and cannot be a name or a member"),
            (format!("{two}witness w {vkey}\n"), 3, "the public key of w stands in an earlier line"),
            (
                format!("{0}{0}", format_args!("log {}\n", log().to_vkey())),
                2,
                "the public key of ledger.example/town stands in an earlier line",
            ),
            (format!("{two}{}", witness(2).replacen("X3", "X1", 1)), 3, "the name X1 is defined twice"),
            (format!("{two}group X1 any X2\n"), 3, "the name X1 is defined twice"),
            (format!("{two}group X any\n"), 3, "expected `group <name> all|any|<k> <name>...`"),
            (format!("{two}group X any X3\n"), 3, "the name X3 is not defined in an earlier line"),
            (format!("{two}group X any X\n"), 3, "the name X is not defined in an earlier line"),
            (
                format!("{two}group X any none\n"),
                3,
                "`none` stands for no cosignatures and cannot be a name or a member",
            ),
            (format!("{two}group X any X1 X1\n"), 3, "X1 is already a member of a group; each may be a member once"),
            (
                format!("{two}group X any X1\ngroup Y any X1 X2\n"),
                4,
                "X1 is already a member of a group; each may be a member once",
            ),
            (
                format!("{two}group X 3 X1 X2\n"),
                3,
                "the threshold is `3`; expected all, any or a number from 1 to 2 without leading zeros",
            ),
            (
                format!("{two}group X 0 X1 X2\n"),
                3,
                "the threshold is `0`; expected all, any or a number from 1 to 2 without leading zeros",
            ),
            (
                format!("{two}group X 01 X1 X2\n"),
                3,
                "the threshold is `01`; expected all, any or a number from 1 to 2 without leading zeros",
            ),
            (format!("quorum X1\n{two}"), 1, "the name X1 is not defined in an earlier line"),
            ("quorum none\nquorum none\n".into(), 2, "a second quorum line"),
            ("quorum\n".into(), 1, "expected `quorum <name>|none`"),
            ("quorum none\r\n".into(), 1, "a control character; only tabs and line feeds may stand in a policy"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert_eq!(error, format!("line {line} of the policy: {expected}"), "{text}");
        }
        assert_eq!(parse(&two), Err(PolicyError::NoQuorum));
        assert_eq!(parse(""), Err(PolicyError::Unfinished));
        assert_eq!(parse("quorum none"), Err(PolicyError::Unfinished));
        assert_eq!(Policy::parse(b"# \xff\nquorum none\n"), Err(PolicyError::NotUtf8(2)));
        assert_eq!(Policy::parse(&[b'\n'; POLICY_BYTES_MAX + 1]), Err(PolicyError::TooLong(POLICY_BYTES_MAX + 1)));
    }
}
