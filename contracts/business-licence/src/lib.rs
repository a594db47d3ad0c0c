//! In progress.
#![no_std]
