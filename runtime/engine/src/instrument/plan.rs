//! What a function body pays where: its segments, what each costs, and which are checked.
//!
//! A **segment** is what runs from its first operator to its last once it is entered. Segments and the ways between them form a graph; loop
//! heads are the only segments that a way leads back to.
//!
//! **Paying ahead.** What every way out of some segments must pay is paid by those segments already: the ways are grouped such that two ways with the same
//! beginning or the same end are in one group, and an amount that each end of a group owes moves to each of its beginnings. What is paid on any way
//! through the body stays the same to the gas (but for rounding), and so does the order, work after payment. An `if` without `else` in a loop, for instance, pays for what
//! follows it before it, so that the arm that is not taken costs nothing. What a loop head owes is never moved, so that every turn of a loop pays at its head.
//!
//! **Rounding.** Where two ways part and what they owe differs by no more than [`ROUND_UP_MAX`], both pay the larger amount, ahead: less than
//! what another payment takes.
//!
//! **Checks.** A payment is checked when it is a loop's head, or when more than [`CREDIT_MAX`] could have been run up since the last check on some
//! way. A body begins with that much run up, so that its first payment is checked.
//!
//! **Mirrors.** In a loop that calls nothing the balance is kept in a local as well, and payments are taken off the local. The counter is written where
//! a segment begins that may trap, or that leads out of the loop; so a trap finds the counter as it must be, and a turn of a loop
//! writes it once or not at all.

use crate::admission::Frame;
use crate::operators::{self, Class};
use crate::prices;
use std::collections::BTreeMap;
use std::ops::Range;
use wasmparser::{FunctionBody, Operator};

/// Gas that may have been run up since the last check when the next segment is not checked: bounds the work on credit to this
/// and one segment for each frame on the stack, and keeps checks out of short branches.
pub const CREDIT_MAX: u64 = 1_000;

/// Gas by which a way may be overcharged where it parts from another, to save a payment of their difference.
pub const ROUND_UP_MAX: u64 = 8;

/// A bulk operator, which an appended function does instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    Grow,
    Copy,
    Fill,
}

/// A piece of the new body.
pub(super) enum Piece {
    /// These bytes of the module as they are.
    Code(Range<usize>),
    /// A call of a function that may call further ones.
    FramedCall(Range<usize>),
    /// The payment of this segment.
    Pay(usize),
    /// The call of an appended function.
    Bulk(Bulk),
    /// A loop follows in which the balance is at hand in a local.
    Mirror,
}

/// A segment.
pub(super) struct Segment {
    /// What is paid at its beginning.
    pub(super) gas: u64,
    /// Whether the balance is checked then.
    pub(super) check: bool,
    /// Whether the balance is at hand in a local.
    pub(super) mirrored: bool,
    /// Whether the counter is written at its beginning; always, where the balance is not mirrored.
    pub(super) written: bool,
    /// Whether it may trap.
    traps: bool,
    head: bool,
    /// The module's own functions that it calls, by position.
    calls: Vec<u32>,
    /// Where it leads.
    next: Vec<usize>,
}

/// A body's pieces and segments.
pub(super) struct Plan {
    pub(super) pieces: Vec<Piece>,
    pub(super) segments: Vec<Segment>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Block,
    If,
    Else,
    Loop,
}

/// A construct that is open.
struct Construct {
    label: Label,
    /// The segment before an `if` that is reached.
    before: Option<usize>,
    /// A loop's head.
    head: Option<usize>,
    /// Segments that lead to its end by a branch, or by the `if` arm that ended.
    joining: Vec<usize>,
    /// Whether the loop is the outermost in which the balance is mirrored.
    mirrors: bool,
}

struct Walk<'a> {
    plan: Plan,
    constructs: Vec<Construct>,
    /// The segment that this place belongs to.
    now: usize,
    /// Whether this place is reached.
    reached: bool,
    mirrored: bool,
    /// For each loop, in the order of their beginnings, whether it calls nothing.
    quiet: std::vec::IntoIter<bool>,
    around: Surroundings<'a>,
}

/// What a body needs to know of its module.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) frames: &'a [Frame],
    pub(super) imported: u32,
    /// What a load or store costs.
    pub(super) access: u64,
}

impl Plan {
    /// Of a body: segments with what their own operators cost, paid ahead.
    pub(super) fn of(body: &FunctionBody<'_>, frame: Frame, around: Surroundings<'_>) -> wasmparser::Result<Plan> {
        let mut plan = Plan::read(body, frame, around)?;
        plan.pay_ahead();
        Ok(plan)
    }

