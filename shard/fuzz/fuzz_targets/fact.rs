//! An entry as a store of facts has it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| goma_shard::fuzzing::fact(bytes));
