//! A body after a byte that says how it is coded.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| goma_gateway::fuzzing::body(data));
