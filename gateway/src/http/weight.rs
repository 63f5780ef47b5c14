//! What a message will take in memory, told before it is decoded: two bytes on the wire may become a
//! struct of two hundred, and compression makes thousands of the two.
//!
//! Read off the wire format, of which only the nesting of our own messages is known here. Pure.

use goma_proto::api::{
    CommandSpec, FileBlob, LookupFileReq, PlatformProperty, RequesterInfo, SaveLogReq,
    StoreFileReq, SubprogramSpec, ToolchainSpec,
};

use crate::posted::{Posted, PostedInput};

/// A text or bytes: their handle, and the least that is allocated for them.
const FIELD: usize = 48;
/// A list grows by doubling.
const SLACK: usize = 2;
/// The decoder refuses what is nested deeper.
const MAX_NESTING: usize = 100;

/// A message as far as its weight goes.
pub(super) struct Shape {
    /// One of them, in bytes.
    own: usize,
    /// Its fields that are messages, by number.
    messages: &'static [(u32, &'static Shape)],
}

/// Messages of which it is known what they will weigh.
pub(super) trait Weighed {
    /// How they are nested.
    fn shape() -> &'static Shape;
}

static FILE_BLOB: Shape = Shape { own: size_of::<FileBlob>(), messages: &[] };
static INPUT: Shape = Shape { own: size_of::<PostedInput>(), messages: &[(13, &FILE_BLOB)] };
static COMMAND: Shape = Shape { own: size_of::<CommandSpec>(), messages: &[] };
static SUBPROGRAM: Shape = Shape { own: size_of::<SubprogramSpec>(), messages: &[] };
static TOOL_FILE: Shape = Shape { own: size_of::<ToolchainSpec>(), messages: &[] };
static PROPERTY: Shape = Shape { own: size_of::<PlatformProperty>(), messages: &[] };
static REQUESTER: Shape = Shape { own: size_of::<RequesterInfo>(), messages: &[(13, &PROPERTY)] };
/// Fields of which nothing is known are passed over by the decoder.
static UNKNOWN: Shape = Shape { own: 0, messages: &[] };

static EXEC: Shape = Shape {
    own: size_of::<Posted>(),
    messages: &[(1, &COMMAND), (10, &INPUT), (15, &SUBPROGRAM), (30, &REQUESTER), (38, &TOOL_FILE)],
};
static STORE: Shape =
    Shape { own: size_of::<StoreFileReq>(), messages: &[(1, &FILE_BLOB), (10, &REQUESTER)] };
static LOOKUP: Shape = Shape { own: size_of::<LookupFileReq>(), messages: &[(10, &REQUESTER)] };
static SAVE_LOG: Shape = Shape { own: size_of::<SaveLogReq>(), messages: &[] };

impl Weighed for Posted {
    fn shape() -> &'static Shape {
        &EXEC
    }
}

impl Weighed for StoreFileReq {
    fn shape() -> &'static Shape {
        &STORE
    }
}

impl Weighed for LookupFileReq {
    fn shape() -> &'static Shape {
        &LOOKUP
    }
}

impl Weighed for SaveLogReq {
    fn shape() -> &'static Shape {
        &SAVE_LOG
    }
}

/// Bytes that the message will take beside those on the wire, or something above `most` when it is
/// more than that. Of what is malformed, which the decoder refuses, as far as it goes.
pub(super) fn weight(message: &[u8], shape: &Shape, most: usize) -> usize {
    let mut weight = shape.own;
    // Messages without a length end with a field of their own.
    let mut open = vec![];
    weigh(message, shape, &mut weight, most, &mut open);
    weight
}

