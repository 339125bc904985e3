//! Streams between workers, with real sockets.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use ipc::key::{Answer, FromKey, ToKey};
use ipc::{Bytes, Channel, Epoch, FrameBuffer, FrameError, Link, LinkError, encode};
use proptest::prelude::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn open<S: ipc::Bounded + Send + 'static, R: ipc::Bounded + Send + 'static>(
    stream: UnixStream,
    channel: Channel,
    epoch: u32,
) -> thread::JoinHandle<Result<Link<S, R>, LinkError>> {
    thread::spawn(move || Link::open(stream, channel, Epoch(epoch), PATIENCE))
}

#[test]
fn both_ends_greet_and_messages_arrive_in_order() {
    let (a, b) = UnixStream::pair().unwrap();
    let (a, b) = (
        open::<ToKey, FromKey>(a, Channel::Key, 1),
        open::<FromKey, ToKey>(b, Channel::Key, 1),
    );
    let (mut a, mut b) = (a.join().unwrap().unwrap(), b.join().unwrap().unwrap());
    let requests: Vec<ToKey> = (0..100)
        .map(|ticket| ToKey {
            ticket,
            request: Bytes::from(vec![7; 100]),
        })
        .collect();
    a.sender.send_all(&requests).unwrap();
    for request in &requests {
        assert_eq!(b.receiver.receive().unwrap().as_ref(), Some(request));
    }
    let answer = FromKey {
        ticket: 3,
        answer: Answer::Locked,
    };
    b.sender.send(&answer).unwrap();
    drop(b);
    assert_eq!(a.receiver.receive().unwrap(), Some(answer));
    assert_eq!(a.receiver.receive().unwrap(), None);
    assert!(matches!(
        a.sender.send(&requests[0]),
        Err(LinkError::Closed)
    ));
}

#[test]
fn another_channel_or_epoch_is_refused() {
    for (channel, epoch) in [(Channel::Store, 1), (Channel::Key, 2)] {
        let (a, b) = UnixStream::pair().unwrap();
        let (a, b) = (
            open::<ToKey, FromKey>(a, Channel::Key, 1),
            open::<FromKey, ToKey>(b, channel, epoch),
        );
        assert!(matches!(a.join().unwrap(), Err(LinkError::Hello { .. })));
        assert!(matches!(b.join().unwrap(), Err(LinkError::Hello { .. })));
    }
}

#[test]
fn a_message_beyond_its_bound_is_neither_sent_nor_received() {
    let mut out = vec![1, 2, 3];
    let large = ToKey {
        ticket: 1,
        request: Bytes::from(vec![0; ipc::key::MAX_REQUEST + 100]),
    };
    assert!(matches!(
        encode(&large, &mut out),
        Err(FrameError::Length { .. })
    ));
    assert_eq!(out, [1, 2, 3]);

    let (a, mut raw) = UnixStream::pair().unwrap();
    let hello = {
        let mut out = Vec::new();
        encode(&ipc::Hello::new(Channel::Key, Epoch(1)), &mut out).unwrap();
        out
    };
    raw.write_all(&hello).unwrap();
    let mut a = Link::<ToKey, FromKey>::open(a, Channel::Key, Epoch(1), PATIENCE).unwrap();
    raw.write_all(&u32::MAX.to_le_bytes()).unwrap();
    assert!(matches!(
        a.receiver.receive(),
        Err(LinkError::Frame(FrameError::Length { .. }))
    ));
}

#[test]
fn a_channel_that_ends_within_a_message_is_no_orderly_end() {
    let (a, mut raw) = UnixStream::pair().unwrap();
    let mut out = Vec::new();
    encode(&ipc::Hello::new(Channel::Key, Epoch(1)), &mut out).unwrap();
    raw.write_all(&out).unwrap();
    raw.write_all(&[9, 0]).unwrap();
    raw.shutdown(std::net::Shutdown::Write).unwrap();
    let mut a = Link::<ToKey, FromKey>::open(a, Channel::Key, Epoch(1), PATIENCE).unwrap();
    assert!(matches!(a.receiver.receive(), Err(LinkError::Torn)));
}

#[test]
fn bytes_behind_a_message_in_its_frame_are_refused() {
    let mut out = Vec::new();
    encode(&ipc::Hello::new(Channel::Key, Epoch(1)), &mut out).unwrap();
    out.push(0);
    let length = u32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&length.to_le_bytes());
    let mut buffer = FrameBuffer::new();
    buffer.extend(&out);
    assert_eq!(buffer.pop::<ipc::Hello>(), Err(FrameError::Trailing(1)));
}

proptest! {
    #[test]
    fn frames_survive_any_cutting(sizes in proptest::collection::vec(0usize..5000, 1..20), cut in 1usize..3000) {
        let messages: Vec<ToKey> = sizes
            .iter()
            .enumerate()
            .map(|(i, size)| ToKey { ticket: i as u64, request: Bytes::from(vec![i as u8; *size]) })
            .collect();
        let mut bytes = Vec::new();
        for message in &messages {
            encode(message, &mut bytes).unwrap();
        }
        let mut buffer = FrameBuffer::new();
        let mut got = Vec::new();
        for chunk in bytes.chunks(cut) {
            buffer.extend(chunk);
            while let Some(message) = buffer.pop::<ToKey>().unwrap() {
                got.push(message);
            }
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(got, messages);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut buffer = FrameBuffer::new();
        buffer.extend(&bytes);
        let _ = buffer.pop::<ipc::control::Request>();
        let _ = ipc::decode::<ipc::supervision::ToWorker>(&bytes);
        let _ = ipc::decode::<ipc::supervision::FromWorker>(&bytes);
        let _ = ipc::decode::<ipc::net::FromNet>(&bytes);
        let _ = ipc::decode::<ipc::store::ToStore>(&bytes);
        let _ = ipc::decode::<ipc::key::FromKey>(&bytes);
    }
}
