//! `demo`: a town on a ledger of its own, with the four contracts of `contracts/dist`, and real decisions.
//!
//! Everything is done as a user would do it: keys in files, signed calls that are sent and awaited, a batch, the log verified from its files.
//! Only the clock is set back [`DAYS`] days at first and moved on between the calls, so that a renewal and a late payment can be seen;
//! in the end it is today. A step that does not end as its scenario says ends the demonstration with an error.

mod building_permit;
mod business_licence;
mod crop_subsidy;
mod food_assistance;
mod report;
mod stage;

use crate::failure::{Failure, Outcome};
use crate::output::Session;
use stage::Stage;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// Determine the households of this file instead of the sample that the program holds.
    #[arg(long, value_name = "FILE.csv")]
    cases: Option<PathBuf>,
}

/// The origin of the demonstration's log.
const ORIGIN: &str = "demo.example/town";
/// Days for which the clock is set back at first.
const DAYS: u64 = 340;
/// Who acts. The officer is the building official, the licensing authority, the paying agency and the programme's officer.
const PEOPLE: [&str; 16] = [
    "officer",
    "registrar",
    "engineer",
    "fire-marshal",
    "planner",
    "assessor",
    "anna",
    "boris",
    "chen",
    "dora",
    "ella",
    "farid",
    "gina",
    "hans",
    "irma",
    "jonas",
];
/// The contracts that the program carries.
const CONTRACTS: [(&str, &[u8]); 4] = [
    ("building-permit", include_bytes!("../../../../contracts/dist/building-permit.wasm")),
    ("food-assistance", include_bytes!("../../../../contracts/dist/food-assistance.wasm")),
    ("business-licence", include_bytes!("../../../../contracts/dist/business-licence.wasm")),
    ("crop-subsidy", include_bytes!("../../../../contracts/dist/crop-subsidy.wasm")),
];

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let households = food_assistance::Households::read(arguments.cases.as_deref())?;
    let started = std::time::Instant::now();
    let place = Place::find(session)?;
    let here = Session { data: place.data.clone(), keys: place.keys.clone(), ..session.clone() };
    let mut stage = Stage::build(&here)?;
    let bar = session.bar(0, "deciding");
    stage.bar = bar.clone();
    stage.deploy()?;
    let scenarios = [
        building_permit::scenario(&stage)?,
        food_assistance::scenario(),
        business_licence::scenario(),
        crop_subsidy::scenario(&stage)?,
    ];
    let rows = stage.play(scenarios)?;
    let households = food_assistance::determine(&mut stage, households)?;
    bar.finish_and_clear();
    let deployed = stage.close()?;
    // From here on it is a ledger like any other, opened as every command opens it.
    let ledger = crate::town::open_to_read(&here)?;
    let state = report::State::read(&ledger)?;
    let head = crate::commands::log::head_value(&ledger);
    ledger.close()?;
    let verified = crate::commands::log::check(&here)?;
    let next = report::next(&here, &rows);
    let demonstration =
        report::Demonstration { place: &place, deployed, rows, households, state, head, verified, next, started };
    session.print(|| demonstration.text(), || demonstration.value());
    place.keep();
    Ok(())
}

/// Where ledger and keys lie.
struct Place {
    data: PathBuf,
    keys: PathBuf,
    /// The temporary directory, removed unless the demonstration succeeds.
    temporary: Option<tempfile::TempDir>,
}

impl Place {
    /// The directories that stand on the command line, or a temporary one. Other keys lie beside the ledger, apart from the user's own.
    fn find(session: &Session) -> Outcome<Place> {
        let absolute =
            |path: &Path| std::path::absolute(path).map_err(|error| Failure::file("cannot use", path, &error));
        let (data, beside, temporary) = if session.data_given {
            let data = absolute(&session.data)?;
            let mut beside = data.clone().into_os_string();
            beside.push("-keys");
            (data, PathBuf::from(beside), None)
        } else {
            let failed = |error| Failure::file("cannot make a directory in", &std::env::temp_dir(), &error);
            let temporary = tempfile::Builder::new().prefix("chancery-demo-").tempdir().map_err(failed)?;
            (temporary.path().join("town"), temporary.path().join("keys"), Some(temporary))
        };
        let keys = if session.keys_given { absolute(&session.keys)? } else { beside };
        for (dir, option) in [(&data, "--data"), (&keys, "--keys")] {
            if holds_files(dir)? {
                return Err(Failure::usage(format!(
                    "{} is not empty: the demonstration needs a new directory: name another with {option}, or none for one of its own",
                    dir.display()
                )));
            }
        }
        Ok(Place { data, keys, temporary })
    }

    /// What can be removed when one is done with it.
    fn directories(&self) -> Vec<&Path> {
        match &self.temporary {
            Some(temporary) if self.keys.starts_with(temporary.path()) => vec![temporary.path()],
            Some(temporary) => vec![temporary.path(), &self.keys],
            None => vec![&self.data, &self.keys],
        }
    }

    fn keep(self) {
        drop(self.temporary.map(tempfile::TempDir::keep));
    }
}

fn holds_files(dir: &Path) -> Outcome<bool> {
    match dir.read_dir() {
        Ok(mut files) => Ok(files.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::file("cannot use", dir, &error)),
    }
}
