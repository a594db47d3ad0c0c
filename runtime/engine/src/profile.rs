//! Where the gas of a call goes: by function and host function, along the way by which each was called.
//!
//! A [`Profiler`] in the [`Config`](crate::Config) makes an engine whose modules are instrumented a second time (see `profile::hooks`): every call of a function, of the
//! module's own or of the host's, goes through a wrapper that tells the host when it begins and ends. At each of these moments the host reads the
//! exact balance and the clock, and what went since the moment before belongs to the function that ran. The hooks cost no gas, so outcome,
//! gas, events and writes are those of any other engine; `tests/profile.rs` compares them.
//!
//! **Gas.** Of a function itself is what it paid: its operators, and what starting its callees costs. What a function pays on entry is paid ahead by its callers (see
//! [`instrument`](mod@crate::instrument)); here it is given back to the callee. What a call pays before any code runs has a line of its own. Of a call that runs out of gas, the function that ran at the end
//! has the rest of what was set aside. So the gas of all lines together is that of the call, whatever its outcome.
//!
//! **Time** is of the wall clock, without what the hooks take themselves, but with what they spoil: a short function seems longer than it is. It is not
//! deterministic and says where to look, no more.

mod hooks;
mod names;

use crate::NodeFault;
use chancery_types::Gas;
pub(crate) use hooks::{HOOKS_MODULE, Hooked, hook};
pub use names::{Names, NamesError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Ways by which functions were called that are told apart. Beyond it, a call is counted as its caller's. A sound contract has some hundreds.
const NODES_MAX: usize = 1 << 20;

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frame {
    /// What a call pays before any code runs: looking it up, the instance, its memory and data.
    Start,
    /// A function of the module's own, by its name, or by `func[12]` where none is known.
    Function(Arc<str>),
    /// A function of the host, by its name.
    Host(Arc<str>),
    /// An operator that works in bulk: `memory.grow`, `memory.copy` or `memory.fill`.
    Bulk(&'static str),
}

impl Frame {
    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Frame::Start => "(start)",
            Frame::Function(name) | Frame::Host(name) => name,
            Frame::Bulk(name) => name,
        }
    }

    /// A word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Frame::Start => "start",
            Frame::Function(_) => "function",
            Frame::Host(_) => "host",
            Frame::Bulk(_) => "bulk",
        }
    }
}

/// A way by which something was called: its last frame, and where the way before it stands in the list.
#[derive(Clone, Debug)]
pub struct Node {
    /// What was called.
    pub frame: Frame,
    /// Position of the caller's node; none for those that the engine calls.
    pub caller: Option<usize>,
    /// How often it was called by this way.
    pub calls: u64,
    /// What it cost itself, callees not counted.
    pub gas: Gas,
    /// How long it took itself, callees not counted.
    pub time: Duration,
}

/// A line of the table: one frame, whichever way it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was called.
    pub frame: Frame,
    /// How often.
    pub calls: u64,
    /// What it cost itself.
    pub gas: Gas,
    /// What it and everything that it called cost; a recursion is counted once.
    pub gas_with_callees: Gas,
    /// How long it took itself.
    pub time: Duration,
}

/// Where the gas of one execution went. A node stands behind its caller's.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Every way that was taken.
    pub nodes: Vec<Node>,
    /// Position of the node that ran when the execution was stopped; none where it came to its end.
    pub stopped: Option<usize>,
}

impl Profile {
    /// The gas of all together: that of the execution.
    pub fn gas(&self) -> Gas {
        Gas(self.nodes.iter().map(|node| node.gas.0).sum())
    }

    /// The time of all together.
    pub fn time(&self) -> Duration {
        self.nodes.iter().map(|node| node.time).sum()
    }

    /// The functions that ran when the execution was stopped, the innermost first; none where it came to its end. In a build that is optimised, some are within
    /// others.
    pub fn stopped_in(&self) -> Vec<&str> {
        self.stopped.map_or_else(Vec::new, |at| self.way(at).map(|node| node.frame.name()).collect())
    }

    /// Gas of each node with everything below it.
    pub fn gas_with_callees(&self) -> Vec<u64> {
        let mut gas: Vec<u64> = self.nodes.iter().map(|node| node.gas.0).collect();
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if let Some(caller) = node.caller {
                gas[caller] += gas[at];
            }
        }
        gas
    }

    /// A line for each frame, that with the most gas of its own first.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = std::collections::BTreeMap::new();
        for (at, (node, with_callees)) in self.nodes.iter().zip(self.gas_with_callees()).enumerate() {
            let empty = || Line {
                frame: node.frame.clone(),
                calls: 0,
                gas: Gas(0),
                gas_with_callees: Gas(0),
                time: Duration::ZERO,
            };
            let line = lines.entry(&node.frame).or_insert_with(empty);
            line.calls += node.calls;
            line.gas.0 += node.gas.0;
            line.time += node.time;
            if !self.way(at).skip(1).any(|above| above.frame == node.frame) {
                line.gas_with_callees.0 += with_callees;
            }
        }
        let mut lines: Vec<Line> = lines.into_values().collect();
        lines.sort_by(|a, b| b.gas.cmp(&a.gas).then_with(|| a.frame.cmp(&b.frame)));
        lines
    }

    /// The nodes from one up to where the engine called.
    fn way(&self, at: usize) -> impl Iterator<Item = &Node> {
        std::iter::successors(self.nodes.get(at), |node| node.caller.and_then(|caller| self.nodes.get(caller)))
    }

    /// The ways with their gas as tools for flame graphs read them, one a line: `call;disburse;state_get 10018`.
    pub fn folded(&self) -> String {
        let line = |(at, node): (usize, &Node)| {
            let mut names: Vec<&str> = self.way(at).map(|node| node.frame.name()).collect();
            names.reverse();
            // A semicolon would end the name.
            let names: Vec<String> = names.into_iter().map(|name| name.replace(';', ",")).collect();
            format!("{} {}\n", names.join(";"), node.gas)
        };
        self.nodes.iter().enumerate().filter(|(_, node)| node.gas.0 > 0).map(line).collect()
    }
}

