//! What is wrong with a TOML file, for whoever wrote it.

/// The line, and what is wrong there; not what stands there, which may be a secret.
pub(crate) fn told(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line}: {}", error.message())
}
