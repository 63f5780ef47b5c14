//! How long a caller waits.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| goma_shard::fuzzing::timeout(text));
