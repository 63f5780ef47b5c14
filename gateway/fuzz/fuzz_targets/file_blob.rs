//! A FileBlob: a file, a piece of one, or its manifest.

#![no_main]

libfuzzer_sys::fuzz_target!(|message: &[u8]| goma_gateway::fuzzing::file_blob(message));
