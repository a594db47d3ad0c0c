//! Rot, loss and mixing up: what is done to the files of a ledger that lies still.
//!
//! A small ledger is made on a simulated disk, with several segments, one of which was closed early by an unclean stop, checkpoint, tiles, bundles, a blob,
//! a policy. Then, on a copy each time,
//!
//! - every byte of every file is flipped, one at a time;
//! - every file is deleted, emptied, cut, lengthened, replaced by an older copy of itself, and by another ledger's.
//!
//! The doctor examines the copy, and it is opened. It must be **refused** or the doctor must **find** it, each with a message that names the file; or it
//! is **harmless**: the ledger that opens has the same head, entries, state, requests, modules and public log as before, and the doctor then
//! finds nothing, because what was damaged does not count or is made again. A message that names nothing, or another answer, fails.
//!
//! What comes of it is counted by kind of file; where the doctor alone can tell is seen from that.
//!
//! The view is flipped in `the_view_on_sled`, on the system's disk, since sled is not reached through the simulated one.
//!
//! `CHANCERY_ROT_STRIDE` chooses every how manyth byte is flipped; 1 is every byte.

mod common;

use chancery_engine::{Cache, Config, Engine};
use chancery_node::doctor::Kind;
use chancery_node::sim::{SimDisk, SimViews};
use chancery_node::{Disk, Ledger, NodeError, Options, Scan, doctor};
use chancery_tlog::tile::{bundles_for, tiles_for};
use chancery_types::{Action, ContractId, Hash, RequestId};
use common::{ORIGIN, call, log_key, module, put};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

const DIR: &str = "/town";
/// So short that there are several.
const SEGMENT_BYTES: u64 = 8 << 10;
const CALLS: u128 = 18;
/// Every how manyth byte is flipped where nothing else is asked for.
const STRIDE: usize = 61;

fn stride() -> usize {
    std::env::var("CHANCERY_ROT_STRIDE").map_or(STRIDE, |stride| stride.parse().expect("a number of bytes"))
}

fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| Arc::new(Engine::new(Config::default()).unwrap())).clone()
}

fn options(disk: &SimDisk, views: &SimViews) -> Options {
    Options {
        log_key: Some(log_key()),
        disk: Arc::new(disk.clone()),
        open_view: views.opener(disk),
        engine: Some(engine()),
        segment_bytes: SEGMENT_BYTES,
        threads: false,
        ..common::options()
    }
}

fn blocks(ledger: &Ledger, requests: std::ops::Range<u128>) {
    for request in requests {
        let ticket = ledger.submit(put(ledger, request)).unwrap();
        ledger.step();
        assert!(ticket.wait().unwrap().outcome().unwrap().is_done());
        ledger.follow();
        if request % 4 == 3 {
            ledger.publish();
        }
    }
}

/// A ledger that was closed in order, after an unclean stop on the way.
fn made() -> (SimDisk, SimViews) {
    let (disk, views) = (SimDisk::new(1), SimViews::default());
    let ledger = Ledger::create(Path::new(DIR), ORIGIN, &log_key(), options(&disk, &views)).unwrap();
    let (module, _) = ledger.put_module(&module()).unwrap();
    let deploy = Action::Deploy { name: "notes".into(), module, arguments: vec![] };
    let ticket = ledger.submit(call(&ledger, 1 << 100, deploy)).unwrap();
    ledger.step();
    ticket.wait().unwrap();
    let policy = ledger.policy().unwrap().to_string();
    ledger.set_policy(policy.as_bytes()).unwrap();
    blocks(&ledger, 0..CALLS / 2);
    ledger.crash();
    disk.kill();
    let ledger = Ledger::open(Path::new(DIR), options(&disk, &views)).unwrap();
    blocks(&ledger, CALLS / 2..CALLS);
    ledger.close().unwrap();
    (disk, views)
}

/// All that a ledger answers.
#[derive(PartialEq, Eq)]
struct Answers {
    head: chancery_node::Head,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    pairs: Vec<chancery_node::Pair>,
    requests: Vec<Option<u64>>,
    module: Vec<u8>,
}

