//! The steps themselves.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use goma_common::reapi::{
    self, Address, Backend, Execution, RemoteConfig, Tls, Upload, fetch_view,
};
use goma_common::remote_args::RemoteArgs;
use goma_common::{Code, Deadline, Digest, Error, Result, View};
use goma_proto::reapi::Directory;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::Instant;

use super::DoctorArgs;
use super::advice::{SPEAKS_TLS, advice};
use super::report::{Finding, Outcome, Report, Step};
use crate::command_blob::{ActionBlob, CommandBlob, blob};
use crate::config::GatewayConfig;
use crate::worker::Properties;

/// What the command writes; the worker has it from nowhere else.
const GREETING: &str = "goma";
const OUTPUT: &str = "greeting";
/// Larger than a message of a stream.
const LARGE: usize = 3 << 20;

/// Goes on until a step fails.
pub(super) async fn visit(
    remote: &RemoteArgs,
    config: &GatewayConfig,
    args: &DoctorArgs,
    report: &mut Report,
) {
    let mut visit = Visit { report, patience: args.patience };
    // Only to end early: every step has told its failure.
    let _ = visit.all(remote, config, args).await;
}

struct Visit<'a> {
    report: &'a mut Report,
    patience: Duration,
}

/// A step failed, and that was told.
struct Told;

impl Visit<'_> {
    async fn all(
        &mut self,
        remote: &RemoteArgs,
        config: &GatewayConfig,
        args: &DoctorArgs,
    ) -> Result<(), Told> {
        let configured = self.step(Step::Configuration, async {
            let names = remote.addresses()?;
            // What fails is to be seen as it is, not after five tries.
            let config = RemoteConfig { tries: 1, ..remote.config()? };
            let backend = reapi::connect(&config)?;
            let told = format!("{}, preset {}", remote.told(), remote.backend_preset.name());
            Ok((told, (names, config, backend)))
        });
        let (names, config_of_all, backend) = configured.await?;
        // Equals are examined one by one: in turn, the good ones would hide the bad.
        for name in names {
            let address = Address::Network(vec![name.clone()]);
            self.connection(&name, &RemoteConfig { address, ..config_of_all.clone() }).await?;
        }
        self.storage(&backend).await?;
        self.execution(&backend, config, args).await
    }

    async fn connection(&mut self, name: &str, reach: &RemoteConfig) -> Result<(), Told> {
        let resolved = self.step(Step::Resolution, async {
            let found = lookup_host(name).await.map_err(|error| unavailable(name, &error))?;
            let addresses: Vec<_> = found.collect();
            if addresses.is_empty() {
                return Err(unavailable(name, &"no address"));
            }
            let told: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            Ok((told.join(", "), addresses))
        });
        let addresses = resolved.await?;

        self.step(Step::Connection, async {
            let mut told = Vec::new();
            for address in &addresses {
                let made = TcpStream::connect(address).await;
                told.push(match made {
                    Ok(_) => return Ok((format!("{address} takes connections"), ())),
                    Err(error) => format!("{address}: {error}"),
                });
            }
            Err(unavailable(name, &told.join("; ")))
        })
        .await?;

        match &reach.tls {
            None => self.tell(Step::Encryption, Outcome::Skipped("--insecure-remoteexec".into())),
            Some(tls) => {
                let whose = if tls.identity.is_some() { "both sides" } else { "the server" };
                let told = format!("the certificate of {whose} is good");
                self.step(Step::Encryption, async { Ok((told, reapi::reach(reach).await?)) })
                    .await?;
            }
        }
        self.step(Step::Capabilities, async { capabilities(&reapi::connect(reach)?, reach).await })
            .await
    }

    async fn storage(&mut self, backend: &Backend) -> Result<(), Told> {
        let deadline = Deadline::after(self.patience * 5);
        let contents = Bytes::from(format!("goma doctor {:032x}\n", fastrand::u128(..)));
        let digest = Digest::of(&contents);
        let cas = backend.cas.as_ref();
        self.step(Step::Presence, async {
            let missing = cas.find_missing(&[digest], deadline).await?;
            match missing == [digest] {
                true => Ok(("it lacks what nobody wrote".to_owned(), ())),
                false => Err(Error::new(
                    Code::DataLoss,
                    "it claims to have a blob that nobody ever wrote",
                )),
            }
        })
        .await?;
        self.step(Step::Write, async {
            let taken = cas.upload_batch(&[(digest, contents.clone())], deadline).await?;
            taken.into_iter().collect::<Result<Vec<()>>>()?;
            match cas.find_missing(&[digest], deadline).await?.is_empty() {
                true => Ok((format!("{} bytes, and it has them", digest.size), ())),
                false => Err(Error::new(Code::NotFound, "it took a blob and does not have it")),
            }
        })
        .await?;
        self.step(Step::Read, async {
            let read = cas.download_batch(&[digest], deadline).await?;
            read.into_iter().collect::<Result<Vec<Bytes>>>()?;
            Ok(("the same bytes".to_owned(), ()))
        })
        .await?;
        self.step(Step::Stream, async {
            let large: Bytes = std::iter::repeat_with(|| fastrand::u8(..)).take(LARGE).collect();
            let digest = Digest::of(&large);
            cas.upload_stream(&Upload::of(digest, large), deadline).await?;
            fetch_view(cas, View::whole(digest), deadline).await?;
            Ok((format!("{} MiB, the same bytes", LARGE >> 20), ()))
        })
        .await?;
        self.step(Step::ActionCache, async {
            let unknown = Digest::of(&fastrand::u128(..).to_le_bytes());
            match backend.action_cache.get(unknown, &[], deadline).await? {
                None => Ok(("it has no result of what nobody ran".to_owned(), ())),
                Some(_) => Err(Error::new(Code::DataLoss, "it has a result of what nobody ran")),
            }
        })
        .await
    }

    async fn execution(
        &mut self,
        backend: &Backend,
        config: &GatewayConfig,
        args: &DoctorArgs,
    ) -> Result<(), Told> {
        let mut properties: Properties = config.platform_properties.clone();
        properties.sort_unstable();
        let told: Vec<String> =
            properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let told = match told.is_empty() {
            true => "no platform property".to_owned(),
            false => told.join(" "),
        };
        // The command has its own patience, which is not to cut its deadline's words short.
        self.patience = args.execution_patience + args.patience;
        let deadline = Deadline::after(args.execution_patience);
        self.step(Step::Execution, async {
            let ran = execute(backend, config, &properties, args.execution_patience, deadline);
            let ran = ran.await.map_err(|error| error.context(format_args!("with {told}")))?;
            Ok((format!("{ran} with {told}"), ()))
        })
        .await
    }

    /// Makes a step and tells how it went.
    async fn step<T>(
        &mut self,
        step: Step,
        work: impl Future<Output = Result<(String, T)>>,
    ) -> Result<T, Told> {
        let began = Instant::now();
        let ended = Deadline::after(self.patience).bound(step.name(), work).await;
        let (outcome, value) = match ended {
            Ok((said, value)) => (Outcome::Good(said), Ok(value)),
            Err(error) => {
                let advice = advice(step, &error);
                (Outcome::Bad { said: error.message, advice }, Err(Told))
            }
        };
        self.report.findings.push(Finding { step, outcome, took: began.elapsed() });
        value
    }

    fn tell(&mut self, step: Step, outcome: Outcome) {
        self.report.findings.push(Finding { step, outcome, took: Duration::ZERO });
    }
}

