//! The header that says who a request is from.

#![no_main]

libfuzzer_sys::fuzz_target!(|value: &[u8]| goma_gateway::fuzzing::bearer_token(value));