fn answers(ledger: &Ledger) -> Result<Answers, NodeError> {
    use chancery_types::codec::Encode;
    let head = ledger.head();
    let all = Scan { limit: usize::MAX, ..Scan::default() };
    let record = ledger.contract("notes")?;
    let contracts = [ContractId([0; 32]), record.as_ref().map_or(ContractId([1; 32]), |record| record.id)];
    let pairs = contracts.iter().map(|id| ledger.state_scan(id, &all)).collect::<Result<Vec<_>, _>>()?;
    let requests = (0..CALLS).chain([1 << 100]).map(|request| ledger.find(RequestId(request)));
    let entry = |index| ledger.entry(index).map(|(entry, effects)| (entry.to_bytes(), effects.to_bytes()));
    Ok(Answers {
        entries: (0..head.size).map(entry).collect::<Result<_, _>>()?,
        head,
        pairs: pairs.concat(),
        requests: requests.collect::<Result<_, _>>()?,
        module: ledger.module_bytes(&record.unwrap().module)?,
    })
}

/// The files that others read.
fn public(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = disk.files().into_iter().filter(|path| path.starts_with("/town/public"));
    files.map(|path| (path.clone(), disk.read(&path).unwrap())).collect()
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Verdict {
    /// It does not open, and says which file is at fault.
    Refused,
    /// It opens, the doctor finds the file, and finds it still afterwards.
    Found,
    /// The doctor finds the file, and opening the ledger makes it again.
    Rebuilt,
    /// Nothing is found, and nothing is changed.
    Harmless,
}

struct Sound {
    disk: SimDisk,
    views: SimViews,
    answers: Answers,
    public: BTreeMap<PathBuf, Vec<u8>>,
}

impl Sound {
    fn new() -> Self {
        let (disk, views) = made();
        let (copy, its_views) = (disk.copy(), views.copy());
        let diagnosis = doctor::examine(Path::new(DIR), &options(&copy, &its_views)).unwrap();
        assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
        let ledger = Ledger::open(Path::new(DIR), options(&copy, &its_views)).unwrap();
        let answers = answers(&ledger).unwrap();
        ledger.close().unwrap();
        Sound { public: public(&disk), disk, views, answers }
    }

    /// Whether the newest checkpoint leads to a file of the public log.
    fn is_needed(&self, path: &Path) -> bool {
        let size = self.answers.head.size;
        let tiles = tiles_for(0, size).map(|tile| tile.path());
        let needed: Vec<String> = tiles.chain(bundles_for(0, size).map(|bundle| bundle.path())).collect();
        !path.starts_with("/town/public/tile") || needed.iter().any(|needed| path.ends_with(needed))
    }

    /// Judges a ledger one of whose files was changed.
    fn judge(&self, disk: &SimDisk, views: &SimViews, path: &Path) -> Result<Verdict, String> {
        let options = || options(disk, views);
        // A blob may be named by its BLAKE3 alone.
        let name = if kind(path) == "blobs" { path.file_name().unwrap().into() } else { path.as_os_str().to_owned() };
        let names = |message: &str| message.contains(name.to_str().unwrap());
        let found = |when: &str| match doctor::examine(Path::new(DIR), &options()) {
            Ok(diagnosis) => {
                let wrong: Vec<_> = diagnosis.findings.iter().filter(|finding| finding.kind != Kind::Note).collect();
                match wrong.iter().find(|finding| finding.file != *path && !names(&finding.problem)) {
                    Some(other) => Err(format!("{when} the doctor names another file: {other:?}")),
                    None => Ok(!wrong.is_empty()),
                }
            }
            Err(error) if names(&error.to_string()) => Ok(true),
            Err(error) => Err(format!("{when} the doctor's error names no file: {error}")),
        };
        let before = found("before")?;
        let ledger = match Ledger::open(Path::new(DIR), options()) {
            Ok(ledger) => ledger,
            Err(error) if !names(&error.to_string()) => return Err(format!("the message names no file: {error}")),
            Err(error) if !before => return Err(format!("the doctor did not find why it does not open: {error}")),
            Err(_) => return Ok(Verdict::Refused),
        };
        match answers(&ledger) {
            Ok(answers) if answers == self.answers => {}
            Ok(_) => return Err("it opens and answers otherwise".into()),
            Err(error) if names(&error.to_string()) && before => return Ok(Verdict::Found),
            Err(error) => return Err(format!("it opens and does not answer: {error}")),
        }
        ledger.close().map_err(|error| error.to_string())?;
        let after = found("after")?;
        let public = public(disk);
        if !after && public.iter().any(|(path, bytes)| self.public.get(path) != Some(bytes)) {
            return Err("the public log is another one, and nothing is found".into());
        }
        // A partial tile of an earlier size may be gone: who published what and when is written nowhere. Nobody with the newest checkpoint needs it.
        let gone = self.public.keys().filter(|path| !public.contains_key(*path)).collect::<Vec<_>>();
        if !after && gone.iter().any(|gone| *gone != path || self.is_needed(gone)) {
            return Err(format!("{gone:?} are gone from the public log, and nothing is found"));
        }
        Ok(match (before, after) {
            (_, true) => Verdict::Found,
            (true, false) => Verdict::Rebuilt,
            (false, false) => Verdict::Harmless,
        })
    }
}

/// What kind of file it is.
fn kind(path: &Path) -> &'static str {
    let path = path.strip_prefix(DIR).unwrap().to_str().unwrap();
    match path {
        "format" | "log.vkey" | "cache.key" | "policy" | "lock" => "single files",
        "journal/closed" => "journal/closed",
        "public/checkpoint" => "checkpoint",
        _ if path.starts_with("journal/") => "journal",
        _ if path.starts_with("public/tile/entries") => "bundles",
        _ if path.starts_with("public/tile/") => "tiles",
        _ if path.starts_with("blobs/") => "blobs",
        other => panic!("{other} is of no known kind"),
    }
}

