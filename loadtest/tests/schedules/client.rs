//! A user's client, with the stock client's memory, patience and retries.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use goma_common::{Digest, FileKey};
use goma_loadtest::stock::{Health, Temper, Verdict};
use goma_proto::api::exec_req::Input;
use goma_proto::api::{CommandSpec, ExecReq, ExecResp, FileBlob, RequesterInfo, file_blob};
use prost::Message;
use tokio::time::{Instant, sleep, timeout};

use crate::closure::compiled;
use crate::script::GATEWAYS;
use crate::world::{COMPILER, File, Losses, World, compiler};

/// The client waits for so long for the first byte of an answer.
const PATIENCE: Duration = Duration::from_secs(610);

/// One user.
pub struct Client {
    world: Arc<World>,
    number: u64,
    attempts: u64,
    random: fastrand::Rng,
    /// Files that the server is taken to have.
    sent: HashSet<FileKey>,
    health: Health,
}

impl Client {
    pub fn new(world: Arc<World>, number: u64) -> Self {
        let seed = world.chance.rank(("client", number));
        let mut random = fastrand::Rng::with_seed(seed);
        // Some have sent everything before, to a server that has forgotten it.
        let sent = match random.u8(0..4) {
            0 => world.files.iter().map(|file| file.key).collect(),
            _ => HashSet::new(),
        };
        Self { world, number, attempts: 0, random, sent, health: Health::default() }
    }

    /// Does all its compiles.
    pub async fn work(mut self) {
        for _ in 0..self.world.script.compiles {
            sleep(Duration::from_millis(self.random.u64(0..6_000))).await;
            let kind = self.random.usize(0..self.world.script.kinds);
            self.compile(kind).await;
        }
    }

    async fn compile(&mut self, kind: usize) {
        let world = self.world.clone();
        let (began, before) = (Instant::now(), world.losses());
        let mut missing = HashSet::new();
        world.checker.count("compiles");
        for attempt in 0.. {
            let request = self.request(kind, &missing, attempt);
            let had: Vec<_> = world.inputs(kind).map(|file| since(&world, file)).collect();
            let asked = Instant::now();
            let first = self.random.usize(0..GATEWAYS);
            let post = world.post(&request, first, self.next_attempt());
            let Ok((status, body)) = timeout(PATIENCE, post).await else {
                world.checker.violation(format!("{}: no answer to attempt {attempt}", self.number));
                return;
            };
            world.checker.count("attempts");
            self.health.record(Instant::now(), status);
            let healthy = self.health.is_healthy(Instant::now());
            if status != 200 {
                let words = String::from_utf8_lossy(&body).trim().to_owned();
                world.checker.count("5xx");
                if !(500..600).contains(&status) {
                    world.checker.violation(format!("status {status}: {words}"));
                }
                if let Verdict::Stop(_) = Temper::Stock.again(attempt, healthy) {
                    let allowed = u32::from(!world.script.lies);
                    self.failed(&format!("{status} {words}"), began, before, allowed, 1);
                    return;
                }
                continue;
            }
            let answer = ExecResp::decode(body).expect("an ExecResp");
            if answer.missing_input.is_empty() {
                self.sent.extend(embedded(&request));
                self.check(kind, answer);
                return;
            }
            world.checker.count("answers that ask for inputs");
            self.check_missing(kind, &answer.missing_input, &had, asked);
            missing = answer.missing_input.into_iter().collect();
            match Temper::Stock.again(attempt, healthy) {
                Verdict::Again(_) => {}
                // What made it unhealthy was judged when it happened.
                Verdict::Stop(_) if !healthy => return,
                Verdict::Stop(_) => {
                    self.failed("five attempts did not do", began, before, 2, 2);
                    return;
                }
            }
        }
    }

    /// Another number than anybody's so far.
    fn next_attempt(&mut self) -> u64 {
        self.attempts += 1;
        self.number << 32 | self.attempts << 8
    }

    /// A compile that the user's machine has to do by itself, which no more losses excuse than
    /// `allowed` while it ran, a great one counting `great` times.
    fn failed(&self, why: &str, began: Instant, before: Losses, allowed: u32, great: u32) {
        let (world, after) = (&self.world, self.world.losses());
        let lost = after.single - before.single + great * (after.great - before.great);
        let away = after.farm_back > began;
        world.checker.count("compiles that failed");
        if lost <= allowed && !away {
            world.checker.violation(format!("a compile failed: {why}"));
        }
    }

    fn request(&self, kind: usize, missing: &HashSet<String>, attempt: u32) -> ExecReq {
        let embeds = |file: &File| match missing.is_empty() {
            true => !self.sent.contains(&file.key),
            false => missing.contains(&path(file)),
        };
        let inputs = self.world.inputs(kind).map(|file| input(file, embeds(file)));
        request(self.number, kind, inputs.collect(), attempt)
    }