fn weigh<'a>(
    mut rest: &[u8],
    mut shape: &'a Shape,
    weight: &mut usize,
    most: usize,
    open: &mut Vec<&'a Shape>,
) -> Option<()> {
    let outside = open.len();
    while !rest.is_empty() && *weight <= most {
        let key = varint(&mut rest)?;
        *weight += FIELD;
        let known = || {
            let inside = shape.messages.iter().find(|(number, _)| u64::from(*number) == key >> 3);
            inside.map(|(_, shape)| *shape)
        };
        match key & 7 {
            0 => drop(varint(&mut rest)?),
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (inside, after) = rest.split_at_checked(length)?;
                if let Some(known) = known() {
                    *weight += SLACK * known.own;
                    weigh(inside, known, weight, most, open)?;
                }
                rest = after;
            }
            3 if open.len() < MAX_NESTING => {
                let known = known().unwrap_or(&UNKNOWN);
                *weight += SLACK * known.own;
                open.push(std::mem::replace(&mut shape, known));
            }
            4 if open.len() > outside => shape = open.pop()?,
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    open.truncate(outside);
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (at, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *rest = &rest[at + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use goma_proto::api::ExecReq;
    use goma_proto::api::exec_req::Input;
    use prost::Message;

    use super::*;

    fn of<M: Weighed>(bytes: &[u8]) -> usize {
        weight(bytes, M::shape(), usize::MAX)
    }

    fn inputs(count: usize) -> Vec<u8> {
        let input = Input {
            filename: Some("include/a.h".to_owned()),
            hash_key: Some("0".repeat(64)),
            content: Some(FileBlob { hash_key: vec![String::new(); 3], ..Default::default() }),
        };
        ExecReq { input: vec![input; count], ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn each_input_weighs_what_it_takes() {
        let one = of::<Posted>(&inputs(2)) - of::<Posted>(&inputs(1));
        let takes = size_of::<PostedInput>() + size_of::<FileBlob>() + 3 * size_of::<String>();
        assert!((takes..takes * 4).contains(&one), "{one} for {takes}");
        assert_eq!(of::<Posted>(&inputs(101)) - of::<Posted>(&inputs(1)), one * 100);
    }

    #[test]
    fn two_bytes_weigh_as_much_as_the_struct_that_they_become() {
        let many = 1000;
        let weights = [
            (of::<Posted>(&[0x53, 0x54].repeat(many)), size_of::<PostedInput>()),
            (of::<Posted>(&[0xb2, 2, 0].repeat(many)), size_of::<ToolchainSpec>()),
            (of::<StoreFileReq>(&[0x0a, 0].repeat(many)), size_of::<FileBlob>()),
            (of::<LookupFileReq>(&[0x0a, 0].repeat(many)), size_of::<String>()),
            (of::<SaveLogReq>(&[0x12, 0].repeat(many)), size_of::<bytes::Bytes>()),
        ];
        for (weight, takes) in weights {
            assert!(weight >= many * takes, "{weight} for {takes}");
        }
        // The chunks of one file within an input.
        let blob = [0xaa, 1, 0].repeat(many);
        let file = FileBlob { hash_key: vec![String::new(); many], ..Default::default() };
        assert_eq!(file.encode_to_vec(), blob);
        let input = Input { content: Some(file), ..Default::default() };
        let request = ExecReq { input: vec![input], ..Default::default() }.encode_to_vec();
        assert!(of::<Posted>(&request) >= many * size_of::<String>());
    }

    #[test]
    fn contents_weigh_nothing_and_what_is_too_much_is_not_read_to_its_end() {
        let file = FileBlob { content: Some(vec![0x53; 1 << 20].into()), ..Default::default() };
        let request = StoreFileReq { blob: vec![file], ..Default::default() }.encode_to_vec();
        assert!(of::<StoreFileReq>(&request) < 4096);
        let much = weight(&[0x53, 0x54].repeat(1 << 20), Posted::shape(), 5000);
        assert!((5001..6000).contains(&much), "{much}");
    }

    #[test]
    fn what_is_malformed_ends_it() {
        for bytes in [&[0xff; 40][..], &[0x0a, 0xff, 0x7f], &[0x54], &[0x0e], &[0x09, 1], &[0x0d]] {
            assert!(of::<Posted>(bytes) < 4096, "{bytes:?}");
        }
        let nested = vec![0x0b; 1 << 20];
        assert!(of::<Posted>(&nested) < 4096 + FIELD * MAX_NESTING);
    }
}