async fn capabilities(backend: &Backend, reach: &RemoteConfig) -> Result<(String, ())> {
    match backend.health.check(Deadline::after(Duration::from_secs(600))).await {
        Ok(()) => {
            let bytes = backend.limits.batch_bytes();
            let instance = &reach.instance;
            let told = format!("instance {instance:?}, SHA-256, batches of {bytes} bytes");
            Ok((told, ()))
        }
        Err(error) if reach.tls.is_none() && !is_an_answer(error.code) => {
            // Who speaks TLS there can be told from one that is no such server at all.
            let encrypted = RemoteConfig { tls: Some(Tls::default()), ..reach.clone() };
            let speaks_tls = match reapi::reach(&encrypted).await {
                Ok(()) => true,
                Err(error) => error.message.contains("ertificate"),
            };
            Err(if speaks_tls { error.context(SPEAKS_TLS) } else { error })
        }
        Err(error) => Err(error),
    }
}

/// Whether the server itself must have said so.
fn is_an_answer(code: Code) -> bool {
    !matches!(code, Code::Unavailable | Code::Internal | Code::Cancelled)
}

async fn execute(
    backend: &Backend,
    config: &GatewayConfig,
    properties: &Properties,
    timeout: Duration,
    deadline: Deadline,
) -> Result<String> {
    let script = format!("printf {GREETING} > {OUTPUT}");
    let command = CommandBlob {
        arguments: ["/bin/sh", "-c", &script].map(ToOwned::to_owned).to_vec(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        working_directory: String::new(),
        outputs: vec![OUTPUT.to_owned()],
        output_dirs: Vec::new(),
        output_fields: config.output_fields,
        properties,
    }
    .encode();
    let root = blob(&Directory::default());
    let action = ActionBlob {
        command: command.digest,
        root: root.digest,
        timeout,
        properties,
        // Run, not found.
        salt: fastrand::u128(..).to_le_bytes().to_vec(),
        do_not_cache: true,
    }
    .encode();
    let blobs = [command, root, action.clone()].map(|blob| {
        let contents = blob.contents.unwrap_or_default();
        (blob.digest, contents)
    });
    for taken in backend.cas.upload_batch(&blobs, deadline).await? {
        taken?;
    }
    let execution = Execution::new(action.digest, true);
    let ran = backend.executor.execute(&execution, deadline).await?.result;
    if ran.exit_code != 0 {
        let said = String::from_utf8_lossy(&ran.stderr_raw).trim().to_owned();
        return Err(Error::new(
            Code::Internal,
            format!("/bin/sh ended with status {}: {said}", ran.exit_code),
        ));
    }
    let output = ran.output_files.iter().find(|file| file.path == OUTPUT);
    let digest = output.and_then(|file| file.digest.as_ref()).ok_or_else(|| {
        Error::new(
            Code::Internal,
            "the command ended well and its output was not kept: try --output-fields both",
        )
    })?;
    let written =
        fetch_view(backend.cas.as_ref(), View::whole(Digest::try_from(digest)?), deadline);
    match written.await? == GREETING.as_bytes() {
        true => Ok("a worker ran /bin/sh".to_owned()),
        false => Err(Error::new(Code::DataLoss, "the output is not what the command wrote")),
    }
}

fn unavailable(name: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(Code::Unavailable, format!("{name}: {why}"))
}
