//! One message in its frame, as a call with a single question and a single answer sends it: five bytes of flag and length, then
//! the message. Read whole, within the limits of size and time that every request body has.

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Response, header::HeaderValue};
use prost::Message;
use tendon_kernel::{Error, ErrorKind, Result};
use tonic::body::Body;

/// Bytes before a message.
pub(super) const HEAD: usize = 5;

/// The only message in these bytes.
///
/// # Errors
/// `Unsupported` when it is compressed, `Invalid` when it is none.
pub(super) fn decode<M: Message + Default>(bytes: &Bytes) -> Result<M> {
    let none = || Error::new(ErrorKind::Invalid, "malformed_message", "the request is no message of this call");
    let length = match *bytes.get(..HEAD).unwrap_or_default() {
        [0, a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
        [_, ..] => {
            return Err(Error::new(ErrorKind::Unsupported, "compressed", "compressed messages are not read here")
                .hint("send messages with the encoding `identity`"));
        }
        [] => return Err(none().hint("one whole message in its frame belongs to this call")),
    };
    if usize::try_from(length).ok() != bytes.len().checked_sub(HEAD) {
        return Err(none().hint("one whole message in its frame belongs to this call"));
    }
    M::decode(bytes.slice(HEAD..)).map_err(|error| none().hint("is the client made from another file?").private(error))
}

/// An answer with its message and the status OK.
pub(super) fn answer<M: Message>(message: &M) -> Response<Body> {
    let mut bytes = BytesMut::with_capacity(HEAD + message.encoded_len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    // A growing buffer takes any message.
    let _ = message.encode(&mut bytes);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(bytes.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