    fn read(body: &FunctionBody<'_>, frame: Frame, around: Surroundings<'_>) -> wasmparser::Result<Plan> {
        let mut walk = Walk {
            plan: Plan { pieces: Vec::new(), segments: Vec::new() },
            constructs: Vec::new(),
            now: 0,
            reached: true,
            mirrored: false,
            quiet: quiet_loops(body)?.into_iter(),
            around,
        };
        walk.open(Label::Block);
        walk.segment(false);
        walk.owe(u64::from(frame.locals) * prices::LOCAL);
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            walk.operator(&operator, offset..operators.original_position());
        }
        Ok(walk.plan)
    }

    /// What is paid on entry.
    pub(super) fn entry(&self) -> u64 {
        self.segments.first().map_or(0, |entry| entry.gas)
    }

    /// Adds what callees have paid for them, takes off what callers pay for this body, and decides on the checks.
    pub(super) fn settle(&mut self, paid_by_callers: u64, entries: &[u64]) {
        for segment in &mut self.segments {
            let entry = |callee: &u32| entries.get(*callee as usize).copied().unwrap_or(0);
            segment.gas += segment.calls.iter().map(entry).sum::<u64>();
        }
        if let Some(entry) = self.segments.first_mut() {
            entry.gas -= paid_by_callers;
        }
        let mut credit = vec![0; self.segments.len()];
        credit.first_mut().into_iter().for_each(|entry| *entry = CREDIT_MAX);
        for at in 0..self.segments.len() {
            let segment = &mut self.segments[at];
            let owed = credit[at] + segment.gas;
            segment.check = segment.gas > 0 && (segment.head || owed > CREDIT_MAX);
            let left = if segment.check { 0 } else { owed };
            // A way back leads to a head, which is checked.
            segment.next.iter().filter(|next| **next > at).for_each(|next| credit[*next] = credit[*next].max(left));
        }
        self.write_back();
    }

    /// Decides where mirrored balances are written.
    fn write_back(&mut self) {
        // Whether the local may be ahead of the counter where a segment begins.
        let mut ahead = vec![false; self.segments.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for at in 0..self.segments.len() {
                let Segment { gas, mirrored, traps, next, .. } = &self.segments[at];
                let leaves = *mirrored && next.iter().any(|next| !self.segments[*next].mirrored);
                let owing = ahead[at] || *gas > 0;
                let written = !mirrored || (owing && (*traps || leaves));
                for next in next.clone().into_iter().filter(|_| owing && !written) {
                    changed |= !std::mem::replace(&mut ahead[next], true);
                }
                self.segments[at].written = written;
            }
        }
    }

    /// Moves what every way out of some segments owes to those segments; then rounds up.
    fn pay_ahead(&mut self) {
        let groups = self.groups();
        for round_up in [0, 0, 0, ROUND_UP_MAX] {
            groups.iter().for_each(|group| self.pay_group_ahead(group, round_up));
        }
    }

    /// The most that leaves each end owing at least nothing; one that owes up to `round_up` less pays as much as the others.
    fn pay_group_ahead(&mut self, group: &Group, round_up: u64) {
        if group.ends.iter().any(|end| self.segments[*end].head) {
            return;
        }
        // A segment in the middle of a group is relieved by as much as it pays.
        let last = || group.ends.iter().filter(|end| group.beginnings.binary_search(end).is_err());
        let owed = |end: &usize| self.segments[*end].gas;
        let Some(least) = last().map(owed).min() else { return };
        let ahead = last().map(owed).filter(|gas| *gas <= least + round_up).max().unwrap_or(least);
        last().copied().collect::<Vec<_>>().into_iter().for_each(|end| {
            let gas = &mut self.segments[end].gas;
            *gas = gas.saturating_sub(ahead);
        });
        group
            .beginnings
            .iter()
            .filter(|at| group.ends.binary_search(at).is_err())
            .for_each(|at| self.segments[*at].gas += ahead);
    }

    /// The ways between segments, grouped; the group that begins last comes first.
    fn groups(&self) -> Vec<Group> {
        let mut sets = Sets((0..2 * self.segments.len()).collect());
        for (beginning, segment) in self.segments.iter().enumerate() {
            segment.next.iter().for_each(|end| sets.join(2 * beginning, 2 * end + 1));
        }
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        for (at, segment) in self.segments.iter().enumerate() {
            if !segment.next.is_empty() {
                groups.entry(sets.find(2 * at)).or_default().beginnings.push(at);
            }
        }
        for at in 0..self.segments.len() {
            // Nothing leads to the first.
            groups.entry(sets.find(2 * at + 1)).and_modify(|group| group.ends.push(at));
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|a, b| b.beginnings.cmp(&a.beginnings));
        groups
    }
}