/// Profiles the executions of an engine that it is given to.
#[derive(Default)]
pub struct Profiler {
    names: Names,
    last: Mutex<Option<Profile>>,
}

impl Profiler {
    /// One that knows the functions of a module by these names.
    pub fn new(names: Names) -> Self {
        Profiler { names, last: Mutex::default() }
    }

    /// Takes the profile of the execution that ended last. Of one that a fault of the node ended there is none.
    pub fn take(&self) -> Option<Profile> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn keep(&self, profile: Profile) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(profile);
    }
}

/// The profile of an execution that runs.
pub(crate) struct Recording {
    hooked: Arc<Hooked>,
    nodes: Vec<Node>,
    /// For each node, those called by it: number of the function, position.
    callees: Vec<Vec<(usize, usize)>>,
    /// Those called by the engine, likewise.
    called: Vec<(usize, usize)>,
    /// The nodes that run, the innermost last.
    running: Vec<usize>,
    balance: u64,
    since: Instant,
}

impl Recording {
    /// The code begins with this balance, after this much was paid.
    pub(crate) fn new(hooked: Arc<Hooked>, paid: Gas, balance: u64) -> Self {
        let start = Node { frame: Frame::Start, caller: None, calls: 1, gas: paid, time: Duration::ZERO };
        Recording {
            hooked,
            nodes: vec![start],
            callees: vec![Vec::new()],
            called: Vec::new(),
            running: Vec::new(),
            balance,
            since: Instant::now(),
        }
    }

    /// A function begins. The balance is the guest's own counter, below nothing where it works on credit.
    pub(crate) fn enter(&mut self, function: i32, balance: i64) -> Result<(), NodeFault> {
        self.settle(balance);
        let function = usize::try_from(function).map_err(NodeFault::engine)?;
        let Some((frame, paid_by_caller)) = self.hooked.functions.get(function) else {
            return Err(NodeFault::engine(format!("a hook names function {function}, which there is not")));
        };
        let caller = self.running.last().copied();
        let known = caller.map_or(&self.called, |caller| &self.callees[caller]);
        let known = known.iter().find(|(callee, _)| *callee == function).map(|(_, at)| *at);
        let at = match (known, caller) {
            (Some(at), _) => at,
            (None, Some(caller)) if self.nodes.len() >= NODES_MAX => caller,
            (None, caller) => {
                let at = self.nodes.len();
                self.nodes.push(Node { frame: frame.clone(), caller, calls: 0, gas: Gas(0), time: Duration::ZERO });
                self.callees.push(Vec::new());
                caller.map_or(&mut self.called, |caller| &mut self.callees[caller]).push((function, at));
                at
            }
        };
        if let Some(caller) = caller {
            let left = self.nodes[caller].gas.0.checked_sub(*paid_by_caller);
            let left = left.ok_or_else(|| NodeFault::engine("a caller has not paid for its callee"))?;
            self.nodes[caller].gas = Gas(left);
            self.nodes[at].gas.0 += paid_by_caller;
        }
        self.nodes[at].calls += u64::from(caller != Some(at));
        self.running.push(at);
        self.since = Instant::now();
        Ok(())
    }

    /// The function that runs ends.
    pub(crate) fn leave(&mut self, balance: i64) {
        self.settle(balance);
        self.running.pop();
        self.since = Instant::now();
    }

    /// What went since the last hook belongs to what ran.
    fn settle(&mut self, balance: i64) {
        let balance = u64::try_from(balance).unwrap_or(0);
        if let Some(at) = self.running.last() {
            self.nodes[*at].time += self.since.elapsed();
            self.nodes[*at].gas.0 += self.balance.saturating_sub(balance);
        }
        self.balance = balance;
    }

    /// The profile of an execution that cost this much in all: what ran when it was stopped has what is not accounted for.
    pub(crate) fn finish(mut self, gas: Gas) -> Profile {
        let stopped = self.running.last().copied();
        let at = stopped.unwrap_or(0);
        if !self.running.is_empty() {
            self.nodes[at].time += self.since.elapsed();
        }
        let accounted: u64 = self.nodes.iter().map(|node| node.gas.0).sum();
        self.nodes[at].gas.0 += gas.0.saturating_sub(accounted);
        Profile { nodes: self.nodes, stopped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, caller: Option<usize>, gas: u64) -> Node {
        Node { frame: Frame::Function(name.into()), caller, calls: 1, gas: Gas(gas), time: Duration::ZERO }
    }

    #[test]
    fn a_recursion_is_counted_once_with_its_callees() {
        let nodes =
            vec![node("call", None, 1), node("f", Some(0), 10), node("f", Some(1), 100), node("g;h", Some(2), 5)];
        let profile = Profile { nodes, stopped: Some(2) };
        let lines: Vec<_> = profile
            .lines()
            .into_iter()
            .map(|line| (line.frame, line.calls, line.gas.0, line.gas_with_callees.0))
            .collect();
        let function = |name: &str| Frame::Function(name.into());
        assert_eq!(lines, [(function("f"), 2, 110, 115), (function("g;h"), 1, 5, 5), (function("call"), 1, 1, 116)]);
        assert_eq!(profile.folded(), "call 1\ncall;f 10\ncall;f;f 100\ncall;f;f;g,h 5\n");
        assert_eq!(profile.gas(), Gas(116));
        assert_eq!(profile.stopped_in(), ["f", "f", "call"]);
    }
}