type Counts = BTreeMap<(&'static str, Verdict), u64>;

/// Does all the work on two threads, each piece under a stack that the engine needs; gives the counts by kind and verdict.
fn judge_all<T: Sync>(work: &[T], judge: impl Fn(&T) -> (&'static str, Result<Verdict, String>) + Sync) -> Counts {
    let (next, counts, failed) = (AtomicUsize::new(0), Mutex::new(Counts::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let one = || {
                while let Some(item) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let (kind, verdict) = judge(item);
                    match verdict {
                        Ok(verdict) => *counts.lock().unwrap().entry((kind, verdict)).or_default() += 1,
                        Err(error) => failed.lock().unwrap().push(error),
                    }
                }
            };
            std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, one).unwrap();
        }
    });
    let failed: Vec<String> = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} cases: {failed:#?}", failed.len());
    counts.into_inner().unwrap()
}

fn print(what: &str, counts: &Counts) {
    for ((kind, verdict), count) in counts {
        println!("{what}: {kind}: {count} {verdict:?}");
    }
}

#[test]
fn every_byte_of_every_file_flipped() {
    let sound = Sound::new();
    let mut places = Vec::new();
    for (number, path) in sound.disk.files().into_iter().enumerate() {
        let len = sound.disk.read(&path).unwrap().len();
        places.extend((number % stride()..len).step_by(stride()).map(|offset| (path.clone(), offset)));
    }
    let bytes: usize = sound.disk.files().iter().map(|path| sound.disk.read(path).unwrap().len()).sum();
    println!("{bytes} bytes in {} files, {} of them flipped", sound.disk.files().len(), places.len());
    let counts = judge_all(&places, |(path, offset)| {
        let (disk, views) = (sound.disk.copy(), sound.views.copy());
        disk.flip(path, *offset, 1 << (offset % 8));
        let verdict = sound.judge(&disk, &views, path);
        (kind(path), verdict.map_err(|error| format!("byte {offset} of {}: {error}", path.display())))
    });
    print("flipped", &counts);
    // What exists once is never taken as it is.
    let of = |kind, verdict| counts.get(&(kind, verdict)).copied().unwrap_or_default();
    assert_eq!(of("blobs", Verdict::Harmless) + of("checkpoint", Verdict::Harmless), 0);
    assert!(of("journal", Verdict::Refused) > 0);
}

/// What is done to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Harm {
    Deleted,
    Emptied,
    Halved,
    Lengthened,
    Older,
    Foreign,
}

