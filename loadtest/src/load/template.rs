//! A known compile, and the compiles that are made from it by replacing files with new ones.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::again::{Again, Known};
use super::checked::Expect;
use super::material::{First, Making, Request, embedded, with_inputs};
use super::project::{self, Project};
use super::workload::{Choice, Kind};
use crate::client::{EMBED_LIMIT, Named, Source, cut};
use crate::error::{Error, Result};
use crate::http::{Caller, Coding};

/// One action of one size.
#[derive(Debug)]
pub(crate) struct Template {
    project: Project,
    /// Which of the project's sources it is.
    source: usize,
    /// Headers that a compile with new files replaces.
    new_files: usize,
    /// The whole request.
    pub(crate) plain: Bytes,
    packed: Bytes,
    /// The same without its source; and without those headers either.
    without_source: Vec<u8>,
    without_new: Vec<u8>,
    sources: Arc<HashMap<String, Source>>,
    first: First,
}

impl Template {
    pub(crate) fn new(
        project: Project,
        source: usize,
        new_files: usize,
        named: Named,
        coding: Option<Coding>,
    ) -> Result<Self> {
        let new_files = new_files.min(project.headers);
        let Named { request, sources } = named;
        let plain = Bytes::from(request.encode_to_vec());
        let mut without = request;
        let name = project::source_name(source);
        without.input.retain(|input| input.filename() != name);
        let without_source = without.encode_to_vec();
        let replaced: Vec<String> = (0..new_files).map(project::header_name).collect();
        without.input.retain(|input| !replaced.iter().any(|name| name == input.filename()));
        Ok(Self {
            project,
            source,
            new_files,
            packed: pack(coding, &plain)?,
            plain,
            without_source,
            without_new: without.encode_to_vec(),
            sources: Arc::new(sources),
            first: First::default(),
        })
    }

    /// The request that was chosen.
    pub(crate) fn request(&self, choice: Choice, making: &Making) -> Result<Request> {
        let object = project::object_name(self.source);
        let mark = format!("goma-load {} {}", making.nonce, choice.number);
        let mut fresh = Vec::new();
        let (plain, packed, expect) = match choice.kind {
            Kind::Known => {
                let expect = Expect::Same(object, Arc::clone(&self.first));
                (self.plain.clone(), self.packed.clone(), expect)
            }
            kind => {
                let source = Bytes::from(self.project.source(&mark));
                fresh.push((project::source_name(self.source), source));
                let mut plain = self.without_source.clone();
                if kind == Kind::New {
                    plain.clone_from(&self.without_new);
                    fresh.extend((0..self.new_files).map(|n| {
                        let text = self.project.header(n, &format!("{mark} {n}"));
                        (project::header_name(n), Bytes::from(text))
                    }));
                }
                let inputs = fresh.iter().cloned();
                let mut inputs: Vec<_> = inputs.map(|(name, text)| embedded(name, text)).collect();
                cut(&mut inputs, EMBED_LIMIT, &mut fastrand::Rng::with_seed(choice.number));
                with_inputs(inputs).encode(&mut plain).map_err(unwritten)?;
                let packed = pack(making.coding, &plain)?;
                (Bytes::from(plain), packed, Expect::Marked(object, mark))
            }
        };
        let contents = fresh.iter().map(|(_, text)| text.len() as u64).sum();
        let known = Known::Files(Arc::clone(&self.sources));
        let again = Some(Again { plain, known, fresh });
        Ok(Request { choice, path: "/e", packed, expect, contents, again })
    }
}

pub(crate) fn pack(coding: Option<Coding>, plain: &[u8]) -> Result<Bytes> {
    Caller::pack(coding, plain).map(Bytes::from).map_err(unwritten)
}

fn unwritten(error: impl std::fmt::Display) -> Error {
    Error::Answer(format!("a request of ours cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use goma_common::FileKey;
    use goma_proto::api::exec_req::Input;
    use goma_proto::api::{CommandSpec, ExecReq};

    use super::*;

    fn template() -> Arc<Template> {
        let project = Project { seed: 1, headers: 5, header_bytes: 300, sources: 2 };
        let names = (0..5).map(project::header_name).chain([project::source_name(1)]);
        let names: Vec<String> = names.collect();
        let input = |name: &String| Input {
            filename: Some(name.clone()),
            hash_key: Some("old".into()),
            content: None,
        };
        let request = ExecReq {
            command_spec: Some(CommandSpec { name: Some("gcc".into()), ..Default::default() }),
            input: names.iter().map(input).collect(),
            ..Default::default()
        };
        let old = |name: String| (name, Source::Memory(Bytes::from_static(b"old")));
        let named = Named { request, sources: names.into_iter().map(old).collect() };
        Arc::new(Template::new(project, 1, 2, named, None).expect("made"))
    }

    fn made(kind: Kind) -> (Request, ExecReq) {
        let choice = Choice { number: 9, size: 0, action: 0, user: 0, kind };
        let making = Making { nonce: "n".into(), coding: None };
        let request = template().request(choice, &making).expect("made");
        let read = ExecReq::decode(request.packed.clone()).expect("a request");
        (request, read)
    }

    fn embedded_names(request: &ExecReq) -> Vec<&str> {
        let inputs = request.input.iter().filter(|input| input.content.is_some());
        inputs.map(Input::filename).collect()
    }

    #[test]
    fn a_known_one_is_all_keys_and_others_bring_what_is_new() {
        let (_, known) = made(Kind::Known);
        assert_eq!((known.input.len(), embedded_names(&known).len()), (6, 0));
        let (_, unique) = made(Kind::Unique);
        assert_eq!(unique.input.len(), 6);
        assert_eq!(embedded_names(&unique), ["src/a1.c"]);
        assert_eq!(unique.command_spec, known.command_spec);
        let (request, new) = made(Kind::New);
        assert_eq!(new.input.len(), 6);
        assert_eq!(embedded_names(&new), ["src/a1.c", "include/d0/h0.h", "include/d0/h1.h"]);
        assert!(request.contents > 600);
        for input in new.input.iter().filter(|input| input.content.is_some()) {
            let content = input.content.as_ref().and_then(|blob| blob.content.as_deref());
            let key = FileKey::of_file(content.expect("embedded")).hex();
            assert_eq!(input.hash_key(), key);
        }
    }
}
