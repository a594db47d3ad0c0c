//! WASI preview 1, for programs of languages that want it: C, Zig, TinyGo.
//!
//! A module that imports from [`WASI_MODULE`] is of the *WASI profile*: it may also compute in floating point (NaNs are canonical), and
//! may export `_initialize`, which then runs before the entry function in every call. Besides these imports it is a contract like any
//! other. What it finds is the same on every machine, and there is nothing else:
//!
//! - both clocks show the block's time, and stand still during a call;
//! - randomness is the BLAKE3 stream of the call's context under the derived key `chancery 2026 wasi random v1`: anybody can compute it, so
//!   it is fit for hash tables and sampling, not for secrets;
//! - standard input is at its end; standard output and error go to the diagnostics;
//! - there are no arguments, no environment, no files, no sockets, no signals, and nothing to wait for;
//! - `proc_exit` ends the call like `unreachable`, whatever its code: a contract answers by its entry function.
//!
//! Every function of preview 1 is here, so that every program links; those without meaning answer the errno that the specification has
//! for it (`bad descriptor` where there is no such descriptor). These answers, and what they cost, are promised like the rest of the ABI:
//! that is why they are ours and not those of a library, whose answers change, which has no means of charging by the byte, and whose
//! `poll_oneoff` sleeps.
//!
//! Each call costs [`WASI`](prices::WASI), each vector [`WASI_VECTOR`](prices::WASI_VECTOR), each byte written or random
//! [`WASI_BYTE`](prices::WASI_BYTE), all before the work.

use super::{End, Host, Outside, Stop};
use crate::limits::LOG_BYTES_MAX;
use crate::prices;
use chancery_types::{Gas, TrapKind};

/// Name of the import module.
pub const WASI_MODULE: &str = "wasi_snapshot_preview1";

const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const INVAL: i32 = 28;
const NOSYS: i32 = 52;
const NOTDIR: i32 = 54;
const NOTSOCK: i32 = 57;
const NOTSUP: i32 = 58;
const SPIPE: i32 = 70;

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Nothing, with success.
    Nothing,
    /// Answers this.
    Errno(i32),
    /// Answers this for descriptors 0 to 2, the standard streams, and [`BADF`] for any other.
    OfStream(i32),
    /// Writes that there are none: two zeros.
    Sizes,
    /// The resolution of a clock.
    Resolution,
    /// The time of a clock.
    Time,
    /// What a descriptor is.
    Stat,
    /// Reads from a stream.
    Read,
    /// Writes to a stream.
    Write,
    /// Fills with random bytes.
    Random,
    /// Ends the call.
    Exit,
}

/// A function of preview 1. Its result is an errno (`i32`), but for `proc_exit`, which has none.
#[derive(Clone, Copy, Debug)]
pub struct WasiFunction {
    /// Its name in [`WASI_MODULE`].
    pub name: &'static str,
    /// Its parameters: `i` is an `i32`, `I` an `i64`.
    pub parameters: &'static str,
    work: Work,
}

impl WasiFunction {
    /// Whether it answers an errno.
    pub fn has_result(&self) -> bool {
        self.work != Work::Exit
    }

    /// The function's line in the table of `docs/src/formats/abi.md`.
    pub fn abi_line(&self) -> String {
        let does = match self.work {
            Work::Nothing => "success".into(),
            Work::Errno(errno) => format!("errno {errno}"),
            Work::OfStream(errno) => format!("errno {errno} for a standard stream, else {BADF}"),
            Work::Sizes => "success: none, of no bytes".into(),
            Work::Resolution => format!("a millisecond for clocks 0 and 1, else errno {INVAL}"),
            Work::Time => format!("the block's time in nanoseconds for clocks 0 and 1, else errno {INVAL}"),
            Work::Stat => format!("a character device for a standard stream, else errno {BADF}"),
            Work::Read => format!("no bytes for descriptor 0, else errno {BADF}"),
            Work::Write => format!("to the diagnostics for descriptors 1 and 2, else errno {BADF}"),
            Work::Random => "bytes that follow from the block and the call".into(),
            Work::Exit => "ends the call as `Unreachable`".into(),
        };
        format!("| `{}` | {does} |", self.name)
    }
}

