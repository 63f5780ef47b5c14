//! What calls to a backend are for, as it can show it to people: the metadata of a request by
//! `build.bazel.remote.execution.v2.RequestMetadata`.
//!
//! It belongs to the task that makes the calls, as an account does; calls that are made for many requests
//! at once tell the name of the tool alone. No part of an action depends on it.

use std::sync::{Arc, LazyLock, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use goma_proto::reapi::{RequestMetadata, ToolDetails};
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;

use crate::digest::Digest;

const METADATA: HeaderName =
    HeaderName::from_static("build.bazel.remote.execution.v2.requestmetadata-bin");
/// Bytes of a word of a client.
const MOST: usize = 256;

/// What calls tell that are nobody's in particular.
static NOBODY: LazyLock<HeaderValue> = LazyLock::new(|| {
    encoded(&RequestMetadata { tool_details: Some(tool()), ..Default::default() })
});

tokio::task_local! {
    static INVOCATION: Arc<Told>;
}

/// An invocation and what it is told by, made once its action is known.
struct Told {
    invocation: Arc<Invocation>,
    header: OnceLock<HeaderValue>,
}

/// One compile of a build.
#[derive(Debug, Default)]
pub struct Invocation {
    /// The build, as the client names it.
    pub build: String,
    /// The client.
    pub client: String,
    /// What is made.
    pub target: String,
    /// Known once the action is made.
    pub action: OnceLock<Digest>,
}

/// Does something whose calls to a backend are for that.
pub fn with_invocation<F: Future>(
    invocation: Arc<Invocation>,
    work: F,
) -> impl Future<Output = F::Output> {
    let told = Told { invocation, header: OnceLock::new() };
    INVOCATION.scope(Arc::new(told), work)
}

/// From now on this task's calls are for this action.
pub fn is_for(action: Digest) {
    let _ = INVOCATION.try_with(|told| told.invocation.action.set(action));
}

/// Tells a call what it is for.
pub(super) fn tell(headers: &mut HeaderMap) {
    let value = INVOCATION.try_with(|told| told.value()).unwrap_or_else(|_| NOBODY.clone());
    headers.insert(METADATA, value);
}

impl Told {
    fn value(&self) -> HeaderValue {
        let make = || encoded(&metadata(&self.invocation));
        match self.invocation.action.get() {
            Some(_) => self.header.get_or_init(make).clone(),
            None => make(),
        }
    }
}

fn encoded(metadata: &RequestMetadata) -> HeaderValue {
    let text = STANDARD_NO_PAD.encode(metadata.encode_to_vec());
    // Base64 is fit for a header.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn metadata(invocation: &Invocation) -> RequestMetadata {
    let build = match invocation.build.is_empty() {
        true => &invocation.client,
        false => &invocation.build,
    };
    RequestMetadata {
        tool_details: Some(tool()),
        action_id: invocation.action.get().map_or_else(String::new, |action| action.hex()),
        tool_invocation_id: cut(build),
        correlated_invocations_id: cut(&invocation.client),
        action_mnemonic: "GomaCompile".to_owned(),
        target_id: cut(&invocation.target),
        ..Default::default()
    }
}

fn tool() -> ToolDetails {
    let version = crate::telemetry::version().to_owned();
    ToolDetails { tool_name: "goma".to_owned(), tool_version: version }
}

fn cut(text: &str) -> String {
    let end = (0..=MOST.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> RequestMetadata {
        let mut headers = HeaderMap::new();
        tell(&mut headers);
        let bytes = STANDARD_NO_PAD.decode(&headers[METADATA]).expect("base64");
        RequestMetadata::decode(bytes.as_slice()).expect("a message")
    }

    #[tokio::test]
    async fn calls_tell_the_build_the_client_and_the_action() {
        assert_eq!(told().tool_details.expect("the tool").tool_name, "goma");
        let invocation = Invocation {
            build: "b1".to_owned(),
            client: "u@host".to_owned(),
            target: "ö".repeat(MOST),
            ..Default::default()
        };
        let metadata = with_invocation(Arc::new(invocation), async {
            assert_eq!(told().action_id, "");
            is_for(Digest::of(b"action"));
            // Made the first time, told as it was the second.
            assert_eq!(told(), told());
            told()
        });
        let metadata = metadata.await;
        assert_eq!(metadata.tool_invocation_id, "b1");
        assert_eq!(metadata.correlated_invocations_id, "u@host");
        assert_eq!(metadata.action_id.len(), 64);
        assert_eq!(metadata.target_id.len(), MOST);
    }
}