/// What may come of it.
fn allowed(kind: &str, harm: Harm, same: bool) -> &'static [Verdict] {
    use Verdict::{Found, Harmless, Rebuilt, Refused};
    match (kind, harm) {
        // The other file has the same bytes, or is of another size of the log and right all the same.
        _ if same => &[Harmless],
        // What is behind the last block does not count, and an older checkpoint of this log is one.
        ("journal", Harm::Lengthened) | ("checkpoint", Harm::Older) => &[Harmless],
        // Without one, the journal's own end is vouched for by `closed` alone, and another is published.
        ("checkpoint", Harm::Deleted) => &[Harmless],
        ("journal" | "checkpoint", _) => &[Refused],
        // It vouches for the end: without it the last block is written again.
        ("journal/closed", _) => &[Harmless],
        ("blobs", _) => &[Found],
        // A partial tile of an earlier size may be gone.
        ("tiles" | "bundles", Harm::Deleted | Harm::Older | Harm::Foreign) => &[Found, Rebuilt, Harmless],
        ("tiles" | "bundles", _) => &[Found, Rebuilt],
        _ => &[Refused, Found, Rebuilt, Harmless],
    }
}

/// What single files come to, which are unlike each other.
fn allowed_single(name: &str, harm: Harm) -> &'static [Verdict] {
    use Verdict::{Found, Harmless, Refused};
    match (name, harm) {
        ("format" | "log.vkey", Harm::Older) | ("policy", Harm::Older | Harm::Foreign) => &[Harmless],
        ("format" | "log.vkey", Harm::Foreign) => &[Harmless],
        ("format" | "log.vkey", _) => &[Refused],
        // There is none before the policy is set; then the log's key alone is believed.
        ("policy", Harm::Deleted) => &[Harmless],
        ("policy", _) => &[Refused],
        ("cache.key", Harm::Older | Harm::Foreign) | ("lock", _) => &[Harmless],
        ("cache.key", _) => &[Found],
        other => panic!("{other:?} is not in the table"),
    }
}

#[test]
fn files_deleted_cut_replaced_and_mixed_up() {
    let sound = Sound::new();
    // The same ledger some blocks earlier, and another one.
    let (older, foreign) = (earlier(&sound), made().0);
    let harms = [Harm::Deleted, Harm::Emptied, Harm::Halved, Harm::Lengthened, Harm::Older, Harm::Foreign];
    let work: Vec<_> = sound.disk.files().into_iter().flat_map(|path| harms.map(|harm| (path.clone(), harm))).collect();
    let counts = judge_all(&work, |(path, harm)| {
        let (copy, views) = (sound.disk.copy(), sound.views.copy());
        let disk: &dyn Disk = &copy;
        let bytes = disk.read(path).unwrap();
        let other = |from: &SimDisk| from.read(path).unwrap_or_default();
        match harm {
            Harm::Deleted => disk.remove(path).unwrap(),
            Harm::Emptied => disk.write_file(path, &[], 0o640).unwrap(),
            Harm::Halved => disk.write_file(path, &bytes[..bytes.len() / 2], 0o640).unwrap(),
            Harm::Lengthened => disk.write_file(path, &[&bytes[..], b"more"].concat(), 0o640).unwrap(),
            Harm::Older => disk.write_file(path, &other(&older), 0o640).unwrap(),
            Harm::Foreign => disk.write_file(path, &other(&foreign), 0o640).unwrap(),
        }
        let same = disk.read(path).is_ok_and(|now| now == bytes);
        let single = kind(path) == "single files";
        let name = path.file_name().unwrap().to_str().unwrap();
        let allowed = if single { allowed_single(name, *harm) } else { allowed(kind(path), *harm, same) };
        let verdict = match sound.judge(&copy, &views, path) {
            Ok(verdict) if !allowed.contains(&verdict) => {
                Err(format!("expected one of {allowed:?}, found {verdict:?}"))
            }
            verdict => verdict,
        };
        (kind(path), verdict.map_err(|error| format!("{} {harm:?}: {error}", path.display())))
    });
    print("harmed", &counts);
}