const fn f(name: &'static str, parameters: &'static str, work: Work) -> WasiFunction {
    WasiFunction { name, parameters, work }
}

/// Every function of preview 1.
#[rustfmt::skip]
pub const WASI_FUNCTIONS: &[WasiFunction] = &[
    f("args_get", "ii", Work::Nothing),
    f("args_sizes_get", "ii", Work::Sizes),
    f("environ_get", "ii", Work::Nothing),
    f("environ_sizes_get", "ii", Work::Sizes),
    f("clock_res_get", "ii", Work::Resolution),
    f("clock_time_get", "iIi", Work::Time),
    f("fd_advise", "iIIi", Work::OfStream(SPIPE)),
    f("fd_allocate", "iII", Work::OfStream(SPIPE)),
    f("fd_close", "i", Work::OfStream(NOTSUP)),
    f("fd_datasync", "i", Work::OfStream(INVAL)),
    f("fd_fdstat_get", "ii", Work::Stat),
    f("fd_fdstat_set_flags", "ii", Work::OfStream(NOTSUP)),
    f("fd_fdstat_set_rights", "iII", Work::OfStream(NOTSUP)),
    f("fd_filestat_get", "ii", Work::OfStream(NOTSUP)),
    f("fd_filestat_set_size", "iI", Work::OfStream(INVAL)),
    f("fd_filestat_set_times", "iIIi", Work::OfStream(NOTSUP)),
    f("fd_pread", "iiiIi", Work::OfStream(SPIPE)),
    f("fd_prestat_get", "ii", Work::Errno(BADF)),
    f("fd_prestat_dir_name", "iii", Work::Errno(BADF)),
    f("fd_pwrite", "iiiIi", Work::OfStream(SPIPE)),
    f("fd_read", "iiii", Work::Read),
    f("fd_readdir", "iiiIi", Work::OfStream(NOTDIR)),
    f("fd_renumber", "ii", Work::OfStream(NOTSUP)),
    f("fd_seek", "iIii", Work::OfStream(SPIPE)),
    f("fd_sync", "i", Work::OfStream(INVAL)),
    f("fd_tell", "ii", Work::OfStream(SPIPE)),
    f("fd_write", "iiii", Work::Write),
    f("path_create_directory", "iii", Work::OfStream(NOTDIR)),
    f("path_filestat_get", "iiiii", Work::OfStream(NOTDIR)),
    f("path_filestat_set_times", "iiiiIIi", Work::OfStream(NOTDIR)),
    f("path_link", "iiiiiii", Work::OfStream(NOTDIR)),
    f("path_open", "iiiiiIIii", Work::OfStream(NOTDIR)),
    f("path_readlink", "iiiiii", Work::OfStream(NOTDIR)),
    f("path_remove_directory", "iii", Work::OfStream(NOTDIR)),
    f("path_rename", "iiiiii", Work::OfStream(NOTDIR)),
    f("path_symlink", "iiiii", Work::Errno(BADF)),
    f("path_unlink_file", "iii", Work::OfStream(NOTDIR)),
    f("poll_oneoff", "iiii", Work::Errno(NOTSUP)),
    f("proc_exit", "i", Work::Exit),
    f("proc_raise", "i", Work::Errno(NOSYS)),
    f("random_get", "ii", Work::Random),
    f("sched_yield", "", Work::Nothing),
    f("sock_accept", "iii", Work::OfStream(NOTSOCK)),
    f("sock_recv", "iiiiii", Work::OfStream(NOTSOCK)),
    f("sock_send", "iiiii", Work::OfStream(NOTSOCK)),
    f("sock_shutdown", "ii", Work::OfStream(NOTSOCK)),
];

/// The guest's memory between two numbers that the guest named.
fn part(memory: &mut [u8], start: u64, len: u64) -> Result<&mut [u8], Outside> {
    let range = usize::try_from(start).ok().zip(start.checked_add(len).and_then(|end| usize::try_from(end).ok()));
    range.and_then(|(start, end)| memory.get_mut(start..end)).ok_or(Outside)
}

fn put(memory: &mut [u8], start: u64, bytes: &[u8]) -> Result<i32, Outside> {
    part(memory, start, bytes.len() as u64)?.copy_from_slice(bytes);
    Ok(SUCCESS)
}

