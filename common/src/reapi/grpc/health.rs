//! GetCapabilities: is the backend there, can it serve us, and how large may a message be?

use async_trait::async_trait;
use goma_proto::reapi::capabilities_client::CapabilitiesClient;
use goma_proto::reapi::{GetCapabilitiesRequest, digest_function};

use super::{Grpc, timed};
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};
use crate::reapi::Health;

#[async_trait]
impl Health for Grpc {
    async fn check(&self, deadline: Deadline) -> Result<()> {
        let request = GetCapabilitiesRequest { instance_name: self.instance.clone() };
        let mut client = CapabilitiesClient::new(self.calls.clone());
        let call = async { Ok(client.get_capabilities(timed(request, deadline)).await?) };
        let capabilities = deadline
            .bound("GetCapabilities", call)
            .await
            .map_err(|error| error.context(format_args!("{}: GetCapabilities", self.told)))?
            .into_inner();
        if let Some(cache) = &capabilities.cache_capabilities {
            let sha256 = i32::from(digest_function::Value::Sha256);
            if !cache.digest_functions.is_empty() && !cache.digest_functions.contains(&sha256) {
                return Err(Error::new(
                    Code::Unimplemented,
                    format!(
                        "{}: instance {:?} does not take SHA-256 digests",
                        self.told, self.instance
                    ),
                ));
            }
            self.limits.learn(cache);
            self.compression.learn(cache);
        }
        let executes = capabilities.execution_capabilities.is_some_and(|c| c.exec_enabled);
        if !executes {
            return Err(Error::new(
                Code::Unimplemented,
                format!("{}: instance {:?} does not execute actions", self.told, self.instance),
            ));
        }
        Ok(())
    }
}
