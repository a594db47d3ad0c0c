//! The manifest and the chunks that it names.

use super::{CHUNK_BYTES, CHUNKS, SNAPSHOT, wrong};
use crate::NodeError;
use crate::disk::{self, Disk};
use crate::journal::BLOCK_BYTES_MAX;
use chancery_state::StateKey;
use chancery_tlog::note::VerifierKey;
use chancery_types::{ContractId, Hash, Height, LedgerId};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const TITLE: &str = "chancery snapshot 1";
/// Longest chunk: a record is part of a block.
const CHUNK_BYTES_MAX: u64 = (CHUNK_BYTES + BLOCK_BYTES_MAX) as u64;

/// A chunk by its hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Chunk {
    pub(crate) hash: Hash,
    pub(crate) bytes: u64,
}

/// What a snapshot is of and consists of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Manifest {
    pub(crate) ledger: LedgerId,
    pub(crate) key: VerifierKey,
    pub(crate) height: Height,
    pub(crate) entries: u64,
    pub(crate) log_root: Hash,
    pub(crate) chain: Hash,
    pub(crate) state_root: Hash,
    pub(crate) keys: u64,
    pub(crate) log: Vec<Chunk>,
    pub(crate) state: Vec<Chunk>,
    pub(crate) modules: Vec<Chunk>,
}

impl Manifest {
    pub(crate) fn to_text(&self) -> String {
        let Manifest { ledger, height, entries, log_root, chain, state_root, keys, .. } = self;
        let mut text = format!(
            "{TITLE}\nledger {ledger}\nlog-key {}\nheight {height}\nentries {entries}\nlog-root {log_root}\nchain {chain}\nstate-root {state_root}\nkeys {keys}\n",
            self.key.to_vkey()
        );
        for (what, chunks) in [("log", &self.log), ("state", &self.state), ("module", &self.modules)] {
            for Chunk { hash, bytes } in chunks {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{what} {hash} {bytes}");
            }
        }
        text
    }

    /// The root: what names the snapshot.
    pub(crate) fn root(&self) -> Hash {
        Hash::of(self.to_text().as_bytes())
    }

    /// Reads the one text of a manifest.
    fn parse(text: &str) -> Result<Manifest, NodeError> {
        let mut lines = text.lines().peekable();
        let title = lines.next().unwrap_or_default();
        if title != TITLE {
            let found: String = title.chars().take(40).collect();
            return Err(wrong(format!("`{SNAPSHOT}` begins with `{found}`, this program reads `{TITLE}`")));
        }
        let mut field = |name: &str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)).and_then(|rest| rest.strip_prefix(' '));
            value.ok_or_else(|| wrong(format!("`{SNAPSHOT}` has no line `{name}` where it should")))
        };
        let unreadable = |name: &str| wrong(format!("the line `{name}` of `{SNAPSHOT}` does not read"));
        let hash = |name, text| Hash::parse(text).ok_or_else(|| unreadable(name));
        let number = |name, text: &str| text.parse::<u64>().map_err(|_| unreadable(name));
        let mut manifest = Manifest {
            ledger: LedgerId(hash("ledger", field("ledger")?)?.0),
            key: VerifierKey::parse(field("log-key")?).map_err(|_| unreadable("log-key"))?,
            height: Height(number("height", field("height")?)?),
            entries: number("entries", field("entries")?)?,
            log_root: hash("log-root", field("log-root")?)?,
            chain: hash("chain", field("chain")?)?,
            state_root: hash("state-root", field("state-root")?)?,
            keys: number("keys", field("keys")?)?,
            log: Vec::new(),
            state: Vec::new(),
            modules: Vec::new(),
        };
        for line in lines {
            let mut words = line.split(' ');
            let (Some(what), Some(hash), Some(bytes), None) = (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(wrong(format!("`{SNAPSHOT}` has the line `{}`, which names no chunk", short(line))));
            };
            let chunks = match what {
                "log" => &mut manifest.log,
                "state" => &mut manifest.state,
                "module" => &mut manifest.modules,
                _ => return Err(wrong(format!("`{SNAPSHOT}` has the line `{}`, which names no chunk", short(line)))),
            };
            let chunk = Hash::parse(hash).zip(bytes.parse().ok()).map(|(hash, bytes)| Chunk { hash, bytes });
            let chunk = chunk.filter(|chunk| chunk.bytes > 0 && chunk.bytes <= CHUNK_BYTES_MAX);
            chunks.push(chunk.ok_or_else(|| unreadable(what))?);
        }
        // Order, spacing, leading zeros: there is one text.
        if manifest.to_text() == text {
            Ok(manifest)
        } else {
            Err(wrong(format!("`{SNAPSHOT}` is not in its one spelling: lines out of order, spaces or zeros too many")))
        }
    }
}

