//! Checks of the action cache and of execution.

use std::time::Duration;

use futures::FutureExt;
use goma_common::{Code, Digest, Error, Result};
use goma_proto::longrunning::Operation;
use goma_proto::reapi::execution_stage::Value as Stage;
use goma_proto::reapi::{
    ActionResult, ExecuteOperationMetadata, ExecuteRequest, GetActionResultRequest,
    WaitExecutionRequest,
};
use prost::Message;
use tonic::Streaming;

use super::script::{Inputs, execute, output, script};
use super::visited::{Visited, ensure, fresh, not, sha256};
use super::{Need, Run};

pub(super) const CHECKS: &[(Need, &str, Run)] = &[
    (Need::Must, "has no result of what nobody ran", |v| no_result(v).boxed()),
    (Need::Must, "runs a command with its environment, inputs and directory", |v| runs(v).boxed()),
    (Need::Must, "gives inputs their mode, and keeps that of outputs", |v| modes(v).boxed()),
    (Need::Must, "follows symlinks among the inputs", |v| symlinks(v).boxed()),
    (Need::Must, "gives the exit status, and stderr", |v| fails(v).boxed()),
    (Need::Must, "bears an output that is not made", |v| lacking(v).boxed()),
    (Need::Must, "makes the directories of outputs", |v| nested(v).boxed()),
    (Need::Must, "keeps what ended well in the action cache", |v| cached(v).boxed()),
    (Need::Must, "runs again what is not to be looked up", |v| skips_cache(v).boxed()),
    (Need::Must, "tells that an input is missing", |v| missing_input(v).boxed()),
    (Need::Must, "tells that an action is missing", |v| missing_action(v).boxed()),
    (Need::May, "names the input that is missing", |v| names_missing(v).boxed()),
    (Need::May, "keeps nothing in the action cache that ended badly", |v| {
        failed_uncached(v).boxed()
    }),
    (Need::May, "keeps nothing in the action cache that is not to be", |v| do_not_cache(v).boxed()),
    (Need::May, "ends a command that exceeds its time", |v| times_out(v).boxed()),
    (Need::May, "takes outputs by the old fields", |v| old_outputs(v).boxed()),
    (Need::May, "puts small outputs into results", |v| inlines(v).boxed()),
    (Need::May, "tells stages", |v| stages(v).boxed()),
    (Need::May, "lets an execution be waited for by name", |v| waits(v).boxed()),
    (Need::May, "runs equal actions once", |v| merges(v).boxed()),
    (Need::May, "lays inputs out where InputRootAbsolutePath says", |v| absolute(v).boxed()),
    (Need::May, "makes the input root the / of the command", |v| chroot(v).boxed()),
];

async fn lookup(visited: &Visited, action: Digest) -> Result<Option<ActionResult>> {
    let cache = &visited.backend.action_cache;
    cache.get(action, &["out".to_owned()], visited.deadline()).await
}

async fn no_result(visited: &Visited) -> Result<String> {
    let found = lookup(visited, fresh(100).0).await?;
    ensure(found.is_none(), "it has one")?;
    Ok("NOT_FOUND".to_owned())
}

async fn wrote(visited: &Visited, result: &ActionResult, expected: &str) -> Result<()> {
    let stderr = String::from_utf8_lossy(&result.stderr_raw);
    ensure(result.exit_code == 0, format!("exit status {}: {stderr}", result.exit_code))?;
    let found = output(visited, result, "out").await?.ok_or_else(|| not("the output is gone"))?;
    let found = String::from_utf8_lossy(&found);
    ensure(found == expected, format!("it wrote {found:?} and not {expected:?}"))
}

async fn runs(visited: &Visited) -> Result<String> {
    let mut command = script("cat input > /dev/null && printf \"$GREETING\" > out");
    command.working_directory = "dir";
    let result = command.run(visited).await?;
    wrote(visited, &result, "hello").await?;
    Ok("relative to its working directory".to_owned())
}

async fn modes(visited: &Visited) -> Result<String> {
    let result = script("dir/tool > out && chmod +x out").run(visited).await?;
    wrote(visited, &result, "ran").await?;
    let executable = result.output_files.iter().any(|file| file.is_executable);
    ensure(executable, "an executable output is told as another")?;
    Ok("executable in, executable out".to_owned())
}

async fn symlinks(visited: &Visited) -> Result<String> {
    let result = script("cmp dir/link dir/input && printf same > out").run(visited).await?;
    wrote(visited, &result, "same").await?;
    Ok("it reads as its target".to_owned())
}

