//! Where a request comes from, as proxies write it.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| goma_gateway::fuzzing::forwarded(text));
