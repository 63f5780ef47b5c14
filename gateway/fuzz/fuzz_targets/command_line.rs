//! A command line, an argument on each line.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| goma_gateway::fuzzing::command_line(text));
