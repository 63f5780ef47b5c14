//! Protocol buffers as text, which people write: the form of the original server's files.

use std::sync::OnceLock;

use miette::Diagnostic;
use prost::{Message, Name};
use prost_reflect::text_format::ParseError;
use prost_reflect::{DescriptorPool, DynamicMessage};

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/config.bin"));

/// Reads a message of [`crate::config`].
///
/// # Errors
/// The line and what is wrong there.
pub fn parse<M: Message + Name + Default>(text: &str) -> Result<M, String> {
    let name = M::full_name();
    let known = pool().and_then(|pool| pool.get_message_by_name(&name));
    let descriptor = known.ok_or_else(|| format!("{name} is not described"))?;
    let message = DynamicMessage::parse_text_format(descriptor, text);
    let message = message.map_err(|error| told(text, &error))?;
    message.transcode_to().map_err(|error| error.to_string())
}

fn pool() -> Option<&'static DescriptorPool> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(DESCRIPTORS).ok()).as_ref()
}

/// With the line where it is, and what it says; the end of the text, where something is missing.
fn told(text: &str, error: &ParseError) -> String {
    let label = error.labels().and_then(|mut labels| labels.next());
    let offset = label.map_or(text.trim_end().len(), |label| label.offset().min(text.len()));
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    // The library's own words, without where it says that they come from.
    let why =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let there = text.lines().nth(line - 1).unwrap_or_default().trim();
    format!("line {line}: {why}: {there}")
}
