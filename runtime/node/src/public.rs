//! Verification of a public log from its files alone: a directory, or what a web server serves.
//!
//! What is checked:
//!
//! 1. the checkpoint: the log's signature, and the cosignatures that the policy asks for;
//! 2. every tile up to the checkpoint's root, and every entry up to its tile ([`chancery_tlog::Tiles`]); in a
//!    directory, partial tiles of earlier sizes too;
//! 3. everything that `walk` checks of entries and their order: index, the hash of the entry before, time, signatures,
//!    request ids, the seals' heights and counts; and that the log is the one of its genesis;
//! 4. in a directory with `blobs/`, that every module that an entry names is there, with its BLAKE3.
//!
//! State roots are not checked: a public log holds no writes. [`audit`](crate::audit()) executes an exported log again
//! and checks them.

use crate::blobs;
use crate::disk::{Disk, OsDisk};
use crate::http::{Http, below};
use crate::walk::{Chain, Each, Modules, Read, Source, inconsistent, walk};
use crate::{NodeError, Progress};
use chancery_tlog::note::NOTE_BYTES_MAX;
use chancery_tlog::policy::{Accepted, POLICY_BYTES_MAX};
use chancery_tlog::tile::{BUNDLE_BYTES_MAX, TILE_BYTES_MAX, WIDTH, bundles_for, tiles_for};
use chancery_tlog::{Bundle, Checkpoint, Policy, Tile, TileReader, Tiles, merkle};
use chancery_types::{Hash, LedgerId, ModuleId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a verification of a public log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicReport {
    /// The ledger.
    pub ledger: LedgerId,
    /// The log's origin.
    pub origin: String,
    /// The key of the log, which signed the checkpoint.
    pub vkey: String,
    /// Entries.
    pub entries: u64,
    /// Calls among them, each with its signature.
    pub calls: u64,
    /// Blocks, the first included.
    pub blocks: u64,
    /// The Merkle root over all entries.
    pub root: Hash,
    /// Names of the witnesses of the policy that cosigned the checkpoint.
    pub cosigners: Vec<String>,
    /// Modules that entries name and whose bytes are there; `None` where there are no blobs.
    pub modules: Option<u64>,
}

/// Where a public log is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A directory.
    Directory(PathBuf),
    /// A prefix that a web server serves.
    Url(String, Http),
}

impl Place {
    /// A URL by its scheme, or else a directory.
    pub fn parse(text: &str) -> Place {
        if text.starts_with("http://") || text.starts_with("https://") {
            Place::Url(text.into(), Http::default())
        } else {
            Place::Directory(text.into())
        }
    }

    /// What is at a path below, of at most so many bytes; `None` where there is nothing.
    pub(crate) fn get(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, String> {
        match self {
            Place::Directory(dir) => {
                let (disk, path): (&dyn Disk, _) = (&OsDisk, dir.join(path));
                let bytes = disk.read_if_there(&path).map_err(|error| error.to_string())?;
                match bytes {
                    Some(bytes) if bytes.len() > bytes_max => {
                        Err(format!("{} bytes; expected at most {bytes_max}", bytes.len()))
                    }
                    found => Ok(found),
                }
            }
            Place::Url(url, http) => {
                let answer = http.get(&below(url, path), bytes_max as u64).map_err(|error| error.to_string())?;
                match answer.status {
                    200 => Ok(Some(answer.body)),
                    404 | 410 => Ok(None),
                    status => Err(format!("the server answered {status}")),
                }
            }
        }
    }

    /// A tile or bundle; where the partial one is gone, the full one.
    fn either(&self, partial: &str, full: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
        let found = match self.get(partial, bytes_max)? {
            None if partial != full => self.get(full, bytes_max)?,
            found => found,
        };
        found.ok_or_else(|| "it is missing".into())
    }

    /// The policy that lies beside the log. Whoever serves the log could serve any: it is to be compared with one from
    /// elsewhere.
    ///
    /// # Errors
    /// [`NodeError::NoPublicLog`] where there is no checkpoint either, [`NodeError::Public`] where there is no policy,
    /// [`NodeError::Policy`] where it does not read.
    pub fn own_policy(&self) -> Result<Policy, NodeError> {
        let found = |path: &str, bytes_max| {
            self.get(path, bytes_max).map_err(|error| NodeError::Public(format!("{path}: {error}")))
        };
        let missing = || match found("checkpoint", NOTE_BYTES_MAX) {
            Ok(None) => NodeError::NoPublicLog(self.to_string()),
            _ => NodeError::Public(
                "there is no `policy` beside it that says whose checkpoints to believe: give one with --policy".into(),
            ),
        };
        Policy::parse(&found("policy", POLICY_BYTES_MAX)?.ok_or_else(missing)?)
            .map_err(|error| NodeError::Policy(error.to_string()))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Directory(dir) => write!(f, "{}", dir.display()),
            Place::Url(url, _) => f.write_str(url),
        }
    }
}

