//! A receiver of OTLP as real ones are, over gRPC and over HTTP: it keeps what it is sent.

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// A span as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) failed: bool,
    pub(crate) attributes: HashMap<String, String>,
}

/// How often requests of one kind and end were counted, by whom.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) resource: HashMap<String, String>,
    pub(crate) metric: String,
    pub(crate) attributes: HashMap<String, String>,
    pub(crate) count: u64,
}

/// All spans so far, and all points of histograms.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    spans: Arc<Mutex<Vec<Received>>>,
    counted: Arc<Mutex<Vec<Counted>>>,
}

impl Receiver {
    /// Listens on a port of its own, in the clear.
    pub(crate) async fn start() -> (Self, SocketAddr) {
        Self::serve(Server::builder(), None).await
    }

    /// The same over TLS, for those who show this key.
    pub(crate) async fn start_tls(tls: ServerTlsConfig, key: &'static str) -> (Self, SocketAddr) {
        let server = Server::builder().tls_config(tls).expect("certificates");
        Self::serve(server, Some(key)).await
    }

    async fn serve(mut server: Server, key: Option<&'static str>) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let receiver = Self::default();
        let look = move |request: Request<()>| match key {
            Some(key) if request.metadata().get("x-api-key").is_none_or(|shown| shown != key) => {
                Err(Status::unauthenticated("no key"))
            }
            _ => Ok(request),
        };
        let server = server
            .add_service(TraceServiceServer::with_interceptor(receiver.clone(), look))
            .add_service(MetricsServiceServer::with_interceptor(receiver.clone(), look));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (receiver, address)
    }

    /// The same over HTTP, for those who show this key.
    pub(crate) async fn start_http(key: &'static str) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let receiver = Self::default();
        let kept = receiver.clone();
        let take = async move |headers: HeaderMap, body: Bytes| {
            if headers.get("x-api-key").is_none_or(|shown| shown != key) {
                return StatusCode::UNAUTHORIZED;
            }
            assert_eq!(headers["content-type"], "application/x-protobuf");
            // Collectors compress, whatever they are told.
            let mut plain = body.to_vec();
            if headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
                plain.clear();
                GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("gzip");
            }
            kept.keep(ExportTraceServiceRequest::decode(&plain[..]).expect("a message"));
            StatusCode::OK
        };
        let app = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, address)
    }

    pub(crate) fn spans(&self) -> Vec<Received> {
        self.spans.lock().expect("no panic").clone()
    }

    pub(crate) fn counted(&self) -> Vec<Counted> {
        self.counted.lock().expect("no panic").clone()
    }
}

impl Receiver {
    fn keep(&self, request: ExportTraceServiceRequest) {
        let mut spans = self.spans.lock().expect("no panic");
        for resource in request.resource_spans {
            let of = attributes(&resource.resource.unwrap_or_default().attributes);
            let service = of.get("service.name").cloned().unwrap_or_default();
            assert!(of.contains_key("service.version") && of.contains_key("service.instance.id"));
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let status = span.status.clone().unwrap_or_default().code();
                spans.push(Received {
                    service: service.clone(),
                    kind: span.kind(),
                    failed: status == SpanStatus::Error,
                    attributes: attributes(&span.attributes),
                    name: span.name,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                });
            }
        }
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.keep(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut counted = self.counted.lock().expect("no panic");
        for told in request.into_inner().resource_metrics {
            let resource = attributes(&told.resource.unwrap_or_default().attributes);
            for metric in told.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let Some(Data::Histogram(histogram)) = metric.data else { continue };
                counted.extend(histogram.data_points.into_iter().map(|point| Counted {
                    resource: resource.clone(),
                    metric: metric.name.clone(),
                    attributes: attributes(&point.attributes),
                    count: point.count,
                }));
            }
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn attributes(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}
