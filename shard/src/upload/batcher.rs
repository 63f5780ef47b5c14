//! The calls that make blobs present: FindMissingBlobs, then BatchUpdateBlobs for what is small and
//! ByteStream for what is large, each gathered over the blobs of all requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goma_common::backoff::Backoff;
use goma_common::reapi::limits::PER_BLOB;
use goma_common::reapi::{self, Backend};
use goma_common::shards::Source;
use goma_common::{Code, Deadline, Digest, Error, Result, Tenant};
use tokio::sync::oneshot;
use tracing::{Instrument, Span, debug_span};

use super::Outcome;
use super::stage::{Gathering, Stage};
use crate::contents::Contents;
use crate::counts::{Counts, What};
use crate::presence::{Asked, Presence};
use crate::sync::sleep;

/// Calls of a kind under way at once.
const CALLS: usize = 4;
/// How long the first blob of a question waits for others.
const LINGER: Duration = Duration::from_millis(1);
/// Blobs in one FindMissingBlobs: about 330 KB.
const QUESTION_MAX: usize = 4096;
/// One batch of calls ends by then, whatever its requests' own deadlines.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// A stream of one large blob ends by then, broken ones included.
const STREAM_TIMEOUT: Duration = Duration::from_secs(300);
/// Requests that the trace of a call for many tells of, beside the first.
const MOST_LINKS: usize = 20;
/// Times that blobs of one batch are sent again which the backend did not take for a passing reason.
const BLOB_TRIES: u32 = 4;

/// A handle to the tasks, which end when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Batcher {
    questions: Stage<Question>,
}

struct Question {
    digest: Digest,
    contents: Option<Bytes>,
    source: Source,
    /// Of whoever asks.
    span: Span,
    answer: Answer,
}

struct Upload {
    digest: Digest,
    contents: Bytes,
    source: Source,
    span: Span,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Outcome>>;

impl Batcher {
    pub(super) fn start(
        backend: Backend,
        presence: Arc<Presence>,
        contents: Arc<Contents>,
    ) -> Self {
        let calls = Calls { backend, presence };
        let large = calls.clone();
        let streams = Stage::start(
            Gathering { calls: CALLS, linger: Duration::ZERO, most: 1, cost: |_| 0 },
            || u64::MAX,
            move |uploads| {
                let calls = large.clone();
                async move {
                    for upload in uploads {
                        calls.stream(upload).await;
                    }
                }
            },
        );
        let (small, limits, large) = (calls.clone(), calls.backend.limits.clone(), streams.clone());
        let batches = Stage::start(
            Gathering {
                calls: CALLS,
                linger: Duration::ZERO,
                most: QUESTION_MAX,
                cost: |upload: &Upload| upload.digest.size + PER_BLOB,
            },
            move || limits.batch_bytes(),
            move |uploads| small.clone().batch(uploads, large.clone()),
        );
        let questions = Stage::start(
            Gathering { calls: CALLS, linger: LINGER, most: QUESTION_MAX, cost: |_| 0 },
            || u64::MAX,
            move |questions| {
                let next = Next {
                    batches: batches.clone(),
                    streams: streams.clone(),
                    contents: contents.clone(),
                };
                calls.clone().ask(questions, next)
            },
        );
        Self { questions }
    }

    /// Asks for the blob and uploads it if the CAS lacks it.
    pub(super) fn make_present(
        &self,
        digest: Digest,
        contents: Option<Bytes>,
        source: Source,
    ) -> impl Future<Output = Result<Outcome>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        self.questions
            .put(source, Question { digest, contents, source, span: Span::current(), answer });
        async move {
            let gone = |_| Error::new(Code::Internal, "uploads: the process ends");
            answered.await.map_err(gone)?
        }
    }
}

/// Where a blob goes that the CAS lacks.
struct Next {
    batches: Stage<Upload>,
    streams: Stage<Upload>,
    contents: Arc<Contents>,
}

#[derive(Clone)]
struct Calls {
    backend: Backend,
    presence: Arc<Presence>,
}

impl Calls {
    async fn ask(self, questions: Vec<Question>, next: Next) {
        let digests: Vec<Digest> = questions.iter().map(|question| question.digest).collect();
        let deadline = Deadline::after(CALL_TIMEOUT);
        let asked = self.presence.asked();
        Counts::batch("FindMissingBlobs", digests.len());
        let span = batch_span("ask", questions.iter().map(|question| &question.span));
        let asking = self.backend.cas.find_missing(&digests, deadline).instrument(span);
        let missing = match asking.await {
            Ok(missing) => missing,
            Err(error) => {
                questions.into_iter().for_each(|q| end(q.answer, Err(error.clone())));
                return;
            }
        };
        let counts = self.presence.counts();
        counts.add(What::AskedBlobs, digests.len());
        counts.add(What::LackedBlobs, missing.len());
        // What was believed of them was wrong, if anything was.
        self.presence.forget(Tenant::default(), &missing).await;
        let missing = std::collections::HashSet::<Digest>::from_iter(missing);
        let (absent, present): (Vec<_>, Vec<_>) =
            questions.into_iter().partition(|question| missing.contains(&question.digest));
        self.confirm(present.into_iter().map(|q| (q.digest, q.answer)).collect(), asked).await;
        for Question { digest, contents, source, span, answer } in absent {
            let contents = match contents {
                Some(contents) => Some(contents),
                None => next.contents.get(digest).await,
            };
            let Some(contents) = contents else {
                end(answer, Ok(Outcome::Missing));
                continue;
            };
            let upload = Upload { digest, contents, source, span, answer };
            match self.backend.limits.fits_batch(digest.size) {
                true => next.batches.put(source, upload),
                false => next.streams.put(source, upload),
            }
        }
    }

