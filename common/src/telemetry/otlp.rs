//! Where traces and metrics are sent, as the standard variables say, and what sends them.
//!
//! Endpoints, headers, time limits and compression are read by the exporter itself, by
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>; here is what it leaves to us: whether
//! anything is sent, over which protocol, and whose certificates are believed.

use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::otlp_http::OtlpHttp;
use crate::reapi::system_roots;

/// What is sent, as far as anything is.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) traces: Option<Exporter>,
    pub(super) metrics: Option<Exporter>,
}

/// How a signal is sent.
#[derive(Debug)]
pub(super) struct Exporter {
    transport: Transport,
    authority: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Grpc,
    Http,
}

impl Settings {
    /// Reads them. Empty variables count as unset.
    ///
    /// # Errors
    /// Naming the variable that cannot be meant.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Self::default());
        }
        Ok(Self { traces: signal("TRACES", &variable)?, metrics: signal("METRICS", &variable)? })
    }
}

fn signal(
    name: &str,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Exporter>, String> {
    let exporter = format!("OTEL_{name}_EXPORTER");
    match variable(&exporter).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(format!("{exporter}={other}: known are otlp and none")),
    }
    // The signal's own variable comes before that of all signals.
    let either = |what: &str| {
        let own = format!("OTEL_EXPORTER_OTLP_{name}_{what}");
        let common = format!("OTEL_EXPORTER_OTLP_{what}");
        let given = variable(&own).map(|value| (own, value));
        given.or_else(|| variable(&common).map(|value| (common, value)))
    };
    if either("ENDPOINT").is_none() {
        return Ok(None);
    }
    let transport = match either("PROTOCOL") {
        None => Transport::Grpc,
        Some((name, value)) => match value.as_str() {
            "grpc" => Transport::Grpc,
            "http/protobuf" => Transport::Http,
            other => return Err(format!("{name}={other}: known are grpc and http/protobuf")),
        },
    };
    let file = |what: &str| match either(what) {
        None => Ok(None),
        Some((name, path)) => {
            let read = std::fs::read(&path);
            read.map(Some).map_err(|error| format!("{name}={path}: {error}"))
        }
    };
    let identity = match (file("CLIENT_CERTIFICATE")?, file("CLIENT_KEY")?) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let both = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY go together";
            return Err(both.to_owned());
        }
    };
    Ok(Some(Exporter { transport, authority: file("CERTIFICATE")?, identity }))
}

impl Exporter {
    /// Sends spans. Makes no connection yet.
    ///
    /// # Errors
    /// When an endpoint, a header or a certificate cannot be understood.
    pub(super) fn spans(&self) -> Result<SpanExporter, String> {
        let built = match self.transport {
            Transport::Grpc => {
                SpanExporter::builder().with_tonic().with_tls_config(self.tls()?).build()
            }
            Transport::Http => SpanExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_http_client(self.http()?)
                .build(),
        };
        built.map_err(|error| format!("OTEL_EXPORTER_OTLP_*, for traces: {error}"))
    }

    /// Sends metrics. Makes no connection yet.
    ///
    /// # Errors
    /// As [`Exporter::spans`].
    pub(super) fn metrics(&self) -> Result<MetricExporter, String> {
        let built = match self.transport {
            Transport::Grpc => {
                MetricExporter::builder().with_tonic().with_tls_config(self.tls()?).build()
            }
            Transport::Http => MetricExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_http_client(self.http()?)
                .build(),
        };
        built.map_err(|error| format!("OTEL_EXPORTER_OTLP_*, for metrics: {error}"))
    }

    fn http(&self) -> Result<OtlpHttp, String> {
        OtlpHttp::new(self.authority.as_deref(), self.identity.as_ref())
    }

    /// Used where the endpoint is `https://`.
    fn tls(&self) -> Result<ClientTlsConfig, String> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.authority {
            Some(authority) => tls.ca_certificate(Certificate::from_pem(authority)),
            None => match system_roots() {
                Ok(roots) => tls.trust_anchors(roots.iter().cloned()),
                // Plain text needs none.
                Err(_) => tls,
            },
        };
        if let Some((certificate, key)) = &self.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Ok(tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::of(|name| {
            let mut given = variables.iter();
            given.find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn transports(settings: &Settings) -> [Option<Transport>; 2] {
        [&settings.traces, &settings.metrics].map(|signal| signal.as_ref().map(|e| e.transport))
    }

    #[test]
    fn nothing_is_sent_where_nobody_said_whereto() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4317");
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            &[endpoint, ("OTEL_SDK_DISABLED", "True")],
        ] {
            assert_eq!(transports(&of(variables).expect("reads")), [None, None], "{variables:?}");
        }
        let settings = of(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]).expect("reads");
        assert_eq!(transports(&settings), [None, Some(Transport::Grpc)]);
    }

    #[test]
    fn a_signals_own_variables_come_first() {
        let settings = of(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:4318/v1/traces"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ]);
        assert_eq!(transports(&settings.expect("reads")), [Some(Transport::Http), None]);
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4317");
        for (variable, why) in [
            (("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"),
            (("OTEL_METRICS_EXPORTER", "prometheus"), "OTEL_METRICS_EXPORTER=prometheus"),
            (("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such"), "CERTIFICATE=/no/such"),
            (("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/null"), "go together"),
        ] {
            let error = of(&[endpoint, variable]).expect_err("cannot be meant");
            assert!(error.contains(why), "{error}");
        }
    }
}
