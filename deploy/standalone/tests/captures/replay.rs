//! Sends recorded requests in their order and compares the answers with the recorded ones.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use goma_proto::api::exec_req::CachePolicy;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{ExecReq, ExecResp, FileBlob, LookupFileResp, StoreFileReq};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::local;
use crate::recording::{Exchange, Recording, body};
use crate::support::goma::{CHUNK, Goma, chunks, file, key, manifest};
use crate::support::http::{self, Reply};

/// What the server has seen of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    Cold,
    Warm,
}

/// Where the client found the compiler of its in-tree cases, which no recorded request embeds.
const IN_TREE: [(&str, &str); 1] = [("../tc/bin/clang", "/usr/lib/llvm-14/bin/clang")];

pub(crate) struct Replay<'a> {
    recording: &'a Recording,
    /// Keys of what the server was given.
    sent: HashSet<String>,
    /// Contents by key, as far as this side knows them.
    contents: HashMap<String, Vec<u8>>,
    /// Recorded blobs that were looked up.
    looked_up: HashMap<String, FileBlob>,
    /// Cases that this machine cannot show, and why.
    unfit: HashMap<String, String>,
    pub(crate) compared: u32,
    pub(crate) skipped: u32,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(recording: &'a Recording) -> Self {
        let (mut contents, mut looked_up) = (HashMap::new(), HashMap::new());
        for exchange in &recording.exchanges {
            let mut blobs = Vec::new();
            match exchange.route() {
                "/e" => blobs.extend(request(exchange).input.into_iter().filter_map(|i| i.content)),
                "/l" => {
                    let answer = LookupFileResp::decode(&exchange.answer[..]).expect("an answer");
                    looked_up.extend(answer.blob.into_iter().map(|blob| (key(&blob), blob)));
                }
                _ => {}
            }
            let files = blobs.iter().filter(|blob| blob.blob_type() == BlobType::File);
            contents.extend(files.map(|blob| (key(blob), blob.content().to_vec())));
        }
        let (sent, unfit) = (HashSet::new(), HashMap::new());
        Self { recording, sent, contents, looked_up, unfit, compared: 0, skipped: 0 }
    }

    /// The client had sent some files before the recording began.
    pub(crate) async fn store_what_is_never_sent(&mut self, goma: Goma) {
        let ever: HashSet<String> = self.recording.exchanges.iter().flat_map(embedded).collect();
        for exchange in self.recording.exchanges.iter().filter(|e| e.route() == "/e") {
            let request = request(exchange);
            if let Some(why) = other_compiler(&request) {
                self.unfit.insert(exchange.case.clone(), why);
                continue;
            }
            for input in &request.input {
                let (name, wanted) = (input.filename(), input.hash_key());
                if is_system(name) || ever.contains(wanted) || self.sent.contains(wanted) {
                    continue;
                }
                let Some(contents) = self.find(name, wanted) else {
                    let why = format!("the contents of {name} are not here");
                    self.unfit.insert(exchange.case.clone(), why);
                    continue;
                };
                goma.store_file(&contents).await;
                self.sent.insert(wanted.to_owned());
                self.contents.insert(wanted.to_owned(), contents);
            }
        }
    }

    fn find(&self, name: &str, wanted: &str) -> Option<Vec<u8>> {
        let in_tree = IN_TREE.iter().find(|(known, _)| *known == name).map(|(_, path)| path);
        let path = match in_tree {
            Some(path) => Path::new(path).to_owned(),
            None => self.recording.dir.join("sources").join(name.trim_start_matches("../")),
        };
        let contents = std::fs::read(path).ok()?;
        let blob = match contents.len() <= CHUNK {
            true => file(&contents),
            false => manifest(contents.len(), &chunks(&contents)),
        };
        (key(&blob) == wanted).then_some(contents)
    }

    /// All exchanges once.
    pub(crate) async fn run(&mut self, port: u16, round: Round) {
        for exchange in &self.recording.exchanges {
            if let Some(why) = self.unfit.get(&exchange.case) {
                eprintln!("skipped {}: {why}", exchange.case);
                self.skipped += 1;
                continue;
            }
            let headers = exchange.headers.iter().filter(|(n, _)| n != "Content-Length");
            let headers: Vec<_> = headers.map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let reply = http::request(port, &exchange.line, &headers, &exchange.request).await;
            let reply = reply.unwrap_or_else(|| panic!("{}: no answer", exchange.case));
            self.compare(exchange, &reply, round).await;
            self.compared += 1;
        }
    }

    async fn compare(&mut self, exchange: &Exchange, reply: &Reply, round: Round) {
        let (case, answer) = (&exchange.case, body(reply));
        // The original knew users; `--auth none` knows nobody to refuse.
        let status = if exchange.status == 401 { 200 } else { exchange.status };
        let words = String::from_utf8_lossy(&answer);
        assert_eq!(reply.status, status, "{case}: {words}");
        if status != 200 {
            assert!(answer.len() > 10, "{case}: no reason given: {words}");
            return;
        }
        if exchange.route() != "/healthz" {
            assert_eq!(reply.header("accept-encoding"), Some("gzip, deflate"), "{case}");
        }
        match exchange.route() {
            "/e" => self.compare_exec(exchange, &answer, round).await,
            "/s" | "/l" | "/sl" => assert!(answer == exchange.answer, "{case}: other bytes"),
            _ => {}
        }
        self.sent.extend(embedded(exchange));
    }

    async fn compare_exec(&self, exchange: &Exchange, answer: &[u8], round: Round) {
        let (case, request) = (&exchange.case, request(exchange));
        let ours = ExecResp::decode(answer).expect("an ExecResp");
        let here: HashSet<String> = embedded(exchange).collect();
        let unsent: HashSet<&str> = request
            .input
            .iter()
            .filter(|input| !is_system(input.filename()))
            .filter(|input| {
                !self.sent.contains(input.hash_key()) && !here.contains(input.hash_key())
            })
            .map(|input| input.filename())
            .collect();
        if !unsent.is_empty() {
            assert_eq!(round, Round::Cold, "{case}: {unsent:?}");
            let named = &ours.missing_input;
            assert!(!named.is_empty(), "{case}: none of {unsent:?} is named missing");
            assert!(named.iter().all(|name| unsent.contains(name.as_str())), "{case}: {named:?}");
            assert!(named.len() <= (request.input.len() / 2).max(1), "{case}: {named:?}");
            return;
        }
        assert_eq!(ours.missing_input, [""; 0], "{case}: all of it was sent");
        assert_eq!(ours.error_message, [""; 0], "{case}");
        let result = ours.result.clone().expect("a result");
        assert!(result.command_spec.is_none() || result.command_spec == request.command_spec);
        let wants_hit = request.cache_policy() != CachePolicy::StoreOnly;
        if round == Round::Warm && result.exit_status() == 0 && wants_hit {
            assert_ne!(ours.cache_hit.unwrap_or(0), 0, "{case}: compiled again");
        }

        let outputs = self.outputs(&ours);
        let recorded = self.last_of(case);
        let known = recorded.result.clone().unwrap_or_default();
        if !exchange.output_is_right {
            // What the original answered was refused, or not what the user's own machine makes.
            assert_eq!(result.exit_status(), 0, "{case}");
            local::compare(case, &request, &self.contents, &outputs);
            return;
        }
        assert_eq!(result.exit_status(), known.exit_status(), "{case}");
        assert_eq!(result.stdout_buffer(), known.stdout_buffer(), "{case}");
        assert_eq!(text(result.stderr_buffer()), text(known.stderr_buffer()), "{case}");
        let wanted = self.outputs(&recorded);
        assert!(outputs.keys().eq(wanted.keys()), "{case}: {:?}", outputs.keys());
        for (name, contents) in &wanted {
            assert!(outputs[name] == *contents, "{case}: {name} has other bytes");
        }
    }

    /// The recorded answer that had the result of this case.
    fn last_of(&self, case: &str) -> ExecResp {
        let of_case = |exchange: &&Exchange| exchange.case == case && exchange.route() == "/e";
        let last = self.recording.exchanges.iter().rfind(of_case).expect("an Exec");
        ExecResp::decode(&last.answer[..]).expect("an ExecResp")
    }

    fn outputs(&self, answer: &ExecResp) -> BTreeMap<String, Vec<u8>> {
        let outputs = answer.result.iter().flat_map(|result| &result.output);
        outputs.map(|o| (o.filename().to_owned(), self.whole(o.blob.as_ref()))).collect()
    }

    fn whole(&self, blob: Option<&FileBlob>) -> Vec<u8> {
        let blob = blob.expect("a blob");
        if blob.blob_type() == BlobType::File {
            return blob.content().to_vec();
        }
        // The pieces of the same output have the same keys at every server.
        blob.hash_key.iter().flat_map(|key| self.looked_up[key].content().to_vec()).collect()
    }
}

