//! Calls of a gateway, one after the other, at a shard with a backend in memory.

#![no_main]

use goma_common::testing::ScriptedBackend;
use tokio::runtime::Builder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Its clock jumps over whatever is waited for.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let backend = ScriptedBackend::default().backend(1 << 20);
    runtime.expect("a runtime").block_on(goma_shard::fuzzing::calls(bytes, backend));
});