/// Ways that share beginnings or ends: both in order.
#[derive(Default)]
struct Group {
    beginnings: Vec<usize>,
    ends: Vec<usize>,
}

/// Disjoint sets: each member names its parent.
struct Sets(Vec<usize>);

impl Sets {
    fn find(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        // The smaller one becomes the parent, so that the outcome does not depend on the order.
        self.0[a.max(b)] = a.min(b);
    }
}

/// For each loop, in the order of their beginnings, whether nothing is called in it.
fn quiet_loops(body: &FunctionBody<'_>) -> wasmparser::Result<Vec<bool>> {
    let mut quiet = Vec::new();
    // Positions in `quiet` of the loops among the constructs that are open.
    let mut open: Vec<Option<usize>> = Vec::new();
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Loop { .. } => {
                open.push(Some(quiet.len()));
                quiet.push(true);
            }
            Operator::Block { .. } | Operator::If { .. } => open.push(None),
            Operator::End => drop(open.pop()),
            operator if calls(&operator) => open.iter().flatten().for_each(|at| quiet[*at] = false),
            _ => {}
        }
    }
    Ok(quiet)
}

/// Whether the operator calls a function, one of the appended ones included.
fn calls(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Call { .. } | Operator::CallIndirect { .. }) || bulk(operator).is_some()
}

fn bulk(operator: &Operator<'_>) -> Option<Bulk> {
    match operator {
        Operator::MemoryGrow { .. } => Some(Bulk::Grow),
        Operator::MemoryCopy { .. } => Some(Bulk::Copy),
        Operator::MemoryFill { .. } => Some(Bulk::Fill),
        _ => None,
    }
}

