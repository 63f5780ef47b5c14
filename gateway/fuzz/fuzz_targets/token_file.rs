//! The file of tokens of ours.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| goma_gateway::fuzzing::token_file(text));