async fn fails(visited: &Visited) -> Result<String> {
    let result = script("echo why >&2; exit 3").run(visited).await?;
    ensure(result.exit_code == 3, format!("exit status {}", result.exit_code))?;
    let stderr = match &result.stderr_digest {
        _ if !result.stderr_raw.is_empty() => result.stderr_raw.clone(),
        Some(digest) => {
            let digest = Digest::try_from(digest)?;
            let read = visited.backend.cas.download_batch(&[digest], visited.deadline()).await?;
            read.into_iter().collect::<Result<Vec<_>>>()?.concat()
        }
        None => Vec::new(),
    };
    ensure(stderr == b"why\n", format!("stderr {:?}", String::from_utf8_lossy(&stderr)))?;
    Ok(if result.stderr_raw.is_empty() { "by digest" } else { "in the answer" }.to_owned())
}

async fn lacking(visited: &Visited) -> Result<String> {
    let mut command = script("printf x > out");
    command.outputs.push("other".to_owned());
    let result = command.run(visited).await?;
    wrote(visited, &result, "x").await?;
    Ok("the others are there".to_owned())
}

async fn nested(visited: &Visited) -> Result<String> {
    let mut command = script("printf x > new/dir/out");
    command.outputs = vec!["new/dir/out".to_owned()];
    let result = command.run(visited).await?;
    ensure(result.exit_code == 0, "the directory of the output is not there")?;
    let found = output(visited, &result, "new/dir/out").await?;
    ensure(found.is_some_and(|found| found == "x"), "the output is gone")?;
    Ok("before the command runs".to_owned())
}

async fn cached(visited: &Visited) -> Result<String> {
    let action = script("printf x > out").upload(visited, &Inputs::new()).await?;
    execute(visited, action, false).await?;
    let found = lookup(visited, action).await?.ok_or_else(|| not("no result afterwards"))?;
    wrote(visited, &found, "x").await?;
    let again = execute(visited, action, false).await?;
    Ok(if again.cached { "and tells so" } else { "and does not tell" }.to_owned())
}

const RANDOM: &str = "od -An -N16 -tx1 /dev/urandom > out";

async fn written(visited: &Visited, action: Digest, fresh: bool) -> Result<bytes::Bytes> {
    let result = execute(visited, action, fresh).await?.result;
    output(visited, &result, "out").await?.ok_or_else(|| not("the output is gone"))
}

async fn skips_cache(visited: &Visited) -> Result<String> {
    let action = script(RANDOM).upload(visited, &Inputs::new()).await?;
    let first = written(visited, action, false).await?;
    ensure(written(visited, action, true).await? != first, "it answered from its cache")?;
    Ok("skip_cache_lookup".to_owned())
}

async fn run_without_input(visited: &Visited) -> Result<Error> {
    let inputs = Inputs::new().without_input();
    let action = script("cat dir/input > out").upload(visited, &inputs).await?;
    match execute(visited, action, true).await {
        Err(error) => Ok(error),
        Ok(ran) => Err(not(format!("it ran, with exit status {}", ran.result.exit_code))),
    }
}

async fn missing_input(visited: &Visited) -> Result<String> {
    let error = run_without_input(visited).await?;
    let told = [Code::MissingBlobs, Code::NotFound, Code::Internal];
    ensure(told.contains(&error.code), format!("{:?}: {error}", error.code))?;
    Ok(format!("{:?}: {error}", error.code))
}

async fn names_missing(visited: &Visited) -> Result<String> {
    let error = run_without_input(visited).await?;
    ensure(!error.missing.is_empty(), format!("no details: {error}"))?;
    Ok("violations MISSING".to_owned())
}

async fn missing_action(visited: &Visited) -> Result<String> {
    match execute(visited, fresh(100).0, true).await {
        Err(error) if matches!(error.code, Code::MissingBlobs | Code::NotFound) => {
            Ok(format!("{:?}: {error}", error.code))
        }
        Err(error) => Err(error),
        Ok(_) => Err(not("it ran")),
    }
}

async fn failed_uncached(visited: &Visited) -> Result<String> {
    let action = script("exit 1").upload(visited, &Inputs::new()).await?;
    execute(visited, action, false).await?;
    ensure(lookup(visited, action).await?.is_none(), "a failure is kept, also of the machine's")?;
    Ok("nothing".to_owned())
}

