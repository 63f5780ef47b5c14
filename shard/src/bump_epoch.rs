//! The operator's verb that ends belief in presence at running shards.

use std::io;
use std::time::Duration;

use goma_common::program::Failure;
use goma_common::tls::{Io, PeerTls};
use goma_proto::shard::BumpEpochRequest;
use goma_proto::shard::shard_client::ShardClient;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::{Endpoint, Uri};

/// How long it waits for a shard.
const ADMIN: Duration = Duration::from_secs(10);

/// Tells each shard, and prints its new epoch.
///
/// # Errors
/// Naming the first shard that cannot be told.
pub(crate) async fn bump_epoch(shards: &[String], tls: Option<PeerTls>) -> Result<(), Failure> {
    for shard in shards {
        let failed = |why: String| Failure::Start(format!("--shard {shard}: {why}"));
        let endpoint = Endpoint::from_shared(format!("http://{shard}"))
            .map_err(|error| Failure::Configuration(format!("--shard {shard}: {error}")))?;
        let (to, tls) = (shard.clone(), tls.clone());
        let connector = tower::service_fn(move |_: Uri| {
            let (to, tls) = (to.clone(), tls.clone());
            async move {
                let stream = TcpStream::connect(&to).await?;
                let stream: Box<dyn Io> = match tls {
                    None => Box::new(stream),
                    Some(tls) => Box::new(tls.connect(stream).await?),
                };
                Ok::<_, io::Error>(TokioIo::new(stream))
            }
        });
        let endpoint = endpoint.timeout(ADMIN).connect_timeout(ADMIN);
        let channel = endpoint.connect_with_connector_lazy(connector);
        let bumped = ShardClient::new(channel).bump_epoch(BumpEpochRequest {}).await;
        let epoch = bumped
            .map_err(|status| failed(goma_common::Error::from(status).message))?
            .into_inner()
            .epoch;
        println!("{shard}: epoch {epoch}");
    }
    Ok(())
}