impl Walk<'_> {
    fn operator(&mut self, operator: &Operator<'_>, bytes: Range<usize>) {
        // Admission refuses what has no class.
        let class = operators::class(operator).unwrap_or(Class::Structure);
        self.owe(class.price(self.around.access));
        if let Operator::Loop { .. } = operator {
            self.mirror();
        }
        self.plan.segments[self.now].traps |= class.may_trap();
        match bulk(operator) {
            Some(bulk) => self.plan.pieces.push(Piece::Bulk(bulk)),
            None if self.framed(operator) => self.plan.pieces.push(Piece::FramedCall(bytes)),
            None => self.code(bytes),
        }
        self.follow(operator);
    }

    fn owe(&mut self, gas: u64) {
        if self.reached {
            self.plan.segments[self.now].gas += gas;
        }
    }

    /// Copies bytes, together with those before where they adjoin.
    fn code(&mut self, range: Range<usize>) {
        match self.plan.pieces.last_mut() {
            Some(Piece::Code(before)) if before.end == range.start => before.end = range.end,
            _ => self.plan.pieces.push(Piece::Code(range)),
        }
    }

    /// Notes the call of a function of the module's own; whether its callee may call further functions.
    fn framed(&mut self, operator: &Operator<'_>) -> bool {
        match operator {
            Operator::Call { function_index } => {
                let Some(callee) = function_index.checked_sub(self.around.imported) else { return false };
                if self.reached {
                    self.plan.segments[self.now].calls.push(callee);
                }
                self.around.frames.get(callee as usize).is_some_and(|callee| !callee.leaf)
            }
            Operator::CallIndirect { .. } => true,
            _ => false,
        }
    }

    /// A loop is about to begin.
    fn mirror(&mut self) {
        // Each loop was counted before.
        let quiet = self.quiet.next().unwrap_or(false);
        self.open(Label::Loop);
        if quiet && !self.mirrored {
            self.mirrored = true;
            self.plan.pieces.push(Piece::Mirror);
            self.constructs.last_mut().into_iter().for_each(|construct| construct.mirrors = true);
        }
    }

    fn open(&mut self, label: Label) {
        let before = (label == Label::If && self.reached).then_some(self.now);
        self.constructs.push(Construct { label, before, head: None, joining: Vec::new(), mirrors: false });
    }

    /// Begins a segment that the current one leads to, if this place is reached.
    fn segment(&mut self, head: bool) {
        let (before, at) = (self.now, self.plan.segments.len());
        let mirrored = self.mirrored;
        let segment = Segment {
            gas: 0,
            check: false,
            mirrored,
            written: true,
            traps: false,
            head,
            calls: Vec::new(),
            next: Vec::new(),
        };
        self.plan.segments.push(segment);
        self.plan.pieces.push(Piece::Pay(at));
        self.now = at;
        if at > 0 && self.reached {
            self.lead(before, at);
        }
    }

    fn lead(&mut self, from: usize, to: usize) {
        self.plan.segments[from].next.push(to);
    }

    /// The current segment leads to a label: the head of a loop, or the end of any other construct.
    fn join(&mut self, depth: usize) {
        let index = self.constructs.len().checked_sub(1 + depth);
        if let Some(target) = index.and_then(|index| self.constructs.get_mut(index)).filter(|_| self.reached) {
            match target.head {
                Some(head) => self.plan.segments[self.now].next.push(head),
                None => target.joining.push(self.now),
            }
        }
    }

    /// Follows the operator's control flow. The operator itself is charged and copied already.
    fn follow(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } => self.open(Label::Block),
            Operator::Loop { .. } => {
                self.segment(true);
                let head = self.now;
                self.constructs.last_mut().into_iter().for_each(|construct| construct.head = Some(head));
            }
            Operator::If { .. } => {
                self.open(Label::If);
                self.segment(false);
            }
            Operator::Else => self.follow_else(),
            Operator::End => self.follow_end(),
            Operator::Br { relative_depth } => self.leave(&[*relative_depth]),
            Operator::BrIf { relative_depth } => {
                self.join(*relative_depth as usize);
                self.segment(false);
            }
            Operator::BrTable { targets } => {
                let mut depths: Vec<u32> = targets.targets().flatten().chain([targets.default()]).collect();
                depths.sort_unstable();
                depths.dedup();
                self.leave(&depths);
            }
            Operator::Return => self.leave(&[u32::try_from(self.constructs.len()).unwrap_or(u32::MAX) - 1]),
            Operator::Unreachable => self.reached = false,
            _ => {}
        }
    }

    fn leave(&mut self, depths: &[u32]) {
        depths.iter().for_each(|depth| self.join(*depth as usize));
        self.reached = false;
    }

    /// The first arm leads to the end; the second begins where the first began.
    fn follow_else(&mut self) {
        self.join(0);
        self.reached = false;
        let before = self.constructs.last_mut().and_then(|construct| {
            construct.label = Label::Else;
            construct.before.take()
        });
        self.segment(false);
        self.reached = before.is_some();
        before.into_iter().for_each(|before| self.lead(before, self.now));
    }

    /// What follows the end of a block that nothing branches to, or of a loop, is reached from before it only and goes on in the same
    /// segment. What follows any other is reached from several places and begins a segment.
    fn follow_end(&mut self) {
        let Some(construct) = self.constructs.pop() else { return };
        if construct.mirrors {
            self.mirrored = false;
            // What goes on behind the loop in the same segment reads the counter.
            self.plan.segments[self.now].traps = true;
        }
        // Without an else, the end is reached from before the `if` as well.
        let joining: Vec<usize> = construct.joining.into_iter().chain(construct.before).collect();
        if joining.is_empty() {
            return;
        }
        self.segment(false);
        self.reached = true;
        joining.into_iter().for_each(|from| self.lead(from, self.now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::admit;
    use crate::fixtures::module;
    use proptest::prelude::*;
    use wasmparser::{Parser, Payload};

    /// The plans of a module's functions, and what each segment owed before anything was paid ahead.
    fn plans(wasm: &[u8]) -> Vec<(Plan, Vec<u64>)> {
        let admitted = admit(wasm).unwrap();
        let bodies = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(body),
            _ => None,
        });
        let imported = Parser::new(0).parse_all(wasm).find_map(|payload| match payload.unwrap() {
            Payload::ImportSection(section) => Some(section.count()),
            _ => None,
        });
        let around = Surroundings {
            frames: &admitted.frames,
            imported: imported.unwrap_or(0),
            access: admitted.memory.access().0,
        };
        let plan = |(body, frame): (FunctionBody<'_>, &Frame)| {
            let mut plan = Plan::read(&body, *frame, around).unwrap();
            let owed = plan.segments.iter().map(|segment| segment.gas).collect();
            plan.pay_ahead();
            (plan, owed)
        };
        bodies.zip(&admitted.frames).map(plan).collect()
    }

    fn one(text: &str) -> (Plan, Vec<u64>) {
        plans(&module(text)).remove(0)
    }

    fn paid(plan: &Plan) -> Vec<u64> {
        plan.segments.iter().map(|segment| segment.gas).collect()
    }

    #[test]
    fn what_follows_an_arm_without_another_is_paid_before_it() {
        let (plan, owed) = one(
            "(global (mut i32) (i32.const 0)) (func (param i32) (if (local.get 0) (then (global.set 0 (i32.div_u (i32.const 9) (i32.const 3))) (global.set 0 (i32.const 1)))) (global.set 0 (i32.const 5)) (loop))",
        );
        // Before the `if`: local.get, if. The arm: 2 constants, division, global, constant, global. Behind: constant, global. The loop's head.
        assert_eq!(owed, [2, 39, 4, 0]);
        assert_eq!(paid(&plan), [6, 39, 0, 0]);
    }

    #[test]
    fn two_arms_that_owe_nearly_alike_pay_alike() {
        let (plan, owed) = one(
            "(func (param i32) (result i32) (if (result i32) (local.get 0) (then (i32.const 7)) (else (i32.add (i32.const 7) (local.get 0)))))",
        );
        assert_eq!(owed, [2, 1, 3, 0]);
        assert_eq!(paid(&plan), [5, 0, 0, 0]);
    }

    #[test]
    fn what_a_loops_head_owes_stays_there() {
        let (plan, owed) = one(
            "(func (param i32) (local.set 0 (i32.const 3)) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))",
        );
        assert_eq!(owed[..2], [2, 5]);
        assert_eq!(paid(&plan)[..2], [2, 5]);
        assert!(plan.segments[1].head);
    }

    #[test]
    fn a_caller_pays_for_a_callee_that_is_only_called_by_name() {
        let (mut plan, _) = plans(&module("(func (param i32)) (func (call 0 (i32.const 1)))")).remove(1);
        plan.settle(plan.entry(), &[100, 0]);
        assert_eq!(paid(&plan)[0], 100, "its own entry is paid for by its callers, and it pays for its callee");
        assert!(plan.segments[0].check, "the first payment of a body is checked");
    }

    #[test]
    fn a_mirrored_counter_is_written_where_a_trap_would_show_it() {
        let (mut plan, _) = one(
            "(func (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))) (drop (i32.load (local.get 0)))))",
        );
        plan.settle(0, &[]);
        let written: Vec<_> = plan.segments.iter().map(|segment| (segment.mirrored, segment.written)).collect();
        // Before the loop, the head, and behind the branch, where a load may trap.
        assert_eq!(written, [(false, true), (true, false), (true, true)]);
        let (plan, _) = one("(func (param i32) (loop (call 1) (br_if 0 (local.get 0)))) (func)");
        assert!(plan.segments.iter().all(|segment| !segment.mirrored), "a call may change the counter");
    }

    /// A walk through a plan: what was owed and paid up to each step is compared.
    fn walk(plan: &Plan, owed: &[u64], choices: &[usize]) {
        let (mut at, mut due, mut spent, mut unchecked, mut ahead) = (0, 0, 0, CREDIT_MAX, 0);
        for (steps, choice) in (1..).zip(choices) {
            let segment = &plan.segments[at];
            (due, spent) = (due + owed[at], spent + segment.gas);
            assert!(due <= spent, "work is paid for before it is done");
            unchecked = if segment.check { 0 } else { unchecked + segment.gas };
            assert!(unchecked <= CREDIT_MAX || segment.gas == 0 && unchecked == CREDIT_MAX, "credit is bounded");
            ahead = if segment.written { 0 } else { ahead + segment.gas };
            assert!(!(segment.traps && ahead > 0), "a trap finds the counter as it must be");
            let Some(next) = segment.next.get(choice % segment.next.len().max(1)) else {
                assert!(spent <= due + ROUND_UP_MAX * steps, "all is paid, and little more");
                assert_eq!(ahead, 0, "the counter is right at the end");
                return;
            };
            if !plan.segments[*next].mirrored {
                assert_eq!(ahead, 0, "the counter is right where the loop is left");
            }
            at = *next;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn on_every_way_all_is_paid_ahead_and_little_more(choices in prop::collection::vec(any::<usize>(), 400)) {
            const LICENCE: &[u8] = include_bytes!("../../../../contracts/dist/business-licence.wasm");
            for (mut plan, owed) in plans(LICENCE) {
                plan.settle(0, &[]);
                walk(&plan, &owed, &choices);
            }
        }
    }
}