fn request(exchange: &Exchange) -> ExecReq {
    // Those of the cases with damaged requests hold nothing.
    ExecReq::decode(&exchange.message()[..]).unwrap_or_default()
}

/// Keys of the contents that a request brings.
fn embedded(exchange: &Exchange) -> impl Iterator<Item = String> {
    let blobs: Vec<FileBlob> = match exchange.route() {
        "/e" => request(exchange).input.into_iter().filter_map(|input| input.content).collect(),
        "/s" => StoreFileReq::decode(&exchange.message()[..]).map(|r| r.blob).unwrap_or_default(),
        _ => Vec::new(),
    };
    blobs.into_iter().map(|blob| key(&blob))
}

/// Found by the server itself, or compared with its own.
fn is_system(name: &str) -> bool {
    name.starts_with("/usr/")
}

/// The compiler of the request, where this machine has another one of that name.
fn other_compiler(request: &ExecReq) -> Option<String> {
    let files = request.toolchain_specs.iter().filter(|spec| spec.symlink_path().is_empty());
    let mut system = files.filter(|spec| is_system(spec.path()));
    let differs = |path: &str, hash: &str| match std::fs::read(path) {
        Ok(contents) => hex::encode(Sha256::digest(contents)) != hash,
        Err(_) => true,
    };
    let other = system.find(|spec| differs(spec.path(), spec.hash()))?;
    Some(format!("{} of this machine is another one", other.path()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