impl TileReader for Place {
    type Error = String;

    fn tile(&self, tile: Tile) -> Result<Vec<u8>, String> {
        self.either(&tile.path(), &tile.full().path(), TILE_BYTES_MAX)
    }

    fn bundle(&self, bundle: Bundle) -> Result<Vec<u8>, String> {
        let full = Bundle { width: bundle.tile().full().width, ..bundle };
        self.either(&bundle.path(), &full.path(), BUNDLE_BYTES_MAX)
    }
}

/// The bundles of a public log, each entry of which is covered by the checkpoint's root.
pub(crate) struct PublicSource<'a> {
    place: &'a Place,
    pub(crate) note: String,
    pub(crate) accepted: Accepted,
}

impl<'a> PublicSource<'a> {
    /// Reads the checkpoint, which the policy must accept.
    pub(crate) fn open(place: &'a Place, policy: &Policy) -> Result<Self, NodeError> {
        let unreadable = |error| NodeError::Public(format!("checkpoint: {error}"));
        let note = place.get("checkpoint", NOTE_BYTES_MAX).map_err(unreadable)?;
        let note = note.ok_or_else(|| unreadable("it is missing: this is no public log".into()))?;
        let note = String::from_utf8(note).map_err(|_| unreadable("it is not UTF-8".into()))?;
        let accepted = policy.open(&note).map_err(|error| NodeError::Public(format!("checkpoint: {error}")))?;
        Ok(PublicSource { place, note, accepted })
    }

    pub(crate) fn size(&self) -> u64 {
        self.accepted.checkpoint.size
    }
}

impl Source for PublicSource<'_> {
    fn has_effects(&self) -> bool {
        false
    }

    fn read(&self, each: &mut Each<'_>) -> Result<bool, NodeError> {
        let wrong = |error: chancery_tlog::tile::ReadError<String>| NodeError::Public(error.to_string());
        let size = self.size();
        let mut tiles = Tiles::open(self.place, size, self.accepted.checkpoint.root).map_err(wrong)?;
        for number in 0..size.div_ceil(WIDTH) {
            for (entry, index) in tiles.entries(number).map_err(wrong)?.into_iter().zip(number * WIDTH..) {
                each(Read { index, entry, effects: None })?;
            }
        }
        Ok(false)
    }
}

/// Verifies a public log under a policy; `progress` is told how many entries of how many are checked.
///
/// # Errors
/// [`NodeError::Public`] with the file and [`NodeError::Inconsistent`] with the entry that is wrong first.
pub fn verify_public(place: &Place, policy: &Policy, progress: &Progress) -> Result<PublicReport, NodeError> {
    let source = PublicSource::open(place, policy)?;
    let (mut chain, mut modules) = (Chain::default(), Modules::default());
    walk(&source, &mut chain, &mut modules, ("entries verified", source.size()), progress)?;
    let (ledger, origin) = finish(&source, &chain)?;
    let modules = match place {
        Place::Directory(dir) => {
            check_partials(place, dir, &chain.log, source.size())?;
            check_blobs(dir, &modules.0)?
        }
        Place::Url(..) => None,
    };
    let names = source.accepted.cosigners.iter();
    let cosigners = names.map(|(which, _)| policy.witnesses()[*which].name.clone()).collect();
    Ok(PublicReport {
        ledger,
        origin,
        vkey: source.accepted.log.to_vkey(),
        entries: chain.next,
        calls: chain.calls,
        blocks: chain.blocks,
        root: chain.log.root(),
        cosigners,
        modules,
    })
}

