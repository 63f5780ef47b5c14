//! The first bytes of a connection that a balancer opens.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| goma_gateway::fuzzing::proxy_header(bytes));
