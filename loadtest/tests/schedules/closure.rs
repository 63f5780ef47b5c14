//! The blobs that an action needs, and what it makes of them. Pure.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use goma_common::Digest;
use goma_proto::reapi::{self, Action, ActionResult, Command, Directory, OutputFile};
use prost::Message;

/// An action with all that hangs on it, as far as it can be read.
#[derive(Default)]
pub struct Closure {
    /// Every blob that is known to belong to it.
    pub all: HashSet<Digest>,
    /// Those that are gone.
    pub missing: Vec<Digest>,
    /// Contents by the last part of their path.
    files: BTreeMap<String, Bytes>,
    outputs: Vec<String>,
}

impl Closure {
    pub fn of(action: Digest, read: impl Fn(Digest) -> Option<Bytes>) -> Self {
        let mut closure = Self::default();
        let Some(action) = closure.message::<Action>(Some(action), &read) else { return closure };
        if let Some(command) = closure.message::<Command>(digest(&action.command_digest), &read) {
            closure.outputs = command.output_paths;
        }
        let mut dirs = vec![digest(&action.input_root_digest)];
        while let Some(dir) = dirs.pop() {
            let Some(dir) = closure.message::<Directory>(dir, &read) else { continue };
            dirs.extend(dir.directories.iter().map(|dir| digest(&dir.digest)));
            for file in dir.files {
                if let Some(contents) = closure.bytes(digest(&file.digest), &read) {
                    closure.files.insert(file.name, contents);
                }
            }
        }
        closure
    }

    /// The result, and the contents that it leaves in the CAS.
    pub fn result(&self) -> (ActionResult, Vec<Bytes>) {
        let object = compiled(self.files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])));
        let outputs = self.outputs.iter().map(|path| OutputFile {
            path: path.clone(),
            digest: Some(Digest::of(&object).into()),
            contents: object.to_vec(),
            ..Default::default()
        });
        let result = ActionResult { output_files: outputs.collect(), ..Default::default() };
        (result, vec![object])
    }

    fn message<M: Message + Default>(
        &mut self,
        digest: Option<Digest>,
        read: impl Fn(Digest) -> Option<Bytes>,
    ) -> Option<M> {
        M::decode(self.bytes(digest, read)?).ok()
    }

    fn bytes(
        &mut self,
        digest: Option<Digest>,
        read: impl Fn(Digest) -> Option<Bytes>,
    ) -> Option<Bytes> {
        let digest = digest?;
        if digest.is_empty() {
            return Some(Bytes::new());
        }
        let contents = read(digest);
        if self.all.insert(digest) && contents.is_none() {
            self.missing.push(digest);
        }
        contents
    }
}

/// What the compiler makes of these files, given by the last part of their names, in order of them.
pub fn compiled<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Bytes {
    let mut object = b"object\n".to_vec();
    for (name, contents) in files {
        object.extend_from_slice(format!("{name} {}\n", Digest::of(contents)).as_bytes());
    }
    object.into()
}

fn digest(digest: &Option<reapi::Digest>) -> Option<Digest> {
    digest.as_ref().and_then(|digest| Digest::try_from(digest).ok())
}
