//! The certificate that a client shows.

#![no_main]

libfuzzer_sys::fuzz_target!(|der: &[u8]| goma_gateway::fuzzing::client_certificate(der));
