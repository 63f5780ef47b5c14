//! Commands to Redis, single or cluster, over one connection that many calls share.
//!
//! The pool makes connections and checks them after a failure. Between failures one connection is
//! used by all at once: taking one from the pool asks it for a sign of life first, and a question is
//! to take one round trip, not two.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo, Pipeline, TlsCertificates, cmd,
};
use deadpool_redis::{PoolError, cluster, redis};
use futures::future::try_join_all;
use goma_common::{Code, Error, Result};

use super::told::told;
use super::{RedisConfig, failed};

/// A connection that is not there within this is given up.
const CONNECT: Duration = Duration::from_secs(3);
/// An answer that is not there within this is not coming: presence gives up long before, and a
/// mapping is asked for again.
const RESPONSE: Duration = Duration::from_secs(10);
/// Connections of one shard; a second is made only while a broken one is being replaced.
const CONNECTIONS: usize = 4;

/// The store at the other end.
pub(super) struct Link {
    store: Store,
    /// Of one, or of one node of a cluster; without what else its URL may hold.
    address: String,
}

/// How it is reached.
enum Store {
    Single { pool: deadpool_redis::Pool, shared: Mutex<Option<MultiplexedConnection>> },
    Cluster { pool: cluster::Pool, shared: Mutex<Option<ClusterConnection>> },
}

impl Link {
    /// Makes no connection.
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        let invalid =
            |error: String| Error::new(Code::InvalidArgument, format!("--redis-url: {error}"));
        let nodes: Result<Vec<ConnectionInfo>> = config
            .urls
            .iter()
            .map(|url| {
                let info = url.as_str().into_connection_info();
                let info = info.map_err(|_| {
                    invalid("write redis://HOST:PORT or rediss://HOST:PORT".to_owned())
                })?;
                let mut settings = info.redis_settings().clone();
                if let Some(username) = &config.username {
                    settings = settings.set_username(username);
                }
                if let Some(password) = &config.password {
                    settings = settings.set_password(password);
                }
                trusting(info.set_redis_settings(settings), config.ca_certificate.as_deref())
            })
            .collect();
        let mut nodes = nodes?;
        let address = nodes.first().map(|node| node.addr().to_string()).unwrap_or_default();
        if nodes.len() > 1 || config.cluster {
            let manager =
                cluster::Manager::new(nodes, false).map_err(|e| invalid(e.to_string()))?;
            let pool = cluster::Pool::builder(manager).max_size(CONNECTIONS).build();
            let pool = pool.map_err(|error| invalid(error.to_string()))?;
            let store = Store::Cluster { pool, shared: Mutex::default() };
            return Ok(Self { store, address });
        }
        let Some(node) = nodes.pop() else { return Err(invalid("name one".to_owned())) };
        let connection = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE));
        let manager = deadpool_redis::Manager::new_with_config(node, connection);
        let manager = manager.map_err(|error| invalid(error.to_string()))?;
        let pool = deadpool_redis::Pool::builder(manager).max_size(CONNECTIONS).build();
        let pool = pool.map_err(|error| invalid(error.to_string()))?;
        let store = Store::Single { pool, shared: Mutex::default() };
        Ok(Self { store, address })
    }

    /// The values, in order. In a cluster the client splits the keys by node.
    pub(super) async fn get(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let count = keys.len();
        told(&self.address, "MGET", count, self.query(cmd("MGET").arg(keys))).await
    }

    /// Sets all pairs for so long.
    pub(super) async fn set(&self, pairs: Vec<(Vec<u8>, Vec<u8>)>, life: Duration) -> Result<()> {
        let sets = pairs.iter().map(|(key, value)| {
            let mut set = cmd("SET");
            set.arg(key).arg(value).arg("EX").arg(life.as_secs().max(1));
            set
        });
        match &self.store {
            Store::Single { .. } => {
                let mut pipeline = Pipeline::with_capacity(pairs.len());
                for set in sets {
                    pipeline.add_command(set).ignore();
                }
                told(&self.address, "SET", pairs.len(), self.pipeline(&pipeline)).await
            }
            // All are on their way before the first is answered.
            Store::Cluster { .. } => {
                let sets: Vec<Cmd> = sets.collect();
                let set = try_join_all(sets.iter().map(|set| self.query::<()>(set)));
                told(&self.address, "SET", pairs.len(), set).await.map(drop)
            }
        }
    }

    pub(super) async fn set_if_absent(&self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.query::<Option<String>>(cmd("SET").arg(key).arg(value).arg("NX")).await.map(drop)
    }

    pub(super) async fn set_for_ever(&self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.query(cmd("SET").arg(key).arg(value)).await
    }

    pub(super) async fn remove(&self, keys: Vec<Vec<u8>>) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let count = keys.len();
        told(&self.address, "UNLINK", count, self.query::<i64>(cmd("UNLINK").arg(keys)))
            .await
            .map(drop)
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let answer = match &self.store {
            Store::Single { pool, shared } => {
                command.query_async(&mut single(pool, shared).await?).await
            }
            Store::Cluster { pool, shared } => {
                command.query_async(&mut clustered(pool, shared).await?).await
            }
        };
        self.checked(answer)
    }

    async fn pipeline(&self, pipeline: &Pipeline) -> Result<()> {
        let answer = match &self.store {
            Store::Single { pool, shared } => run(pipeline, single(pool, shared).await?).await,
            Store::Cluster { pool, shared } => run(pipeline, clustered(pool, shared).await?).await,
        };
        self.checked(answer)
    }

    /// After a failure the pool is asked for a connection that lives.
    fn checked<T>(&self, answer: redis::RedisResult<T>) -> Result<T> {
        answer.map_err(|error| {
            match &self.store {
                Store::Single { shared, .. } => drop(take(shared)),
                Store::Cluster { shared, .. } => drop(take(shared)),
            }
            failed(&error)
        })
    }
}

