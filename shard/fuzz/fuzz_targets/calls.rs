//! Calls of a gateway, one after the other, at a shard with a backend in memory.

#![no_main]

use goma_common::testing::ScriptedBackend;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Its clock stands still but where all wait.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true);
    let runtime = { runtime }.build().expect("a runtime");
    let backend = ScriptedBackend::default().backend(1 << 20);
    runtime.block_on(goma_shard::fuzzing::calls(bytes, backend));
});
