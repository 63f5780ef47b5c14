//! By which fields outputs are asked for: servers of API 2.1 ignore the old ones, and older servers know
//! no other.

mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use goma_common::drain::Drain;
use goma_common::preset::OutputFields;
use goma_common::reapi::{Backend, Executed, Execution, Executor, fetch_all};
use goma_common::testing::ScriptedBackend;
use goma_common::{Deadline, Digest, Result};
use goma_gateway::worker::Probed;
use goma_gateway::{Gateway, GatewayConfig, app};
use goma_proto::reapi::{Action, ActionResult, Command};
use prost::Message;
use support::{compile, exec, object, output};

/// Workers that take note of the action.
struct Workers {
    result: ActionResult,
    action: Mutex<Option<Digest>>,
}

#[async_trait]
impl Executor for Workers {
    async fn execute(&self, execution: &Execution, _: Deadline) -> Result<Executed> {
        *self.action.lock().expect("no panic") = Some(execution.action);
        Ok(Executed { result: self.result.clone(), cached: false })
    }
}

async fn read<M: Message + Default>(backend: &Backend, digest: Digest) -> M {
    let deadline = Deadline::after(std::time::Duration::from_secs(9));
    let found = fetch_all(backend, &[digest], deadline).await.expect("it was uploaded");
    M::decode(found[&digest].clone()).expect("a message")
}

/// The command that asks for these outputs.
async fn command(output_fields: OutputFields, outputs: &[&str]) -> Command {
    let scripted = ScriptedBackend::default();
    let output_files =
        outputs.iter().map(|name| output(&scripted, name, b"object".to_vec())).collect();
    let result = ActionResult { output_files, ..Default::default() };
    let workers = Arc::new(Workers { result, action: Mutex::default() });
    let backend = Backend { executor: workers.clone(), ..scripted.backend(0) };
    let shards = Arc::new(scripted.clone());
    let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
    let config = GatewayConfig { output_fields, ..GatewayConfig::default() };
    let gateway = Gateway::new(config, shards, backend.clone(), worker, Drain::new());
    let outputs: Vec<String> = outputs.iter().map(ToString::to_string).collect();
    let answer = exec(&app(Arc::new(gateway)), compile(&outputs)).await;
    assert_eq!(object(&answer), b"object");
    let action = workers.action.lock().expect("no panic").expect("it was run");
    let action: Action = read(&backend, action).await;
    let command = action.command_digest.expect("a command");
    read(&backend, Digest::try_from(&command).expect("a digest")).await
}

#[tokio::test]
async fn outputs_are_asked_for_by_paths_alone_unless_a_preset_wants_both() {
    let outputs = ["a.o", "a.d"];
    let command_of = async |fields| {
        let command = command(fields, &outputs).await;
        #[expect(deprecated)]
        let files = command.output_files;
        (command.output_paths, files)
    };
    let paths = ["a.d", "a.o"].map(str::to_owned).to_vec();
    assert_eq!(command_of(OutputFields::Paths).await, (paths.clone(), Vec::new()));
    assert_eq!(command_of(OutputFields::Both).await, (paths.clone(), paths));
}
