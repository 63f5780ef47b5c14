//! What an operator decides about a gateway.

use std::sync::Arc;
use std::time::Duration;

use goma_common::preset::{AbsolutePaths, OutputFields};

use crate::command::Flags;
use crate::platforms::CompilerEntry;

/// Settings of one gateway; every field has a flag in the programs that run it.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Platform properties of every action, by name: the container image and what else the
    /// scheduler matches workers by.
    pub platform_properties: Vec<(String, String)>,
    /// Compilers that the workers have, for clients that do not bring theirs; the first that fits.
    pub compilers: Arc<[CompilerEntry]>,
    /// What flags of compilers mean.
    pub flags: Flags,
    /// How compiles whose result holds absolute paths are met.
    pub absolute_paths: AbsolutePaths,
    /// How outputs are asked for.
    pub output_fields: OutputFields,
    /// Whether each compile is to run, and nothing of it to be kept.
    pub do_not_cache: bool,
    /// Most file names in one `missing_input` answer, beside the rule of half; 0 is no limit.
    pub missing_input_limit: usize,
    /// Times a lost input may be put back and the action executed again.
    pub max_retries: u32,
    /// How long each part of a compile may take.
    pub timeouts: Timeouts,
    /// Largest request body as sent, in bytes.
    pub max_body: usize,
    /// Largest request body after decompression, in bytes.
    pub max_inflated: usize,
    /// Bytes of request bodies in memory at once; more wait unread.
    pub max_inflight_bytes: usize,
    /// Bytes of files in answers that are fetched or written at once; more are waited for.
    pub max_answer_bytes: usize,
    /// Compressed answers that are kept for others who get the same, in bytes; 0 keeps none.
    pub max_packed_bytes: usize,
    /// Outputs that are kept for others who compile the same, in bytes; 0 keeps none.
    pub max_kept_output_bytes: usize,
    /// Requests under way at once; more wait unread.
    pub max_inflight: usize,
    /// Requests of one user under way at once; more of his wait unread.
    pub max_user_requests: usize,
    /// How long a request may wait for room before it is refused.
    pub admission_wait: Duration,
    /// Outputs up to this many bytes go inside the answer; larger ones are fetched in pieces.
    pub max_inline_output: u64,
    /// File keys in the gateway's own cache.
    pub key_cache_entries: usize,
}

/// Deadlines of the parts of a compile. Whatever they are, a request is answered within 600 s of its
/// arrival.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Storing inputs and looking keys up.
    pub inputs: Duration,
    /// Asking the action cache; reading what a hit names is reading outputs.
    pub cached: Duration,
    /// The worker's time for the compiler.
    pub action: Duration,
    /// Waiting for the worker; the action goes on into the cache without us.
    pub execute: Duration,
    /// Reading outputs.
    pub outputs: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            inputs: Duration::from_secs(120),
            cached: Duration::from_secs(10),
            action: Duration::from_secs(15 * 60),
            execute: Duration::from_secs(590),
            outputs: Duration::from_secs(120),
        }
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            platform_properties: Vec::new(),
            compilers: Arc::default(),
            flags: Flags::default(),
            absolute_paths: AbsolutePaths::Refuse,
            output_fields: OutputFields::Paths,
            do_not_cache: false,
            missing_input_limit: 0,
            max_retries: 2,
            timeouts: Timeouts::default(),
            max_body: 64 << 20,
            max_inflated: 256 << 20,
            max_inflight_bytes: 1 << 30,
            max_answer_bytes: 512 << 20,
            max_packed_bytes: 64 << 20,
            max_kept_output_bytes: 64 << 20,
            max_inflight: 4096,
            max_user_requests: 1024,
            admission_wait: Duration::from_secs(30),
            max_inline_output: 16 << 20,
            key_cache_entries: 200_000,
        }
    }
}
