//! A witness that serves: the decisions of [`chancery_tlog::witness`] with a disk and HTTP.
//!
//! ```text
//! DIR/lock                       held by the process that uses DIR
//! DIR/<hex SHA-256(origin)>      the latest checkpoint that was cosigned for this log, as a note
//! POST /add-checkpoint           see chancery_tlog::witness
//! GET  /<hex SHA-256(origin)>/checkpoint
//! ```
//!
//! What a witness is for is that it does not forget. For each log there is a lock, held from the look at the latest
//! checkpoint until the new one is durable (temporary file, fsync, rename, fsync of the directory) and the memory has
//! it. Then the cosignature is given away. A crash before the rename leaves the old checkpoint, and no cosignature went
//! out; a crash after it leaves the new one, and the log that got no answer asks again. When writing fails the answer
//! is 500 and memory keeps the old one: nothing was promised.
//!
//! At the start every file must be a checkpoint that this witness cosigned. A file that is none stops the witness,
//! since going on without it would mean to forget. While it serves, a file must be what it wrote last: where another
//! directory has come in the place of `DIR` (it was moved away, its file system unmounted), what is written there would
//! be missed when the right one is back, and the answer is 500. A whole directory that somebody sets back to an older
//! copy while no witness serves is not noticed; keep it where nobody does.
//!
//! Trusted: the disk and the key. Not trusted: the log, and whoever connects. Requests are bounded in length and number
//! at a time; time limits for slow senders are left to the proxy that also does TLS, so that the witness listens on the
//! loopback address.

use crate::NodeError;
use crate::directory;
use crate::disk::{self, Disk, OsDisk};
use crate::http::Answer;
use crate::metrics::WitnessMetrics;
use crate::target;
use chancery_tlog::Checkpoint;
use chancery_tlog::cosignature::Seconds;
use chancery_tlog::note::VerifierKey;
use chancery_tlog::witness::{
    REQUEST_BYTES_MAX, Refusal, Request, SIZE_CONTENT_TYPE, Witness, monitor_path, origin_digest,
};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Requests that are answered at the same time; further ones are answered 503.
const REQUESTS_MAX: usize = 64;
const TEXT: &str = "text/plain; charset=utf-8";

/// A witness with its memory.
pub struct WitnessServer {
    witness: Witness,
    dir: PathBuf,
    logs: BTreeMap<String, Mutex<Latest>>,
    running: AtomicUsize,
    metrics: WitnessMetrics,
    _lock: Box<dyn Send + Sync>,
}

/// Where it remembers.
const DISK: &dyn Disk = &OsDisk;

/// The latest checkpoint that was cosigned for one log, and its note.
type Latest = Option<(Checkpoint, String)>;

impl WitnessServer {
    /// A witness of these logs that remembers in `dir`, which is made where there is none.
    ///
    /// # Errors
    /// When the directory is in use, lies in a ledger's or cannot be used, or a checkpoint in it is not one that this
    /// witness cosigned ([`NodeError::Memory`]).
    pub fn open(
        dir: &Path,
        name: &str,
        key: ed25519_dalek::SigningKey,
        logs: Vec<VerifierKey>,
    ) -> Result<Self, NodeError> {
        target::outside_ledgers(DISK, dir)?;
        DISK.make_dirs(dir, disk::PRIVATE)?;
        let lock = directory::lock(DISK, dir)?;
        let witness = Witness::new(name, key, logs.clone());
        let mut latest = BTreeMap::new();
        for log in logs {
            let path = dir.join(origin_digest(&log.name));
            latest.insert(log.name.clone(), Mutex::new(remembered(&witness, name, &path, &log.name)?));
        }
        let (running, metrics) = (AtomicUsize::new(0), WitnessMetrics::new());
        Ok(WitnessServer { witness, dir: dir.into(), logs: latest, running, metrics, _lock: lock })
    }

    /// What its cosignatures are verified with.
    pub fn verifier(&self) -> chancery_tlog::cosignature::WitnessKey {
        self.witness.verifier()
    }

    /// Answers `add-checkpoint`, at this time.
    pub fn add_checkpoint(&self, body: &[u8], now: Seconds) -> Answer {
        let answer = match self.cosign(body, now) {
            Ok(Ok(line)) => Answer { status: 200, body: line.into_bytes() },
            Ok(Err(refusal)) => Answer { status: refusal.status(), body: refusal.body().into_bytes() },
            // The path of a file is nobody's business but ours.
            Err(_) => Answer { status: 500, body: b"the witness cannot write; nothing was cosigned\n".to_vec() },
        };
        self.metrics.answered(answer.status);
        answer
    }

