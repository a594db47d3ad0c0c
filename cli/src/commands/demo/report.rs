//! What the demonstration shows: a table for each contract, a value read back, the log's head, its verification, and how to go on.

use super::food_assistance::Determined;
use super::stage::{Deployed, Row};
use super::{DAYS, Place};
use crate::commands::{log, state};
use crate::failure::Outcome;
use crate::output::{Session, lines, spoken, table};
use chancery_node::{Ledger, Report};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Households of the batch that are shown.
const HOUSEHOLDS_SHOWN: usize = 3;

/// A stored value that was read back.
pub struct State {
    contract: &'static str,
    stored: &'static str,
    key: &'static str,
    value: Value,
}

impl State {
    /// What is stored of the house's application.
    pub fn read(ledger: &Ledger) -> Outcome<State> {
        let (contract, stored, key) = ("building-permit", "applications", "BP-1");
        Ok(State { contract, stored, key, value: state::get(ledger, contract, stored, &[key.into()])? })
    }
}

/// All that there is to show.
pub struct Demonstration<'a> {
    pub place: &'a Place,
    pub deployed: Vec<Deployed>,
    pub rows: Vec<Row>,
    pub households: Determined,
    pub state: State,
    pub head: Value,
    pub verified: Report,
    /// Commands to go on with.
    pub next: Vec<String>,
    pub started: Instant,
}

impl Demonstration<'_> {
    pub fn text(&self) -> String {
        let mut out = format!(
            "A town on a ledger of its own: {}\n(the clock starts {DAYS} days back, so that a renewal can be seen; it ends today)\n",
            self.place.data.display()
        );
        self.deployed.iter().for_each(|contract| out.push_str(&self.section(contract)));
        let state = &self.state;
        out.push_str(&format!(
            "\nRead back from the state: {} {} {}\n{}",
            state.contract,
            state.stored,
            state.key,
            lines(&state.value, 2)
        ));
        out.push_str(&format!("\nThe head of the log\n{}", log::head_text(&self.head)));
        out.push_str(&format!("\nThe whole log, from its files\n{}\n", log::report_text(&self.verified)));
        let took = self.started.elapsed();
        out.push_str(&format!("\n{}.{:03} s in all. Go on by hand:\n\n", took.as_secs(), took.subsec_millis()));
        self.next.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
        let remove: Vec<String> =
            self.place.directories().iter().map(|dir| quoted(&dir.display().to_string())).collect();
        out.push_str(&format!("\nThe ledger stays until you remove it: rm -r {}\n", remove.join(" ")));
        out
    }

    /// A contract's cases.
    fn section(&self, contract: &Deployed) -> String {
        let mut table = table(&["who", "asked for", "decided", "under", "paid", "gas", "entry"]);
        let mut gas = 0;
        for row in self.rows.iter().filter(|row| row.contract == contract.name) {
            gas += row.gas;
            table.add_row([
                row.who.into(),
                row.asks.into(),
                row.decision.clone(),
                row.provision.clone(),
                row.paid.join(", "),
                row.gas.to_string(),
                row.entries.last().map(u64::to_string).unwrap_or_default(),
            ]);
        }
        let mut batch = String::new();
        if contract.name == "food-assistance" {
            self.households(contract, &mut table);
            gas += self.households.gas;
            batch = self.batch();
        }
        format!(
            "\n{}: {}\n{table}\n{batch}gas: {} for the deployment, {} before the cases, {gas} for the cases\n",
            contract.name, contract.interface.legal_basis, contract.gas, contract.setup_gas
        )
    }

    fn households(&self, contract: &Deployed, table: &mut crate::output::Table) {
        let citation = contract.interface.method("determine").map_or("", |(_, method)| method.citation.as_str());
        for line in self.households.lines.iter().take(HOUSEHOLDS_SHOWN) {
            let done = line.outcome == "done";
            table.add_row([
                format!("row {}", line.place.row),
                format!("benefit, household {} of the batch", line.place.row),
                if done { spoken(&line.result) } else { format!("{}: {}", line.outcome, line.reason) },
                citation.into(),
                if done { format!("{} USD", crate::output::plain(&line.result["benefit"])) } else { String::new() },
                line.gas.to_string(),
                line.entry.map(|entry| entry.to_string()).unwrap_or_default(),
            ]);
        }
    }

    fn batch(&self) -> String {
        let Determined { file, rows, counts, benefits, .. } = &self.households;
        let counts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        format!("batch of {file}: {rows} households, {}; benefits {benefits} USD\n", counts.join(", "))
    }

    pub fn value(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "contract": row.contract, "who": row.who, "asked_for": row.asks, "decided": row.decision,
                "outcome": row.outcome, "provision": row.provision, "paid": row.paid, "gas": row.gas,
                "entries": row.entries, "time": row.time.to_string(),
            })
        };
        let contract = |deployed: &Deployed| {
            json!({
                "name": deployed.name, "contract": deployed.id.to_string(), "module": deployed.module,
                "legal_basis": deployed.interface.legal_basis, "gas": deployed.gas, "gas_before_the_cases": deployed.setup_gas,
            })
        };
        let households = &self.households;
        let state = &self.state;
        json!({
            "data": self.place.data, "keys": self.place.keys,
            "contracts": self.deployed.iter().map(contract).collect::<Value>(),
            "cases": self.rows.iter().map(row).collect::<Value>(),
            "batch": {
                "file": households.file, "rows": households.rows, "counts": households.counts,
                "benefits": households.benefits, "gas": households.gas,
            },
            "state": {"contract": state.contract, "stored": state.stored, "key": state.key, "value": state.value},
            "head": self.head, "verified": log::report_value(&self.verified), "next": self.next,
            "milliseconds": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Commands that work as they stand in this shell.
pub fn next(session: &Session, rows: &[Row]) -> Vec<String> {
    let program = program();
    let refused = rows.iter().find(|row| row.decision.contains("NotAccredited"));
    let refused = refused.and_then(|row| row.entries.last()).copied().unwrap_or_default();
    let (data, keys) = (session.data.display().to_string(), session.keys.display().to_string());
    let mut lines = vec![format!("export CHANCERY_DATA={} CHANCERY_KEYS={}", quoted(&data), quoted(&keys))];
    let commands = [
        "query building-permit status --application BP-1".into(),
        format!("log show {refused}"),
        "call food-assistance apply --help".into(),
        "call food-assistance apply --as anna --case-id FA-3 --month 2024-05 --household-size 2".into(),
        "call business-licence reinstate --as officer --licence BL-2 --dry-run".into(),
        "state list crop-subsidy records".into(),
        "log verify".into(),
    ];
    lines.extend(commands.map(|command| format!("{program} {command}")));
    lines
}

/// How this program is called: by its name where it is on the path, or by its file.
fn program() -> String {
    let Ok(file) = std::env::current_exe() else { return "chancery".into() };
    let is_this =
        |path: &Path| path.canonicalize().is_ok_and(|found| file.canonicalize().is_ok_and(|file| file == found));
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path)
        .map(|dir| dir.join("chancery"))
        .find(|path| path.is_file())
        .is_some_and(|p| is_this(&p))
    {
        return "chancery".into();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let relative = file.strip_prefix(here).map(|relative| Path::new(".").join(relative));
    quoted(&relative.unwrap_or(file).display().to_string())
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
