//! Outputs that a gateway has answered with before: neither sent along by the action cache nor read out of the CAS again.

mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use goma_common::reapi::{ActionCache, Backend, Executed, Execution, Executor};
use goma_common::testing::ScriptedBackend;
use goma_common::{Deadline, Digest, Result};
use goma_gateway::GatewayConfig;
use goma_proto::reapi::ActionResult;
use support::{compile, exec, gateway_with, object, output};

/// An action cache that takes note of how many outputs each question wants to have sent along.
struct Noting {
    inner: Arc<dyn ActionCache>,
    wanted: Mutex<Vec<usize>>,
}

#[async_trait]
impl ActionCache for Noting {
    async fn get(
        &self,
        action: Digest,
        inline_outputs: &[String],
        deadline: Deadline,
    ) -> Result<Option<ActionResult>> {
        self.wanted.lock().expect("no panic").push(inline_outputs.len());
        self.inner.get(action, inline_outputs, deadline).await
    }
}

/// Workers that leave this whatever they are given.
struct Workers(ActionResult);

#[async_trait]
impl Executor for Workers {
    async fn execute(&self, _: &Execution, _: Deadline) -> Result<Executed> {
        Ok(Executed { result: self.0.clone(), cached: false })
    }
}

/// The objects of three equal compiles, whose output the CAS loses after the second; and how the action cache was asked.
async fn three_times(config: GatewayConfig) -> (Vec<Vec<u8>>, Vec<usize>) {
    let scripted = ScriptedBackend::default();
    let leaving = |contents: &[u8]| {
        let output_files = vec![output(&scripted, "a.o", contents.to_vec())];
        ActionResult { output_files, ..Default::default() }
    };
    scripted.put_any_result(leaving(b"object"));
    let executor = Arc::new(Workers(leaving(b"compiled again")));
    let inner = scripted.backend(0).action_cache;
    let cache = Arc::new(Noting { inner, wanted: Mutex::default() });
    let backend = Backend { action_cache: cache.clone(), executor, ..scripted.backend(0) };
    let gateway = gateway_with(config, &scripted, backend);
    let mut objects = Vec::new();
    for at in 0..3 {
        if at == 2 {
            scripted.evict(Digest::of(b"object"));
        }
        objects.push(object(&exec(&gateway, compile(&["a.o".to_owned()])).await));
    }
    let wanted = cache.wanted.lock().expect("no panic").clone();
    (objects, wanted)
}

#[tokio::test]
async fn what_was_answered_with_is_not_asked_for_again() {
    let (objects, wanted) = three_times(GatewayConfig::default()).await;
    assert_eq!(objects, [b"object", b"object", b"object"]);
    assert_eq!(wanted, [1, 0, 0]);
}

#[tokio::test]
async fn a_gateway_that_keeps_nothing_reads_it_each_time() {
    let config = GatewayConfig { max_kept_output_bytes: 0, ..GatewayConfig::default() };
    let (objects, wanted) = three_times(config).await;
    assert_eq!(objects, [&b"object"[..], b"object", b"compiled again"]);
    assert_eq!(wanted, [1, 1, 1]);
}