    /// Only what the cluster lacks is asked for, and at most half of the inputs at once.
    fn check_missing(&self, kind: usize, names: &[String], had: &[Option<Since>], asked: Instant) {
        let checker = &self.world.checker;
        let inputs: Vec<&File> = self.world.inputs(kind).collect();
        if names.len() > (inputs.len() / 2).max(1) {
            checker.violation(format!("{} of {} inputs were asked for", names.len(), inputs.len()));
        }
        for (file, had) in inputs.into_iter().zip(had) {
            let has = had.is_some() && *had == since(&self.world, file);
            if has && names.contains(&path(file)) {
                let since = asked.elapsed().as_millis();
                let name = &file.name;
                checker.violation(format!("{name} was asked for and there all the {since} ms"));
            }
        }
    }

    fn check(&self, kind: usize, mut answer: ExecResp) {
        let checker = &self.world.checker;
        let result = answer.result.take().unwrap_or_default();
        if result.exit_status != Some(0) || !answer.error_message.is_empty() {
            checker.violation(format!("a good compile was refused: {:?}", answer.error_message));
            return;
        }
        let (hash, size) = answer.cache_key().split_once('/').unwrap_or_default();
        match Digest::parse(hash, size.parse().unwrap_or(-1)) {
            Ok(action) => checker.action(kind, action),
            Err(error) => checker.violation(error.to_string()),
        }
        let files: BTreeMap<&str, &[u8]> =
            self.world.inputs(kind).map(|file| (file.name.as_str(), &file.contents[..])).collect();
        let right = compiled(files.into_iter());
        let content = |blob: Option<FileBlob>| blob.and_then(|blob| blob.content);
        let outputs: Vec<_> =
            result.output.into_iter().map(|output| content(output.blob)).collect();
        if outputs != [Some(right)] {
            checker.violation("a compile had a wrong output");
        }
    }
}

/// Sends contents under another file's key, which must be refused and believed by nobody.
pub async fn forge(world: &Arc<World>, number: u64) {
    let began = Instant::now();
    let mut inputs: Vec<Input> = world.inputs(0).map(|file| input(file, true)).collect();
    let (first, last) = (inputs[0].content.clone(), inputs.len() - 1);
    inputs[last].content = first;
    let request = request(number, 0, inputs, 0);
    let post = world.post(&request, 0, 1 << 63 | number << 8);
    let Ok((status, body)) = timeout(PATIENCE, post).await else {
        world.checker.violation("a forgery was not answered");
        return;
    };
    world.checker.count("forgeries");
    if status != 200 && world.losses().farm_back > began {
        return;
    }
    let answer = ExecResp::decode(body).unwrap_or_default();
    if status != 200 || answer.error_message.is_empty() {
        world.checker.violation(format!("a forgery was answered {status}, {answer:?}"));
    }
}

/// Since when the cluster has had a file, all of it.
type Since = (Instant, Instant);

fn since(world: &World, file: &File) -> Option<Since> {
    let held = match file.digest.is_empty() {
        true => world.store.known_since(&file.key),
        false => world.farm.held_since(&file.digest),
    };
    Some((world.store.known_since(&file.key)?, held?))
}

fn path(file: &File) -> String {
    match file.name.ends_with('h') {
        true => format!("include/{}", file.name),
        false => format!("src/{}", file.name),
    }
}

fn input(file: &File, embed: bool) -> Input {
    let content = FileBlob {
        blob_type: Some(file_blob::BlobType::File.into()),
        content: Some(file.contents.clone()),
        file_size: i64::try_from(file.contents.len()).ok(),
        ..Default::default()
    };
    Input {
        filename: Some(path(file)),
        hash_key: Some(file.key.hex()),
        content: embed.then_some(content),
    }
}

fn embedded(request: &ExecReq) -> impl Iterator<Item = FileKey> {
    let sent = request.input.iter().filter(|input| input.content.is_some());
    sent.filter_map(|input| FileKey::parse(input.hash_key()).ok())
}

/// Every user has a home of their own, which the action must not show.
fn request(user: u64, kind: usize, input: Vec<Input>, attempt: u32) -> ExecReq {
    let output = format!("out/a{kind}.o");
    let line = format!("gcc -Iinclude -c src/a{kind}.c -o {output}");
    ExecReq {
        command_spec: Some(CommandSpec {
            name: Some("gcc".to_owned()),
            binary_hash: Some(compiler().hex().into()),
            local_compiler_path: Some(COMPILER.to_owned()),
            ..Default::default()
        }),
        arg: line.split(' ').map(ToOwned::to_owned).collect(),
        cwd: Some(format!("/home/user{user}/project")),
        input,
        requester_info: Some(RequesterInfo {
            username: Some(format!("user{user}")),
            retry: i32::try_from(attempt).ok(),
            ..Default::default()
        }),
        expected_output_files: vec![output],
        ..Default::default()
    }
}
