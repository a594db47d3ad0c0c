//! The test harness answers as a ledger does: what `chancery-node` rejects or does not record is no call here either.

use chancery_testing::{Actor, World, run, run_native};
use chancery_types::call::ARGUMENTS_BYTES_MAX;
use chancery_types::entry::Rejection;
use chancery_types::{Height, Outcome, RequestId, Timestamp};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A contract without `init`.
#[chancery_sdk::contract]
mod board {
    use chancery_sdk::prelude::*;

    #[error]
    pub enum Error {
        /// Nothing was pinned.
        #[rule("a text is given")]
        Empty,
    }

    /// When a method runs.
    #[derive(Schema, PartialEq, Debug)]
    pub struct Seen {
        pub height: Height,
        pub request: RequestId,
    }

    fn seen(ctx: &Context) -> Seen {
        Seen { height: ctx.height(), request: ctx.request() }
    }

    /// Pins a text.
    #[call]
    pub fn pin(ctx: &mut Context, text: String) -> Result<Seen, Error> {
        ensure!(ctx, !text.is_empty(), Error::Empty);
        Ok(seen(ctx))
    }

    /// Emits an event past the macros, which the description does not have.
    #[call]
    pub fn shout(ctx: &mut Context) -> Result<(), Error> {
        let _ = ctx;
        chancery_sdk::host::event(7, &[]);
        Ok(())
    }

    /// The time of the block.
    #[query]
    pub fn clock(ctx: &Context) -> Result<Timestamp, Error> {
        Ok(ctx.time())
    }

    /// Looks.
    #[query]
    pub fn look(ctx: &Context) -> Result<Seen, Error> {
        Ok(seen(ctx))
    }
}

/// A contract with `init`; each is the one of its module.
mod with_init {
    #[chancery_sdk::contract]
    pub mod office {
        use chancery_sdk::prelude::*;

        #[error]
        pub enum Error {
            /// It was not to be opened.
            #[rule("the office may open")]
            Shut,
        }

        /// Opens the office.
        #[init]
        pub fn open(ctx: &mut Context, may: bool) -> Result<(), Error> {
            ensure!(ctx, may, Error::Shut);
            Ok(())
        }
    }
}
use with_init::office;

fn seen(height: u64, request: u128) -> board::Seen {
    board::Seen { height: Height(height), request: RequestId(request) }
}

/// The text of the panic of a step of a test; native alone, so it happens once.
fn panic_of(world: &mut World, step: impl FnOnce(&mut World, &Actor)) -> String {
    let actor = world.actor("clerk");
    let panic = catch_unwind(AssertUnwindSafe(|| step(world, &actor))).expect_err("it panics");
    *panic.downcast::<String>().unwrap_or_else(|panic| Box::new((*panic.downcast::<&str>().unwrap()).into()))
}

#[test]
fn a_contract_is_deployed_once_and_first() {
    let ran = Cell::new(false);
    run_native(board::CONTRACT, |world| {
        let undeployed = "the contract is not deployed: `world.deploy(&actor, arguments)` comes before";
        assert_eq!(
            panic_of(world, |world, clerk| drop(world.call(clerk, "pin", ("a",)))),
            format!("{undeployed} `pin`")
        );
        assert_eq!(panic_of(world, |world, _| drop(world.query("look", ()))), format!("{undeployed} `look`"));
        let clerk = world.actor("clerk");
        world.deploy(&clerk, ()).done::<()>();
        let twice = panic_of(world, |world, clerk| drop(world.deploy(clerk, ())));
        assert_eq!(twice, "the contract is deployed already: a world has one");
        ran.set(true);
    });
    assert!(ran.get());
}

#[test]
fn a_deployment_that_fails_leaves_the_name_free() {
    run_native(office::CONTRACT, |world| {
        let clerk = world.actor("clerk");
        assert_eq!(world.deploy(&clerk, (false,)).refused(), "Shut");
        assert_eq!(world.deploy(&clerk, ()).outcome, Outcome::Rejected { rejection: Rejection::BadArguments });
        world.deploy(&clerk, (true,)).done::<()>();
    });
}

#[test]
fn a_contract_without_init_takes_no_arguments() {
    run_native(board::CONTRACT, |world| {
        let clerk = world.actor("clerk");
        let answer = world.deploy(&clerk, ("something",));
        assert_eq!(answer.outcome, Outcome::Rejected { rejection: Rejection::BadArguments });
        world.deploy(&clerk, ()).done::<()>();
    });
}

