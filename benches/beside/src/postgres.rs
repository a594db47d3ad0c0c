//! PostgreSQL: the stored procedure of `postgres/schema.sql`, called by its own `pgbench` through a socket, durable, neither signed nor with a state root.

use crate::Outcome;
use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What to do where it is skipped.
pub const MISSING: &str = "initdb and pgbench were not found in PATH or /usr/lib/postgresql; install postgresql";

const SCHEMA: &str = include_str!("../postgres/schema.sql");
const ROWS: &str = include_str!("../postgres/rows.sql");
const CHAINED: &str = include_str!("../postgres/chained.sql");

/// Settings beside the defaults: durable as by default, with room for what the load needs.
const SETTINGS: &str = "-c shared_buffers=1GB -c max_wal_size=8GB -c checkpoint_timeout=1h -c listen_addresses=";

/// How a call leaves its trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// As a row.
    Rows,
    /// As a row with the hash of the one before.
    Chained,
}

impl Audit {
    /// Names of its figures: of many callers, of one.
    pub fn ids(self) -> (&'static str, &'static str) {
        match self {
            Audit::Rows => ("postgres-64", "postgres-1"),
            Audit::Chained => ("postgres-chained-64", "postgres-chained-1"),
        }
    }
}

/// A server with the workload, stopped when it is dropped.
pub struct Postgres {
    programs: PathBuf,
    version: String,
    dir: TempDir,
    audit: Audit,
    /// Calls that were made, at least so many by each client.
    next: u64,
}

/// The directory of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    let mut all = debian.into_iter().rev().chain(std::env::split_paths(&path));
    all.find(|dir| dir.join("initdb").exists() && dir.join("pgbench").exists())
}

/// Whom a server may run as: itself refuses to run as root.
fn owner() -> Option<(u32, u32)> {
    // SAFETY: it reads the process's own id.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        fields
            .find(|fields| fields.first() == Some(&name))
            .and_then(|fields| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))
    };
    ids("postgres").or_else(|| ids("nobody"))
}

impl Postgres {
    /// Clients of the load, and programmes.
    pub const CLIENTS: usize = 64;

    /// A new server; none where PostgreSQL is not installed.
    pub fn start(audit: Audit) -> Outcome<Option<Self>> {
        let Some(programs) = programs() else { return Ok(None) };
        let dir = tempfile::tempdir()?;
        if let Some((user, group)) = owner() {
            chown(dir.path(), Some(user), Some(group))?;
        }
        let mut server = Postgres { programs, version: String::new(), dir, audit, next: 0 };
        server.version = server.run("postgres", ["--version"])?.trim().replace("postgres (PostgreSQL) ", "");
        server.run("initdb", ["-D", "data", "-A", "trust", "-U", "bench", "--no-locale", "-E", "UTF8"])?;
        let options = format!("{SETTINGS} -k {}", server.dir.path().display());
        server.run("pg_ctl", ["start", "-w", "-D", "data", "-l", "log", "-o", &options])?;
        for (name, text) in [("schema.sql", SCHEMA), ("pay.sql", if audit == Audit::Rows { ROWS } else { CHAINED })] {
            std::fs::write(server.dir.path().join(name), text)?;
        }
        server.sql(&["-f", "schema.sql"])?;
        server.sql(&["-c", "CHECKPOINT"])?;
        Ok(Some(server))
    }

    /// Which it is.
    pub fn audit(&self) -> Audit {
        self.audit
    }

    /// As the table has it.
    pub fn name(&self) -> String {
        let audit = match self.audit {
            Audit::Rows => "audit row",
            Audit::Chained => "audit rows chained by hash",
        };
        format!(
            "PostgreSQL {}: stored procedure, {audit}, unsigned",
            self.version.split(' ').next().unwrap_or_default()
        )
    }

    fn run(&self, program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Outcome<String> {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.dir.path()).env("PGHOST", self.dir.path()).env("PGUSER", "bench");
        command.env("PGDATABASE", "postgres");
        if let Some((user, group)) = owner() {
            command.uid(user).gid(group);
        }
        let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    fn sql(&self, arguments: &[&str]) -> Outcome<String> {
        self.run("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"].iter().chain(arguments))
    }

    /// Payments a second, from so many clients, each waiting for its answer.
    pub fn pay(&mut self, clients: usize, seconds: u64) -> Outcome<f64> {
        let (clients, seconds, number) = (clients.to_string(), seconds.to_string(), format!("number={}", self.next));
        let found = self.run(
            "pgbench",
            ["-n", "-M", "prepared", "-c", &clients, "-j", "2", "-T", &seconds, "-D", &number, "-f", "pay.sql"],
        );
        let found = found?;
        let after = |name: &str| {
            let line = found.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next())
                .ok_or(format!("pgbench gave no line {name:?}: {found}"))
        };
        // More than any client has made.
        self.next += after("number of transactions actually processed: ")?.parse::<u64>()?;
        Ok(after("tps = ")?.parse()?)
    }

    /// Every call was done and is in the audit, and what was paid is what the programmes lack.
    pub fn check(&self) -> Outcome<()> {
        let wrong = self.sql(&[
            "-c",
            "SELECT (SELECT count(*) FROM audit WHERE outcome <> 'done') + abs((SELECT count(*) FROM audit) - (SELECT count(*) FROM payments)) + \
             abs((SELECT sum((1::bigint << 60) - budget) FROM programmes) - (SELECT sum(amount) FROM payments)) + (SELECT (count(*) = 0)::int FROM payments)",
        ])?;
        if wrong.trim() == "0" {
            Ok(())
        } else {
            Err(format!("{}: {} payments are amiss", self.name(), wrong.trim()).into())
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stopped = self.run("pg_ctl", ["stop", "-m", "immediate", "-D", "data"]);
        if let Err(problem) = stopped {
            eprintln!("warning: the server in {} was not stopped: {problem}", Path::new(self.dir.path()).display());
        }
    }
}
