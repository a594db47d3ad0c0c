//! `compile`, hidden: the child in which modules are compiled under limits of processor time and memory.

use crate::failure::{Failure, Outcome};

pub fn run() -> Outcome {
    if chancery_engine::compile_child() == std::process::ExitCode::SUCCESS {
        Ok(())
    } else {
        Err(Failure::internal("the module was not compiled"))
    }
}