#[test]
fn what_a_ledger_would_not_record_is_no_call() {
    run_native(board::CONTRACT, |world| {
        let text = |bytes: usize| ("a".repeat(bytes - 4),);
        let long = format!("the arguments have {} bytes, and a ledger takes 32768 at most", ARGUMENTS_BYTES_MAX + 1);
        let too_long = text(ARGUMENTS_BYTES_MAX + 1);
        assert_eq!(panic_of(world, |world, clerk| drop(world.deploy(clerk, too_long.clone()))), long);
        let clerk = world.actor("clerk");
        world.deploy(&clerk, ()).done::<()>();
        assert_eq!(panic_of(world, |world, clerk| drop(world.call(clerk, "pin", too_long))), long);
        world.call(&clerk, "pin", text(ARGUMENTS_BYTES_MAX)).done::<board::Seen>();
    });
}

#[test]
fn a_query_sees_the_block_to_come_and_makes_none() {
    run_native(board::CONTRACT, |world| {
        let clerk = world.actor("clerk");
        world.deploy(&clerk, ()).done::<()>();
        assert_eq!(world.query("look", ()).done::<board::Seen>(), seen(2, 0));
        assert_eq!(world.query("look", ()).done::<board::Seen>(), seen(2, 0));
        assert_eq!(world.call(&clerk, "pin", ("a",)).done::<board::Seen>(), seen(2, 2));
        assert_eq!(world.query("look", ()).done::<board::Seen>(), seen(3, 0));
    });
}

#[test]
fn a_block_has_a_day_or_an_instant() {
    run_native(board::CONTRACT, |world| {
        let clerk = world.actor("clerk");
        world.deploy(&clerk, ()).done::<()>();
        for (time, shown, day) in [
            ("2024-02-29", "2024-02-29T00:00:00.000Z", "2024-02-29"),
            ("2024-02-29T16:30:00Z", "2024-02-29T16:30:00.000Z", "2024-02-29"),
            ("2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999Z", "2024-02-29"),
            ("2024-03-01T00:00:00Z", "2024-03-01T00:00:00.000Z", "2024-03-01"),
        ] {
            let found = world.at(time).query("clock", ()).done::<Timestamp>();
            assert_eq!((found.to_string(), found.date().to_string()), (shown.into(), day.into()));
        }
        for time in ["2024-02-30", "2024-02-29 16:30", "2024-02-29T16:30Z", "1969-12-31", "noon"] {
            let wanted = "is no time of a block: expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ, from 1970 on";
            assert_eq!(panic_of(world, |world, _| drop(world.at(time).actor("a"))), format!("`{time}` {wanted}"));
        }
    });
}

#[test]
fn an_event_that_is_not_described_has_no_name() {
    run_native(board::CONTRACT, |world| {
        let clerk = world.actor("clerk");
        world.deploy(&clerk, ()).done::<()>();
        assert_eq!(world.call(&clerk, "shout", ()).event_names(), ["(not in the interface description)"]);
    });
}

#[test]
fn a_test_without_a_module_fails() {
    if std::env::var_os("CHANCERY_NATIVE_ONLY").is_some() {
        return;
    }
    let ran = Cell::new(0);
    let panic = catch_unwind(AssertUnwindSafe(|| run(board::CONTRACT, "none-board", |_| ran.set(ran.get() + 1))));
    let text = *panic.expect_err("it panics").downcast::<String>().unwrap();
    assert_eq!(ran.get(), 1);
    for part in ["no dist/none-board.wasm was found", "run `chancery build`", "CHANCERY_NATIVE_ONLY=1"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// A package of its own in a directory of its own: a built module, what it was built from, and the sources of now.
#[test]
fn a_test_on_a_module_of_other_sources_fails_and_names_them() {
    if std::env::var_os("CHANCERY_NATIVE_ONLY").is_some() {
        return;
    }
    let dir = std::env::temp_dir().join(format!("chancery-testing-{}", std::process::id()));
    let write = |path: &str, text: &str| {
        let file = dir.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    let package: &'static str = dir.display().to_string().leak();
    let panic = || {
        let contract = chancery_sdk::native::Contract { package, ..board::CONTRACT };
        let panic = catch_unwind(AssertUnwindSafe(|| run(contract, "board", |_| ())));
        *panic.expect_err("it panics").downcast::<String>().unwrap()
    };
    for path in ["Cargo.toml", "src/lib.rs", "dist/board.wasm"] {
        write(path, "as built");
    }
    assert!(panic().contains("dist/board.sources: No such file"), "{}", panic());
    write("dist/board.sources", &chancery_engine::sources::of(&dir).unwrap());
    // The sources are the same: what comes next is the module, which is none.
    assert!(panic().contains("dist/board.wasm: ") && !panic().contains("was built before"), "{}", panic());
    write("src/lib.rs", "changed");
    assert!(
        panic().ends_with("dist/board.wasm was built before src/lib.rs changed: run `chancery build`"),
        "{}",
        panic()
    );
    std::fs::remove_dir_all(&dir).unwrap();
}
