//! An ExecReq as the gateway reads it: its inputs, of which a compile has hundreds, point into the body
//! and are not copied out of it.

use bytes::{Buf, BufMut, Bytes};
use goma_proto::api::{ExecReq, FileBlob};
use prost::encoding::{DecodeContext, WireType, group};
use prost::{DecodeError, Message};

/// The number of `ExecReq.input` in `goma/api.proto`, which is a group.
const INPUT: u32 = 10;
/// Bytes of an input on the wire: the 64 digits of its key, a name, and what frames them.
const USUAL_INPUT: usize = 100;
/// Room is made for as many before there are any.
const MOST_FORESEEN: usize = 4096;

/// A compile as posted. On the wire it is an ExecReq.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Posted {
    /// All but its inputs, of which it has none.
    pub(crate) request: ExecReq,
    pub(crate) inputs: Vec<PostedInput>,
}

/// An `ExecReq.Input`. Its texts are read where they are validated.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PostedInput {
    /// `filename`.
    #[prost(bytes = "bytes", optional, tag = "11")]
    pub(crate) name: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub(crate) hash_key: Option<Bytes>,
    /// Few have one; a box keeps the others small.
    #[prost(message, optional, boxed, tag = "13")]
    pub(crate) content: Option<Box<FileBlob>>,
}

impl Message for Posted {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.request.encode_raw(buf);
        group::encode_repeated(INPUT, &self.inputs, buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            INPUT => {
                if self.inputs.is_empty() {
                    self.inputs.reserve(usual_inputs(buf.remaining()));
                }
                group::merge_repeated(tag, wire_type, &mut self.inputs, buf, ctx)
            }
            _ => self.request.merge_field(tag, wire_type, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        self.request.encoded_len() + group::encoded_len_repeated(INPUT, &self.inputs)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// How many inputs there are in so many bytes, unless they are unusual: to grow is to move them.
fn usual_inputs(bytes: usize) -> usize {
    (bytes / USUAL_INPUT).min(MOST_FORESEEN)
}

#[cfg(any(test, fuzzing))]
impl From<ExecReq> for Posted {
    fn from(mut request: ExecReq) -> Self {
        let inputs = std::mem::take(&mut request.input).into_iter().map(|input| PostedInput {
            name: input.filename.map(Bytes::from),
            hash_key: input.hash_key.map(Bytes::from),
            content: input.content.map(Box::new),
        });
        Self { inputs: inputs.collect(), request }
    }
}

#[cfg(test)]
mod tests {
    use goma_proto::api::exec_req::Input;

    use super::*;

    #[test]
    fn on_the_wire_it_is_an_exec_req() {
        let input = |name: &str, content| Input {
            filename: Some(name.to_owned()),
            hash_key: Some("ab".repeat(32)),
            content,
        };
        let content = FileBlob { content: Some("int x;".into()), ..Default::default() };
        let request = ExecReq {
            cwd: Some("/home/u".to_owned()),
            arg: vec!["gcc".to_owned(), "a.c".to_owned()],
            input: vec![Input::default(), input("a.c", Some(content)), input("é.h", None)],
            ..Default::default()
        };
        let body = Bytes::from(request.encode_to_vec());
        let posted = Posted::decode(body.clone()).expect("an ExecReq");
        assert_eq!(posted, request.clone().into());
        assert!(posted.request.input.is_empty());
        assert_eq!(posted.encoded_len(), body.len());
        assert_eq!(ExecReq::decode(&*posted.encode_to_vec()), Ok(request));
        let name = posted.inputs[1].name.clone().expect("a name");
        assert!(body.as_ptr_range().contains(&name.as_ptr()), "it is not copied");
    }
}
