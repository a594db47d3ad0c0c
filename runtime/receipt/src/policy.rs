//! Whose checkpoints are believed: C2SP tlog-policy.

use crate::{ReceiptError, Witnessed};
use base64::{Engine, engine::general_purpose::STANDARD};
use chancery_tlog::Checkpoint;
use chancery_tlog::note::{VerifierKey, is_key_name};
use chancery_types::{PublicKey, Signature};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Logs, witnesses, and which witnesses suffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<(String, PublicKey, [u8; 4])>,
    nodes: Vec<Node>,
    quorum: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Witness(usize),
    Group(usize, Vec<usize>),
}

/// A checkpoint that the policy accepts.
pub(crate) struct Accepted {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) witnesses: Vec<Witnessed>,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Policy, String> {
        let mut policy = Policy { logs: Vec::new(), witnesses: Vec::new(), nodes: Vec::new(), quorum: None };
        let (mut names, mut used, mut quorums) = (HashMap::new(), Vec::new(), 0);
        for (number, line) in text.split('\n').enumerate() {
            let bad = |problem: &str| format!("policy, line {}: {problem}", number + 1);
            let items: Vec<&str> = line.split([' ', '\t']).filter(|item| !item.is_empty()).collect();
            match items.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["log", vkey] | ["log", vkey, _] => {
                    let key = VerifierKey::from_vkey(vkey).ok_or_else(|| bad("the log's vkey is malformed"))?;
                    policy.logs.push(key);
                }
                ["witness", name, vkey] | ["witness", name, vkey, _] => {
                    let key = cosigner(vkey).ok_or_else(|| bad("the witness's vkey is malformed"))?;
                    policy.nodes.push(Node::Witness(policy.witnesses.len()));
                    policy.witnesses.push(key);
                    if *name == "none" || names.insert(name.to_string(), policy.nodes.len() - 1).is_some() {
                        return Err(bad("the name is taken"));
                    }
                }
                ["group", name, k, members @ ..] if !members.is_empty() => {
                    let k = match *k {
                        "any" => 1,
                        "all" => members.len(),
                        k => k.parse().map_err(|_| bad("the threshold is no number"))?,
                    };
                    if k < 1 || k > members.len() {
                        return Err(bad("the threshold is not between 1 and the number of members"));
                    }
                    let mut nodes = Vec::new();
                    for member in members {
                        let node = *names.get(*member).ok_or_else(|| bad("a member is not defined above"))?;
                        if used.contains(&node) {
                            return Err(bad("a member is a member twice"));
                        }
                        used.push(node);
                        nodes.push(node);
                    }
                    policy.nodes.push(Node::Group(k, nodes));
                    if *name == "none" || names.insert(name.to_string(), policy.nodes.len() - 1).is_some() {
                        return Err(bad("the name is taken"));
                    }
                }
                ["quorum", name] => {
                    quorums += 1;
                    policy.quorum = match *name {
                        "none" => None,
                        name => Some(*names.get(name).ok_or_else(|| bad("the quorum is not defined above"))?),
                    };
                }
                _ => return Err(bad("expected `log`, `witness`, `group` or `quorum`")),
            }
        }
        if quorums == 1 { Ok(policy) } else { Err(format!("policy: expected one quorum line, found {quorums}")) }
    }

    /// Opens a checkpoint that a log of the policy signed and its quorum cosigned.
    pub(crate) fn check(&self, note: &str) -> Result<Accepted, ReceiptError> {
        let untrue = |problem: String| ReceiptError::untrue("checkpoint", problem);
        let origin = note.split('\n').next().unwrap_or_default();
        let key = self.logs.iter().find(|key| key.name == origin);
        let key = key.ok_or_else(|| untrue(format!("its origin `{origin}` is none of the policy's logs")))?;
        let checkpoint = Checkpoint::open(note, key).map_err(|error| untrue(error.to_string()))?;
        let end = note.rfind("\n\n").unwrap_or_default();
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let (mut seen, mut witnesses) = (vec![false; self.witnesses.len()], Vec::new());
        for line in lines.lines() {
            let Some((name, value)) = line.strip_prefix("\u{2014} ").and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let bytes = STANDARD.decode(value).unwrap_or_default();
            let known = |(key, _, id): &(String, PublicKey, [u8; 4])| key == name && bytes.starts_with(id);
            let Some(which) = self.witnesses.iter().position(known) else { continue };
            let time = cosignature(&self.witnesses[which].1, text, &bytes[4..]);
            let time = time.ok_or_else(|| untrue(format!("the cosignature of {name} does not verify")))?;
            if !std::mem::replace(&mut seen[which], true) {
                witnesses.push(Witnessed { name: name.into(), time });
            }
        }
        if self.quorum.is_some_and(|node| !self.holds(node, &seen)) {
            let found: Vec<&str> = witnesses.iter().map(|witness| witness.name.as_str()).collect();
            return Err(untrue(format!("the policy's quorum is not reached: cosigned by [{}]", found.join(", "))));
        }
        Ok(Accepted { checkpoint, witnesses })
    }

    fn holds(&self, node: usize, seen: &[bool]) -> bool {
        match &self.nodes[node] {
            Node::Witness(which) => seen[*which],
            Node::Group(k, members) => members.iter().filter(|node| self.holds(**node, seen)).count() >= *k,
        }
    }
}

fn cosigner(vkey: &str) -> Option<(String, PublicKey, [u8; 4])> {
    let mut parts = vkey.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    let key = STANDARD.decode(key).ok()?;
    let public = <[u8; 32]>::try_from(key.strip_prefix(&[4])?).ok()?;
    let hash: [u8; 32] = Sha256::new().chain_update(name).chain_update(b"\n").chain_update(&key).finalize().into();
    let found = *hash.first_chunk()?;
    (is_key_name(name) && id == format!("{:08x}", u32::from_be_bytes(found)))
        .then(|| (name.into(), PublicKey(public), found))
}

fn cosignature(key: &PublicKey, text: &str, bytes: &[u8]) -> Option<u64> {
    let (time, signature) = bytes.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    let message = format!("cosignature/v1\ntime {time}\n{text}");
    key.verifies(message.as_bytes(), &Signature(signature.try_into().ok()?)).then_some(time)
}
