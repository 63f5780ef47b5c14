//! One call to a shard: its head, its deadline, and what is told of it.

use std::time::Instant;

use goma_common::telemetry::trace_context;
use goma_common::{Deadline, Result};
use tonic::{Request, Response, Status};
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

use super::client::RemoteShard;
use crate::metrics;

/// A call that begins.
pub(super) struct Rpc<'a> {
    shard: &'a RemoteShard,
    method: &'static str,
    deadline: Deadline,
    span: Span,
}

impl<'a> Rpc<'a> {
    /// Begins one, named as in `shard.proto`.
    pub(super) fn begin(shard: &'a RemoteShard, method: &'static str, deadline: Deadline) -> Self {
        // Whoever looks at the status page is nobody's request, and would be a trace each two seconds.
        if Span::current().is_none() {
            return Self { shard, method, deadline, span: Span::none() };
        }
        let (host, port) = trace_context::host_and_port(shard.address());
        let span = debug_span!(
            "shard",
            otel.name = format_args!("goma.shard.v1.Shard/{method}"),
            otel.kind = "client",
            otel.status_code = Empty,
            rpc.system = "grpc",
            rpc.service = "goma.shard.v1.Shard",
            rpc.method = method,
            rpc.grpc.status_code = Empty,
            server.address = host,
            server.port = port,
            "error.type" = Empty,
            goma.shard = shard.name(),
        );
        Self { shard, method, deadline, span }
    }

    /// What is sent.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.shard.request(message, self.deadline);
        self.span.in_scope(|| {
            let mut headers = std::mem::take(request.metadata_mut()).into_headers();
            trace_context::carry(&mut headers);
            *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        });
        request
    }

    /// Waits for the answer within the deadline.
    ///
    /// # Errors
    /// Naming shard and method.
    pub(super) async fn answer<T>(
        self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        let Self { shard, method, deadline, span } = self;
        let mut told =
            Told { shard: shard.name(), method, code: "CANCELLED", began: Instant::now() };
        let call = async {
            match call.await {
                Ok(response) => Ok(response.into_inner()),
                Err(status) => Err(shard.failed(status, deadline)),
            }
        };
        let answer = deadline.bound("no answer", call).instrument(span.clone()).await;
        let code = answer.as_ref().err().map_or(tonic::Code::Ok, |error| error.code.grpc());
        told.code = answer.as_ref().err().map_or("OK", |error| error.code.name());
        span.record("rpc.grpc.status_code", code as i32);
        if answer.is_err() {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", told.code);
        }
        answer.map_err(|error| error.context(format_args!("shard {}: {method}", shard.name())))
    }
}

/// Counts the call however it ends: a shard that goes has its calls given up.
struct Told<'a> {
    shard: &'a str,
    method: &'static str,
    code: &'static str,
    began: Instant,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let Self { shard, method, code, began } = self;
        metrics::shard_call(shard, method, code, began.elapsed().as_secs_f64());
    }
}