/// The paths of all files below `path` in a public log's directory.
pub(crate) fn files_below(disk: &dyn Disk, dir: &Path, path: &str, files: &mut Vec<String>) {
    match disk.list(&dir.join(path)) {
        Ok(names) => names.iter().for_each(|name| files_below(disk, dir, &format!("{path}/{name}"), files)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // A file, or what turns out to be unreadable when it is read.
        Err(_) => files.push(path.into()),
    }
}

/// What must hold at the end of a public log.
pub(crate) fn finish(source: &PublicSource<'_>, chain: &Chain) -> Result<(LedgerId, String), NodeError> {
    ends(&source.accepted.checkpoint, chain)
}

/// What must hold of entries that end where a checkpoint does.
pub(crate) fn ends(signed: &Checkpoint, chain: &Chain) -> Result<(LedgerId, String), NodeError> {
    let (ledger, origin) = chain.genesis.clone().ok_or_else(|| inconsistent(0, "the log has no genesis"))?;
    if origin != signed.origin {
        let problem = format!("it says that the log is {origin}, the checkpoint is one of {}", signed.origin);
        return Err(inconsistent(0, problem));
    }
    if chain.open != 0 {
        return Err(inconsistent(chain.next - 1, "the checkpoint ends within a block: its seal is missing"));
    }
    Ok((ledger, origin))
}

/// Compares the partial tiles of earlier sizes with those that the log had then.
fn check_partials(place: &Place, dir: &Path, log: &merkle::Tree, size: u64) -> Result<(), NodeError> {
    let differs = |path: String| {
        NodeError::Public(format!("{path} is not what the log had at that size: another tree was published there"))
    };
    let read = |path: &str, most| place.get(path, most).map_err(|error| NodeError::Public(format!("{path}: {error}")));
    for full in tiles_for(0, size) {
        let names = OsDisk.list(&dir.join(format!("{}.p", full.full().path()))).unwrap_or_default();
        let widths = names.iter().filter_map(|name| name.parse::<u16>().ok()).filter(|width| *width <= full.width);
        for tile in widths.map(|width| Tile { width, ..full }) {
            let found = read(&tile.path(), TILE_BYTES_MAX)?;
            if found.is_some() && found != log.tile(&tile) {
                return Err(differs(tile.path()));
            }
        }
    }
    for full in bundles_for(0, size) {
        let path = Bundle { width: full.tile().full().width, ..full }.path();
        let names = OsDisk.list(&dir.join(format!("{path}.p"))).unwrap_or_default();
        let widths = names.iter().filter_map(|name| name.parse::<u16>().ok()).filter(|width| *width <= full.width);
        for bundle in widths.map(|width| Bundle { width, ..full }) {
            let Some(found) = read(&bundle.path(), BUNDLE_BYTES_MAX)? else { continue };
            let entries = chancery_tlog::tile::decode_bundle(&found, bundle.width);
            let entries = entries.map_err(|error| NodeError::Public(format!("{}: {error}", bundle.path())))?;
            let leaves: Vec<u8> = entries.iter().flat_map(|entry| merkle::leaf_hash(entry).0).collect();
            if log.tile(&bundle.tile()) != Some(leaves) {
                return Err(differs(bundle.path()));
            }
        }
    }
    Ok(())
}

/// Checks that the modules are there, where there are blobs at all.
fn check_blobs(dir: &Path, modules: &BTreeMap<ModuleId, u64>) -> Result<Option<u64>, NodeError> {
    let disk: &dyn Disk = &OsDisk;
    if !matches!(disk.exists(&dir.join("blobs")), Ok(true)) {
        return Ok(None);
    }
    for (module, index) in modules {
        let path = format!("blobs/{}", blobs::name(module));
        let problem = match disk.read_if_there(&dir.join(&path))? {
            None => "is missing".into(),
            Some(bytes) if Hash::of(&bytes).0 != module.0 => format!("has the BLAKE3 {}", Hash::of(&bytes)),
            Some(_) => continue,
        };
        return Err(NodeError::Public(format!("{path}, the module of entry {index}, {problem}")));
    }
    Ok(Some(modules.len() as u64))
}