    /// Uploads a batch: by halves where the backend takes no such message, down to single blobs,
    /// which then go as streams; and what failed of it, and may not the next time, again.
    async fn batch(self, uploads: Vec<Upload>, streams: Stage<Upload>) {
        let deadline = Deadline::after(CALL_TIMEOUT);
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut tried = 0;
        let mut batches = vec![uploads];
        while let Some(mut batch) = batches.pop() {
            let blobs: Vec<_> = batch.iter().map(|u| (u.digest, u.contents.clone())).collect();
            let asked = self.presence.asked();
            Counts::batch("BatchUpdateBlobs", blobs.len());
            let span = batch_span("upload", batch.iter().map(|upload| &upload.span));
            let uploading = self.backend.cas.upload_batch(&blobs, deadline).instrument(span);
            let answers = match uploading.await {
                Ok(answers) => answers,
                Err(error) if error.code == Code::ResourceExhausted && batch.len() > 1 => {
                    tracing::warn!(
                        %error,
                        blobs = batch.len(),
                        "a batch was refused: sending it by halves; --backend-batch-bytes would \
                         spare that"
                    );
                    let half = batch.split_off(batch.len() / 2);
                    batches.extend([half, batch]);
                    continue;
                }
                Err(error) if error.code == Code::ResourceExhausted => {
                    batch.into_iter().for_each(|upload| streams.put(upload.source, upload));
                    continue;
                }
                Err(error) => vec![Err(error); batch.len()],
            };
            let (mut taken, mut again) = (Vec::with_capacity(batch.len()), Vec::new());
            for (upload, answer) in batch.into_iter().zip(answers) {
                match answer {
                    Ok(()) => taken.push((upload.digest, upload.answer)),
                    Err(error) if error.code.is_transient() && tried < BLOB_TRIES => {
                        tracing::debug!(%error, digest = %upload.digest, "a blob was not taken");
                        again.push(upload);
                    }
                    Err(error) => {
                        end(upload.answer, Err(error.context("backend: BatchUpdateBlobs")));
                    }
                }
            }
            self.uploaded(taken.iter().map(|(digest, _)| *digest));
            self.confirm(taken, asked).await;
            if !again.is_empty() {
                tried += 1;
                sleep(backoff.delay()).await;
                batches.push(again);
            }
        }
    }

    async fn stream(&self, upload: Upload) {
        let deadline = Deadline::after(STREAM_TIMEOUT);
        let asked = self.presence.asked();
        let stream = reapi::Upload::of(upload.digest, upload.contents);
        let span = batch_span("upload", [&upload.span]);
        match self.backend.cas.upload_stream(&stream, deadline).instrument(span).await {
            Ok(()) => {
                self.uploaded([upload.digest]);
                self.confirm(vec![(upload.digest, upload.answer)], asked).await;
            }
            Err(error) => end(upload.answer, Err(error)),
        }
    }

    fn uploaded(&self, digests: impl IntoIterator<Item = Digest>) {
        let counts = self.presence.counts();
        for digest in digests {
            counts.add(What::Uploads, 1);
            counts.add(What::UploadedBytes, usize::try_from(digest.size).unwrap_or(usize::MAX));
        }
    }

    /// The CAS has said of each of these that it has it.
    async fn confirm(&self, blobs: Vec<(Digest, Answer)>, asked: Asked) {
        if blobs.is_empty() {
            return;
        }
        let digests: Vec<Digest> = blobs.iter().map(|(digest, _)| *digest).collect();
        self.presence.confirm(Tenant::default(), &digests, asked).await;
        blobs.into_iter().for_each(|(_, answer)| end(answer, Ok(Outcome::Present(asked))));
    }
}

/// The span of a call for many: in the trace of the first of them, with links to the others.
fn batch_span<'a>(what: &'static str, of: impl IntoIterator<Item = &'a Span>) -> Span {
    let mut of = of.into_iter();
    let Some(first) = of.next() else { return Span::none() };
    let span = debug_span!(parent: first, "batch", otel.name = what);
    if !span.is_disabled() {
        let mut known = vec![first.id()];
        for other in of {
            if known.len() > MOST_LINKS {
                break;
            }
            if !known.contains(&other.id()) {
                known.push(other.id());
                span.follows_from(other);
            }
        }
    }
    span
}

fn end(answer: Answer, outcome: Result<Outcome>) {
    // Whoever asked may have run out of time.
    let _ = answer.send(outcome);
}