async fn do_not_cache(visited: &Visited) -> Result<String> {
    let mut command = script("printf x > out");
    command.do_not_cache = true;
    let action = command.upload(visited, &Inputs::new()).await?;
    execute(visited, action, false).await?;
    ensure(lookup(visited, action).await?.is_none(), "it is there")?;
    Ok("nothing".to_owned())
}

async fn times_out(visited: &Visited) -> Result<String> {
    let mut command = script("sleep 20");
    command.timeout_seconds = 1;
    let began = tokio::time::Instant::now();
    let ended = command.run(visited).await;
    ensure(began.elapsed() < Duration::from_secs(10), "it ran to its end")?;
    Ok(match ended {
        Ok(result) => format!("exit status {}", result.exit_code),
        Err(error) => format!("{:?}", error.code),
    })
}

async fn old_outputs(visited: &Visited) -> Result<String> {
    let mut command = script("printf x > out");
    command.deprecated_outputs = true;
    let result = command.run(visited).await?;
    wrote(visited, &result, "x").await?;
    Ok("output_files".to_owned())
}

async fn inlines(visited: &Visited) -> Result<String> {
    let action = script("printf x > out").upload(visited, &Inputs::new()).await?;
    execute(visited, action, false).await?;
    let request = GetActionResultRequest {
        instance_name: visited.instance.clone(),
        action_digest: Some(action.into()),
        inline_output_files: vec!["out".to_owned()],
        digest_function: sha256(),
        ..Default::default()
    };
    let found = visited.action_cache().get_action_result(request).await?.into_inner();
    ensure(found.output_files.iter().any(|file| file.contents == b"x"), "a read more for each")?;
    Ok("inline_output_files".to_owned())
}

async fn started(visited: &Visited, action: Digest) -> Result<Streaming<Operation>> {
    let request = ExecuteRequest {
        instance_name: visited.instance.clone(),
        action_digest: Some(action.into()),
        skip_cache_lookup: true,
        digest_function: sha256(),
        ..Default::default()
    };
    Ok(visited.execution().execute(request).await?.into_inner())
}

async fn operations(visited: &Visited, action: Digest) -> Result<Vec<Operation>> {
    let mut stream = started(visited, action).await?;
    let mut operations = Vec::new();
    while let Some(operation) = stream.message().await? {
        operations.push(operation);
    }
    Ok(operations)
}

async fn stages(visited: &Visited) -> Result<String> {
    let action = script("sleep 1; printf x > out").upload(visited, &Inputs::new()).await?;
    let operations = operations(visited, action).await?;
    let stages = operations.iter().filter_map(|operation| {
        let metadata = operation.metadata.as_ref()?;
        let metadata = ExecuteOperationMetadata::decode(metadata.value.as_ref()).ok()?;
        Some(metadata.stage())
    });
    let mut stages: Vec<Stage> = stages.collect();
    stages.dedup();
    ensure(stages.contains(&Stage::Executing), format!("{stages:?}"))?;
    Ok(format!("{stages:?}"))
}

async fn waits(visited: &Visited) -> Result<String> {
    let action = script("sleep 2; printf x > out").upload(visited, &Inputs::new()).await?;
    let mut stream = started(visited, action).await?;
    let first = stream.message().await?.ok_or_else(|| not("no operation"))?;
    ensure(!first.done, "the first word of it is the last")?;
    drop(stream);
    let request = WaitExecutionRequest { name: first.name };
    let mut stream = visited.execution().wait_execution(request).await?.into_inner();
    let mut done = false;
    while let Some(operation) = stream.message().await? {
        done = operation.done;
    }
    ensure(done, "the stream ended before it did")?;
    Ok("WaitExecution".to_owned())
}

async fn merges(visited: &Visited) -> Result<String> {
    let action = script("sleep 1; od -An -N16 -tx1 /dev/urandom > out");
    let action = action.upload(visited, &Inputs::new()).await?;
    let (one, other) =
        tokio::try_join!(written(visited, action, false), written(visited, action, false))?;
    ensure(one == other, "it ran twice")?;
    Ok("both have the one result".to_owned())
}

async fn absolute(visited: &Visited) -> Result<String> {
    let mut command = script("pwd > out");
    command.property = Some(("InputRootAbsolutePath", "/conformance/root"));
    let result = command.run(visited).await?;
    wrote(visited, &result, "/conformance/root\n").await?;
    Ok("pwd says so".to_owned())
}

async fn chroot(visited: &Visited) -> Result<String> {
    let mut command = script("pwd > out");
    command.working_directory = "dir";
    let result = command.run(visited).await?;
    wrote(visited, &result, "/dir\n").await?;
    Ok("pwd says so".to_owned())
}
