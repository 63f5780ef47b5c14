//! What an issuer of tokens answers.

#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| goma_gateway::fuzzing::issuer_answer(body));
