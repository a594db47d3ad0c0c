//! A user's surroundings for a test: a directory with keys and a ledger of their own, in which commands are run as a user runs them.

// Each test file uses a part of it.
#![allow(dead_code)]

pub mod disk;

use serde_json::Value;
use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program under test.
pub const CHANCERY: &str = env!("CARGO_BIN_EXE_chancery");

/// A directory of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The module of a shipped contract.
pub fn module(name: &str) -> String {
    checkout(&format!("contracts/dist/{name}.wasm")).display().to_string()
}

/// The sample of households.
pub fn sample() -> String {
    std::fs::read_to_string(checkout("contracts/food-assistance/sample/households.csv")).unwrap()
}

/// A directory in which `chancery` has its home.
pub struct Home {
    pub dir: tempfile::TempDir,
    pub data: PathBuf,
    /// The log's head, where nothing was run since it was read.
    head: RefCell<Option<Head>>,
}

/// Size, root and state root of a log.
type Head = (Value, Value, Value);

/// What a command gave.
#[derive(Debug)]
pub struct Given {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Given {
    fn from(output: Output) -> Self {
        Given {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Home {
    /// Without a ledger.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("town");
        Home { dir, data, head: RefCell::default() }
    }

    /// With a ledger, the key of an officer, and `food-assistance`.
    pub fn with_food_assistance() -> Self {
        let home = Home::empty();
        home.set_up();
        home
    }

    /// With a ledger, the key of a clerk, and `minimal` under the name `notes`.
    pub fn with_notes() -> Self {
        let home = Home::empty();
        home.ok(&["init", "--origin", "ledger.example/town"]);
        home.ok(&["key", "new", "clerk"]);
        home.ok(&["deploy", &module("minimal"), "--name", "notes", "--as", "clerk"]);
        home
    }

    /// Makes what [`Home::with_food_assistance`] has.
    pub fn set_up(&self) {
        self.ok(&["init", "--origin", "ledger.example/town"]);
        self.ok(&["key", "new", "officer"]);
        self.ok(&["deploy", &module("food-assistance"), "--name", "food-assistance", "--as", "officer"]);
    }

    /// Writes a note and waits until it is published.
    pub fn note(&self, request: &str, text: &str) {
        let call = ["call", "notes", "write", "--as", "clerk", "--wait", "published"];
        self.ok(&[&call[..], &["--request", request, "--text", text]].concat());
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(CHANCERY);
        command.args(arguments);
        command
    }

    /// A program in these surroundings.
    fn program(&self, program: &str) -> Command {
        self.head.take();
        let mut command = Command::new(program);
        command.current_dir(self.dir.path());
        command.env("HOME", self.dir.path()).env("CHANCERY_DATA", &self.data);
        for name in ["XDG_CONFIG_HOME", "CHANCERY_KEYS", "CHANCERY_AS", "CHANCERY_PASSPHRASE"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command on a terminal of its own, without a width, to which something is typed; `out` is all that the terminal shows. `None` where no
    /// terminal can be had.
    pub fn on_a_terminal(&self, arguments: &str, typed: &str) -> Option<Given> {
        let line = format!("stty cols 0; exec {CHANCERY} {arguments}");
        let mut command = self.program("script");
        command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().ok()?;
        child.stdin.take()?.write_all(typed.as_bytes()).ok()?;
        Some(child.wait_with_output().ok()?.into())
    }

    pub fn run(&self, arguments: &[&str]) -> Given {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a command that must succeed, and gives its standard output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let given = self.run(arguments);
        assert_eq!(given.code, 0, "{arguments:?}: {}{}", given.out, given.err);
        given.out
    }

    /// The same with `--output json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let all: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
        serde_json::from_str(&self.ok(&all)).unwrap()
    }

    /// Writes a file into the directory, and gives its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// Size, root and state root of the log.
    pub fn head(&self) -> Head {
        if let Some(head) = self.head.borrow().clone() {
            return head;
        }
        let head = self.json(&["log", "head"]);
        let head = (head["entries"].clone(), head["root"].clone(), head["state_root"].clone());
        self.head.replace(Some(head.clone()));
        head
    }

    /// Runs a command that must fail with this exit code and one message that has all these words, and must leave the ledger as it was.
    pub fn fails(&self, arguments: &[&str], code: i32, says: &[&str]) -> Given {
        let before = self.head();
        let given = self.run(arguments);
        check_failure(arguments, &given, code, says);
        assert_eq!(self.head(), before, "{arguments:?} changed the ledger");
        given
    }
}

/// Checks exit code and message.
pub fn check_failure(arguments: &[&str], given: &Given, code: i32, says: &[&str]) {
    assert_eq!(given.code, code, "{arguments:?}: {given:?}");
    assert_eq!(
        given.err.lines().filter(|line| line.starts_with("error: ")).count(),
        1,
        "{arguments:?}: one message, found {}",
        given.err
    );
    for word in says {
        assert!(given.err.contains(word), "{arguments:?}: expected `{word}` in: {}", given.err);
    }
}

/// Runs lines of a shell as they stand, with `chancery` on the path and the checkout's files at hand.
pub fn shell(home: &Home, script: &str) -> Given {
    let bin = home.dir.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let links = [(CHANCERY.into(), bin.join("chancery")), (checkout("contracts"), home.dir.path().join("contracts"))];
    for (to, link) in links {
        if !link.exists() {
            std::os::unix::fs::symlink(to.canonicalize().unwrap(), link).unwrap();
        }
    }
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(home.dir.path());
    command.env("HOME", home.dir.path()).env("PATH", format!("{}:{path}", bin.display()));
    for name in ["XDG_CONFIG_HOME", "CHANCERY_DATA", "CHANCERY_KEYS", "CHANCERY_AS", "CHANCERY_PASSPHRASE"] {
        command.env_remove(name);
    }
    command.output().unwrap().into()
}