/// The ledger as it was after half of its calls: that of the same genesis.
fn earlier(sound: &Sound) -> SimDisk {
    // The blocks of the second half are cut off where the last segment of the first half was superseded: opened without what vouches for more.
    let (disk, views) = (sound.disk.copy(), SimViews::default());
    for path in ["journal/closed", "public/checkpoint"] {
        disk.remove(&Path::new(DIR).join(path)).unwrap();
    }
    let last = disk.files().into_iter().rfind(|path| path.extension().is_some_and(|end| end == "seg"));
    disk.remove(&last.unwrap()).unwrap();
    let ledger = Ledger::open(Path::new(DIR), options(&disk, &views)).unwrap();
    assert!(ledger.head().size < sound.answers.head.size);
    ledger.close().unwrap();
    disk
}

/// What is derived is made again when the doctor is told, and not before; what is not is left alone.
#[test]
fn the_doctor_makes_again_what_is_derived_when_told() {
    let sound = Sound::new();
    let disk = sound.disk.copy();
    let views = sound.views.copy();
    let tile = sound.disk.files().into_iter().find(|path| kind(path) == "tiles").unwrap();
    let bundle = sound.disk.files().into_iter().find(|path| kind(path) == "bundles").unwrap();
    disk.flip(&tile, 3, 1);
    disk.remove(&bundle).unwrap();
    let left = Path::new(DIR).join("blobs/half.0.tmp");
    (&disk as &dyn Disk).write_file(&left, b"half", 0o640).unwrap();
    views.damage(chancery_node::sim::ViewFault::LostPair);
    let harmed = public(&disk);
    let seen = doctor::examine(Path::new(DIR), &options(&disk, &views)).unwrap();
    let files: Vec<_> = seen.findings.iter().map(|finding| finding.file.clone()).collect();
    for path in [&tile, &left, &Path::new(DIR).join("view")] {
        assert!(files.contains(path), "{} is not among {files:?}", path.display());
    }
    assert!(seen.findings.iter().all(|finding| finding.kind == Kind::Derived), "{:#?}", seen.findings);
    assert!(public(&disk) == harmed, "examining changes nothing");
    let (before, after) = doctor::repair(Path::new(DIR), &options(&disk, &views)).unwrap();
    assert_eq!(before.findings, seen.findings);
    let kinds: Vec<_> = after.findings.iter().map(|finding| (finding.kind, finding.file.clone())).collect();
    assert_eq!(kinds, [(Kind::Note, Path::new(DIR).join("view.quarantine-1"))]);
    assert!(public(&disk).iter().all(|(path, bytes)| sound.public.get(path) == Some(bytes)));
    let ledger = Ledger::open(Path::new(DIR), options(&disk, &views)).unwrap();
    assert!(answers(&ledger).unwrap() == sound.answers);
    ledger.crash();

    // Nothing is made again from a journal that is damaged.
    let disk = sound.disk.copy();
    disk.flip(&tile, 3, 1);
    disk.flip(&Path::new(DIR).join("journal/00000000.seg"), 300, 1);
    let harmed = public(&disk);
    let (_, after) = doctor::repair(Path::new(DIR), &options(&disk, &sound.views.copy())).unwrap();
    assert!(!after.is_sound() && public(&disk) == harmed);
}

/// A directory with a ledger on the system's disk, and the files of its view.
fn on_the_system(dir: &Path) -> (Answers, Vec<(PathBuf, Vec<u8>)>) {
    let ledger = Ledger::create(dir, ORIGIN, &log_key(), system_options()).unwrap();
    let (module, _) = ledger.put_module(&module()).unwrap();
    let deploy = Action::Deploy { name: "notes".into(), module, arguments: vec![] };
    let ticket = ledger.submit(call(&ledger, 1 << 100, deploy)).unwrap();
    ledger.step();
    ticket.wait().unwrap();
    blocks(&ledger, 0..CALLS);
    let answers = answers(&ledger).unwrap();
    ledger.close().unwrap();
    let files = common::files(&dir.join("view"));
    (answers, files)
}

fn system_options() -> Options {
    Options {
        log_key: Some(log_key()),
        engine: Some(engine()),
        segment_bytes: SEGMENT_BYTES,
        threads: false,
        ..common::options()
    }
}

