//! How an action ended.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| goma_shard::fuzzing::outcome(bytes));
