//! Paths, walked and told relative to others.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| goma_gateway::fuzzing::path(text));
