//! A compile in lines, up to its action.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| goma_gateway::fuzzing::compile(text));