/// A vector: where, and how long.
fn vector(memory: &mut [u8], at: u64) -> Result<(u64, u64), Outside> {
    let bytes = part(memory, at, 8)?;
    let number =
        |start: usize| bytes[start..start + 4].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok((number(0), number(4)))
}

impl Host {
    /// Runs a function of WASI on the guest's memory. The parameters are as many as it has.
    pub(crate) fn wasi(&mut self, function: &WasiFunction, memory: &mut [u8], p: &[u64]) -> Result<i32, End> {
        self.charge(Gas(prices::WASI))?;
        let parameter = |index: usize| p.get(index).copied().unwrap_or(0);
        let stream = parameter(0) <= 2;
        Ok(match function.work {
            Work::Nothing => SUCCESS,
            Work::Errno(errno) => errno,
            Work::OfStream(errno) => {
                if stream {
                    errno
                } else {
                    BADF
                }
            }
            Work::Sizes => {
                put(memory, parameter(0), &[0; 4])?;
                put(memory, parameter(1), &[0; 4])?
            }
            Work::Resolution if parameter(0) < 2 => put(memory, parameter(1), &1_000_000u64.to_le_bytes())?,
            Work::Time if parameter(0) < 2 => {
                let nanoseconds = self.context.time.0.saturating_mul(1_000_000);
                put(memory, parameter(2), &nanoseconds.to_le_bytes())?
            }
            Work::Resolution | Work::Time => INVAL,
            Work::Stat if stream => put(memory, parameter(1), &stat(parameter(0)))?,
            Work::Read if parameter(0) == 0 => put(memory, parameter(3), &[0; 4])?,
            Work::Write if stream && parameter(0) != 0 => self.write_stream(memory, p)?,
            Work::Stat | Work::Read | Work::Write => BADF,
            Work::Random => {
                self.charge(Gas(parameter(1).saturating_mul(prices::WASI_BYTE)))?;
                self.fill_random(part(memory, parameter(0), parameter(1))?)
            }
            Work::Exit => return Err(Stop::Trap(TrapKind::Unreachable).into()),
        })
    }

    /// `fd_write(descriptor, vectors, count, written)`: all of it is written, and what is beyond the limit of the diagnostics dropped.
    fn write_stream(&mut self, memory: &mut [u8], p: &[u64]) -> Result<i32, End> {
        let [_, vectors, count, written] = *p else { return Ok(INVAL) };
        let (mut total, mut text) = (0u64, Vec::new());
        for index in 0..count {
            self.charge(Gas(prices::WASI_VECTOR))?;
            let (start, len) = vector(memory, vectors + 8 * index)?;
            self.charge(Gas(len.saturating_mul(prices::WASI_BYTE)))?;
            total += len;
            let bytes = part(memory, start, len)?;
            let room = LOG_BYTES_MAX.saturating_sub(text.len());
            text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        let Ok(total) = u32::try_from(total) else { return Ok(INVAL) };
        self.keep_log(text.strip_suffix(b"\n").unwrap_or(&text));
        Ok(put(memory, written, &total.to_le_bytes())?)
    }

    fn fill_random(&mut self, out: &mut [u8]) -> i32 {
        let stream = self.random.get_or_insert_with(|| {
            blake3::Hasher::new_derive_key("chancery 2026 wasi random v1")
                .update(&self.context.to_bytes())
                .finalize_xof()
        });
        stream.fill(out);
        SUCCESS
    }
}

/// What a standard stream is: a character device without position, so that C's library writes line by line.
fn stat(descriptor: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    let right_to_read_or_write = if descriptor == 0 { 1 << 1 } else { 1 << 6 };
    (bytes[0], bytes[8]) = (2, right_to_read_or_write);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_the_abi_shows_every_function() {
        let page = include_str!("../../../../docs/src/formats/abi.md");
        for function in WASI_FUNCTIONS {
            let line = function.abi_line();
            assert!(page.contains(&line), "missing from abi.md:\n{line}");
        }
        assert_eq!(WASI_FUNCTIONS.len(), 46, "preview 1 has 46 functions");
    }
}
