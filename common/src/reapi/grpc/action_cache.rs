//! GetActionResult.

use async_trait::async_trait;
use goma_proto::reapi::action_cache_client::ActionCacheClient;
use goma_proto::reapi::{ActionResult, GetActionResultRequest, digest_function};

use super::{Grpc, MAX_RECEIVED, timed};
use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::error::Result;
use crate::reapi::ActionCache;

#[async_trait]
impl ActionCache for Grpc {
    async fn get(
        &self,
        action: Digest,
        inline_outputs: &[String],
        deadline: Deadline,
    ) -> Result<Option<ActionResult>> {
        let request = GetActionResultRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(action.into()),
            inline_stdout: true,
            inline_stderr: true,
            inline_output_files: inline_outputs.to_vec(),
            digest_function: digest_function::Value::Sha256.into(),
        };
        let mut client =
            ActionCacheClient::new(self.calls.clone()).max_decoding_message_size(MAX_RECEIVED);
        match client.get_action_result(timed(request, deadline)).await {
            Ok(response) => Ok(Some(response.into_inner())),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(status.into()),
        }
    }
}
