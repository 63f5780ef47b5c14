//! The file of who is let in.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| goma_gateway::fuzzing::access_list(text));
