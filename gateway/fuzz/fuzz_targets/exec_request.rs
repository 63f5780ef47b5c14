//! An ExecReq, up to its action.

#![no_main]

libfuzzer_sys::fuzz_target!(|message: &[u8]| goma_gateway::fuzzing::exec_request(message));