    fn cosign(&self, body: &[u8], now: Seconds) -> Result<Result<String, Refusal>, NodeError> {
        let request = match Request::parse(body) {
            Ok(request) => request,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(log) = self.logs.get(request.origin()) else {
            return Ok(Err(Refusal::UnknownOrigin(request.origin().chars().take(100).collect())));
        };
        let mut latest = log.lock().unwrap_or_else(PoisonError::into_inner);
        let cosigned = match self.witness.decide(&request, latest.as_ref().map(|(checkpoint, _)| checkpoint), now) {
            Ok(cosigned) => cosigned,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let corrupt = |error: chancery_tlog::note::NoteError| NodeError::Memory(error.to_string());
        let checkpoint = self.witness.reopen(&cosigned.persist, request.origin()).map_err(corrupt)?;
        let path = self.dir.join(origin_digest(request.origin()));
        let kept = DISK.read_if_there(&path)?;
        if kept.as_deref() != latest.as_ref().map(|(_, note)| note.as_bytes()) {
            return Err(NodeError::Memory(format!("{} is not what was cosigned last", path.display())));
        }
        // Durable from here on, and only then given away.
        DISK.write_file(&path, cosigned.persist.as_bytes(), 0o644)?;
        *latest = Some((checkpoint, cosigned.persist));
        Ok(Ok(cosigned.answer))
    }

    /// Answers a monitor that asks for the latest checkpoint, by path.
    pub fn latest(&self, path: &str) -> Answer {
        let asked = self.logs.iter().find(|(origin, _)| path.strip_prefix('/') == Some(&monitor_path(origin)));
        let latest = asked.and_then(|(_, latest)| latest.lock().unwrap_or_else(PoisonError::into_inner).clone());
        match latest {
            Some((_, note)) => Answer { status: 200, body: note.into_bytes() },
            None => Answer { status: 404, body: b"this witness has cosigned nothing of this log\n".to_vec() },
        }
    }

    /// Serves until the listener fails. Each request has a thread of its own.
    ///
    /// # Errors
    /// What the listener says.
    pub fn serve(self: Arc<Self>, listener: &tiny_http::Server) -> io::Result<()> {
        loop {
            let request = listener.recv()?;
            let server = Arc::clone(&self);
            if self.running.fetch_add(1, Ordering::SeqCst) >= REQUESTS_MAX {
                self.running.fetch_sub(1, Ordering::SeqCst);
                respond(request, Answer { status: 503, body: b"too many requests at a time\n".to_vec() });
                continue;
            }
            std::thread::spawn(move || {
                server.handle(request);
                server.running.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }

    fn handle(&self, mut request: tiny_http::Request) {
        let answer = match (request.method(), request.url()) {
            (tiny_http::Method::Post, "/add-checkpoint") => {
                let mut body = Vec::new();
                // One byte more than is accepted, so that what is too long is seen to be.
                match request.as_reader().take(REQUEST_BYTES_MAX as u64 + 1).read_to_end(&mut body) {
                    Ok(_) => self.add_checkpoint(&body, now()),
                    Err(_) => Answer { status: 400, body: b"the request's body cannot be read\n".to_vec() },
                }
            }
            (tiny_http::Method::Get, path) => self.latest(path),
            (_, "/add-checkpoint") => Answer { status: 405, body: b"expected POST\n".to_vec() },
            _ => Answer { status: 404, body: b"expected POST /add-checkpoint\n".to_vec() },
        };
        respond(request, answer);
    }
}

fn respond(request: tiny_http::Request, answer: Answer) {
    let content = if answer.status == 409 { SIZE_CONTENT_TYPE } else { TEXT };
    let response = tiny_http::Response::from_data(answer.body).with_status_code(answer.status);
    let response = match tiny_http::Header::from_bytes("Content-Type", content) {
        Ok(header) => response.with_header(header),
        Err(()) => response,
    };
    // A client that has hung up asks again, and is told what was decided.
    drop(request.respond(response));
}

/// The time of a cosignature.
fn now() -> Seconds {
    Seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// What a file says that was cosigned last for this log.
fn remembered(witness: &Witness, name: &str, path: &Path, origin: &str) -> Result<Latest, NodeError> {
    let Some(note) = DISK.read_if_there(path)? else { return Ok(None) };
    let corrupt = |problem: String| {
        NodeError::Memory(format!(
            "{}, kept for {origin}, is not what `{name}` cosigned with this key ({problem}): it is damaged, or of another key or name. Serve under the key and name that it is of; or restore the file, from a copy that is as new as the last cosignature; or begin with an empty directory under another key and name",
            path.display()
        ))
    };
    let note = String::from_utf8(note).map_err(|error| corrupt(error.to_string()))?;
    let checkpoint = witness.reopen(&note, origin).map_err(|error| corrupt(error.to_string()))?;
    Ok(Some((checkpoint, note)))
}
