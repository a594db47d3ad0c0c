//! `doctor`: what is wrong with a ledger's files, in words, and the repair of what is derived.

use crate::failure::{Code, Failure, Outcome};
use crate::output::{Session, escaped};
use crate::town::options;
use chancery_node::doctor::{Kind, examine, repair};
use chancery_node::{Diagnosis, Finding};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Arguments {
    /// Make again what is derived and wrong: view, tiles, entry bundles, compiled code. The log is not touched.
    #[arg(long)]
    repair: bool,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let options = options(session, None);
    let (before, after) = if arguments.repair {
        let (before, after) = repair(&session.data, &options).map_err(|error| {
            Failure::unfinished(error, &format!("the repair of {} is not finished", session.data.display()))
        })?;
        (before, Some(after))
    } else {
        (examine(&session.data, &options)?, None)
    };
    session.print(|| text(&before, after.as_ref()), || value(&before, after.as_ref()));
    let left = after.as_ref().unwrap_or(&before);
    if left.is_sound() {
        Ok(())
    } else {
        Err(Failure { code: Code::NotVerified, message: advice(left, after.is_some()) })
    }
}

/// Findings that are shown.
const SHOWN_MAX: usize = 20;

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Fault => "fault",
        Kind::Derived => "derived",
        Kind::Note => "note",
    }
}

fn wrong(diagnosis: &Diagnosis, kind: Kind) -> usize {
    diagnosis.findings.iter().filter(|finding| finding.kind == kind).count()
}

fn advice(left: &Diagnosis, repaired: bool) -> String {
    let (faults, derived) = (wrong(left, Kind::Fault), wrong(left, Kind::Derived));
    match (faults, repaired) {
        (0, _) => format!("{derived} findings in what is derived: `chancery doctor --repair` makes it again"),
        (_, true) => format!("{faults} faults in what cannot be made again: restore those files from a copy"),
        (_, false) => format!(
            "{faults} faults in what cannot be made again, {derived} findings in what is derived: restore the former from a copy first"
        ),
    }
}

fn finding_text(finding: &Finding) -> String {
    let Finding { file, kind, problem, remedy } = finding;
    let (file, problem) = (file.display().to_string(), problem.as_str());
    format!("{}: {}\n  {}\n  -> {remedy}\n", word(*kind), escaped(&file), escaped(problem))
}

fn text(before: &Diagnosis, after: Option<&Diagnosis>) -> String {
    let counts: Vec<String> = before.examined.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let mut text = format!("examined: {}\n", counts.join(", "));
    before.findings.iter().take(SHOWN_MAX).for_each(|finding| text.push_str(&finding_text(finding)));
    if before.findings.len() > SHOWN_MAX {
        text.push_str(&format!("and {} more findings; --output json has all\n", before.findings.len() - SHOWN_MAX));
    }
    if let Some(after) = after {
        let made =
            before.findings.iter().filter(|finding| finding.kind == Kind::Derived && !after.findings.contains(finding));
        let made: Vec<_> = made.collect();
        made.iter()
            .take(SHOWN_MAX)
            .for_each(|finding| text.push_str(&format!("made again: {}\n", finding.file.display())));
        if made.len() > SHOWN_MAX {
            text.push_str(&format!("made again: {} more\n", made.len() - SHOWN_MAX));
        }
        let new = after.findings.iter().filter(|finding| !before.findings.contains(finding));
        new.for_each(|finding| text.push_str(&finding_text(finding)));
    }
    if let (true, Some(report)) = (after.unwrap_or(before).is_sound(), &before.report) {
        text.push_str(&format!(
            "sound: {} entries, {} calls with their signatures, {} blocks with their state roots\n",
            report.entries, report.calls, report.blocks
        ));
    }
    text
}

fn value(before: &Diagnosis, after: Option<&Diagnosis>) -> Value {
    let findings = |diagnosis: &Diagnosis| -> Value {
        let finding = |finding: &Finding| json!({"file": finding.file, "kind": word(finding.kind), "problem": finding.problem, "remedy": finding.remedy});
        diagnosis.findings.iter().map(finding).collect()
    };
    let examined: serde_json::Map<String, Value> =
        before.examined.iter().map(|(what, count)| ((*what).into(), (*count).into())).collect();
    json!({
        "sound": after.unwrap_or(before).is_sound(), "examined": examined, "findings": findings(before),
        "after_repair": after.map(findings), "entries": before.report.as_ref().map(|report| report.entries),
    })
}
