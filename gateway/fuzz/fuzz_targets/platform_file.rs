//! The file of platforms and backends.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| goma_gateway::fuzzing::platform_file(text));