/// Every byte of sled's files: the view is as it was, or is made again; sled may panic over it.
#[test]
fn the_view_on_sled() {
    let template = tempfile::tempdir().unwrap();
    let (sound, files) = on_the_system(&template.path().join("town"));
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("view: {bytes} bytes in {} files", files.len());
    for (path, bytes) in &files {
        let nonzero = bytes.iter().filter(|byte| **byte != 0).count();
        println!("  {} {} ({nonzero} not zero)", path.strip_prefix(template.path()).unwrap().display(), bytes.len());
    }
    let mut places = Vec::new();
    for (number, (_, bytes)) in files.iter().enumerate() {
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // Behind what sled has written lie zeros, of which a few stand for all.
        places.extend((0..written).step_by(stride()).map(|offset| (number, offset)));
        places.extend((written..bytes.len()).step_by(4_099 * stride()).map(|offset| (number, offset)));
    }
    println!("view: {} of them flipped", places.len());
    let begun = std::time::Instant::now();
    let next = Mutex::new(0);
    let counts = judge_all(&places, |(number, offset)| {
        let town = template.path().join(format!("{}", {
            let mut next = next.lock().unwrap();
            *next += 1;
            *next
        }));
        common::copy(&template.path().join("town"), &town);
        let file = town.join(files[*number].0.strip_prefix(template.path().join("town")).unwrap());
        let mut flipped = files[*number].1.clone();
        flipped[*offset] ^= 1 << (offset % 8);
        std::fs::write(&file, flipped).unwrap();
        let verdict =
            judge_view(&town, &sound).map_err(|error| format!("byte {offset} of {}: {error}", file.display()));
        std::fs::remove_dir_all(&town).unwrap();
        ("view", verdict)
    });
    println!("{:?}", begun.elapsed());
    print("flipped", &counts);
    assert!(counts.keys().all(|(_, verdict)| matches!(verdict, Verdict::Rebuilt | Verdict::Harmless)));
}

fn judge_view(town: &Path, sound: &Answers) -> Result<Verdict, String> {
    let ledger = Ledger::open(town, system_options()).map_err(|error| format!("it does not open: {error}"))?;
    if answers(&ledger).map_err(|error| format!("it does not answer: {error}"))? != *sound {
        return Err("it opens and answers otherwise".into());
    }
    ledger.crash();
    let diagnosis = doctor::examine(town, &system_options()).map_err(|error| error.to_string())?;
    match diagnosis.findings.iter().find(|finding| finding.kind != Kind::Note) {
        Some(finding) => Err(format!("it was opened, and the doctor finds: {finding:?}")),
        None if diagnosis.findings.iter().any(|finding| finding.file.ends_with("view.quarantine-1")) => {
            Ok(Verdict::Rebuilt)
        }
        None => Ok(Verdict::Harmless),
    }
}

/// Each byte of a file of compiled code: never loaded, named by the doctor's means, and harmless, since the module is compiled again.
#[test]
fn every_byte_of_compiled_code_flipped() {
    let dir = tempfile::tempdir().unwrap();
    let cache = || Cache::new(dir.path().into(), [7; 32]);
    let engine = Engine::new(Config { cache: Some(cache()), ..Config::default() }).unwrap();
    engine.load(&module()).unwrap();
    let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    assert!(cache().damaged().unwrap().is_empty());
    let places: Vec<usize> = (0..bytes.len()).step_by(stride()).collect();
    for offset in &places {
        let mut flipped = bytes.clone();
        flipped[*offset] ^= 1 << (offset % 8);
        std::fs::write(&file, &flipped).unwrap();
        assert_eq!(cache().damaged().unwrap(), std::slice::from_ref(&file), "byte {offset}");
    }
    println!("flipped: compiled code: {} of {} Found", places.len(), bytes.len());
    // A damaged file is deleted when it is met, and another one made.
    let engine = Engine::new(Config { cache: Some(cache()), ..Config::default() }).unwrap();
    engine.load(&module()).unwrap();
    assert!(cache().damaged().unwrap().is_empty() && file.exists());
    assert_eq!(Hash::of(&module()).0, engine.load(&module()).unwrap().id.0);
}