fn short(line: &str) -> String {
    line.chars().take(80).collect()
}

/// A snapshot's directory with its manifest read; nothing is checked against anything yet.
pub(crate) struct Snapshot<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    pub(crate) manifest: Manifest,
    /// The checkpoint's note.
    pub(crate) note: String,
}

/// Where a chunk lies.
pub(crate) fn chunk_path(dir: &Path, hash: &Hash) -> PathBuf {
    dir.join(CHUNKS).join(hash.to_string())
}

impl<'a> Snapshot<'a> {
    /// Reads the manifest; `None` where there is none.
    pub(crate) fn find(disk: &'a dyn Disk, dir: &'a Path) -> Result<Option<Self>, NodeError> {
        let Some(bytes) = disk.read_if_there(&dir.join(SNAPSHOT))? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| wrong(format!("`{SNAPSHOT}` is not UTF-8")))?;
        let cut =
            text.find("\n\n").ok_or_else(|| wrong(format!("`{SNAPSHOT}` has no checkpoint behind an empty line")))?;
        let (manifest, note) = (Manifest::parse(&text[..=cut])?, text[cut + 2..].to_string());
        Ok(Some(Snapshot { disk, dir, manifest, note }))
    }

    /// As `find`, where there must be one.
    pub(crate) fn open(disk: &'a dyn Disk, dir: &'a Path) -> Result<Self, NodeError> {
        Snapshot::find(disk, dir)?.ok_or_else(|| NodeError::NoSnapshot(dir.into()))
    }

    /// Reads a chunk, which must be what its name says.
    pub(crate) fn read(&self, chunk: &Chunk) -> Result<Vec<u8>, NodeError> {
        let path = chunk_path(self.dir, &chunk.hash);
        let problem = |problem: &str| wrong(format!("{CHUNKS}/{} {problem}", chunk.hash));
        if !self.disk.exists(&path).map_err(disk::failed("cannot look for", &path))? {
            return Err(problem("is missing"));
        }
        // Nothing is read that is longer than it may be.
        let len = self.disk.len(&path).map_err(disk::failed("cannot read", &path))?;
        if len != chunk.bytes {
            return Err(problem(&format!("has {len} bytes; expected {}", chunk.bytes)));
        }
        let bytes = self.disk.read_file(&path)?;
        if Hash::of(&bytes) == chunk.hash { Ok(bytes) } else { Err(problem("has another BLAKE3 than its name")) }
    }

    /// Reads the chunks of a stream in order and hands on each record: `parse` takes one off the front.
    pub(crate) fn records<R>(
        &self,
        chunks: &[Chunk],
        parse: impl Fn(&mut &[u8]) -> Option<R>,
        mut each: impl FnMut(R) -> Result<(), NodeError>,
    ) -> Result<(), NodeError> {
        for (number, chunk) in chunks.iter().enumerate() {
            let bytes = self.read(chunk)?;
            let malformed = |problem| wrong(format!("{CHUNKS}/{} {problem}", chunk.hash));
            if number + 1 < chunks.len() && bytes.len() < CHUNK_BYTES {
                return Err(malformed("ends before it is full"));
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                if bytes.len() - rest.len() >= CHUNK_BYTES {
                    return Err(malformed("does not end behind the record that fills it"));
                }
                each(parse(&mut rest).ok_or_else(|| malformed("has a record that does not read"))?)?;
            }
        }
        Ok(())
    }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    // Keys, values, entries and effects are bounded far below.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(taken)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?)).ok()
}

/// The record of an entry.
pub(crate) fn log_record(entry: &[u8], effects: Option<&[u8]>) -> Vec<u8> {
    let effects = effects.unwrap_or_default();
    [&length(entry), &length(effects), entry, effects].concat()
}

/// Takes an entry's record off the front: the entry, and its effects where it has some.
pub(crate) fn parse_log_record(rest: &mut &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let (entry, effects) = (take_length(rest)?, take_length(rest)?);
    let (entry, effects) = (take(rest, entry)?, take(rest, effects)?);
    Some((entry.to_vec(), (!effects.is_empty()).then(|| effects.to_vec())))
}

/// The record of a pair.
pub(crate) fn state_record((contract, key): &StateKey, value: &[u8]) -> Vec<u8> {
    [&contract.0[..], &length(key), &length(value), key, value].concat()
}

/// Takes a pair's record off the front.
pub(crate) fn parse_state_record(rest: &mut &[u8]) -> Option<(StateKey, Vec<u8>)> {
    let contract = ContractId(take(rest, 32)?.try_into().ok()?);
    let (key, value) = (take_length(rest)?, take_length(rest)?);
    Some(((contract, take(rest, key)?.to_vec()), take(rest, value)?.to_vec()))
}