/// With the operator's certificate authority, if there is one.
fn trusting(info: ConnectionInfo, ca_certificate: Option<&[u8]>) -> Result<ConnectionInfo> {
    let (Some(pem), ConnectionAddr::TcpTls { .. }) = (ca_certificate, info.addr()) else {
        return Ok(info);
    };
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
    let client = Client::build_with_tls(info, certificates).map_err(|error| {
        Error::new(Code::InvalidArgument, format!("--redis-ca-certificate: {error}"))
    })?;
    Ok(client.get_connection_info().clone())
}

async fn run(pipeline: &Pipeline, mut connection: impl ConnectionLike) -> redis::RedisResult<()> {
    pipeline.query_async(&mut connection).await
}

async fn single(
    pool: &deadpool_redis::Pool,
    shared: &Mutex<Option<MultiplexedConnection>>,
) -> Result<MultiplexedConnection> {
    if let Some(connection) = &*lock(shared) {
        return Ok(connection.clone());
    }
    let connection = pool.get().await.map_err(away)?;
    let connection = MultiplexedConnection::clone(&connection);
    *lock(shared) = Some(connection.clone());
    Ok(connection)
}

async fn clustered(
    pool: &cluster::Pool,
    shared: &Mutex<Option<ClusterConnection>>,
) -> Result<ClusterConnection> {
    if let Some(connection) = &*lock(shared) {
        return Ok(connection.clone());
    }
    let connection = pool.get().await.map_err(away)?;
    let connection = ClusterConnection::clone(&connection);
    *lock(shared) = Some(connection.clone());
    Ok(connection)
}

/// There is no connection: mappings wait for one, also where Redis does not let us in.
fn away(error: PoolError) -> Error {
    match error {
        PoolError::Backend(error) => Error { code: Code::Unavailable, ..failed(&error) },
        error => Error::new(Code::Unavailable, format!("Redis: {error}")),
    }
}

fn take<T>(shared: &Mutex<Option<T>>) -> Option<T> {
    lock(shared).take()
}

fn lock<T>(shared: &Mutex<Option<T>>) -> std::sync::MutexGuard<'_, Option<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
