//! One thread for each channel to `consensusd`. It reads while the disk works, and holds no more than a few messages: a sender that
//! is faster than the disk waits in its socket.

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use ipc::store::{FromStore, ToStore};
use ipc::{Channel, Epoch, Link, LinkError, Sender};

use crate::Failure;
use crate::writing::Event;

/// How long the greeting of the other side may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A channel, as the thread that made it sees it: it can only be ended.
#[derive(Debug)]
pub(crate) struct Reading(UnixStream);

impl Reading {
    /// Begins to read. The writing thread gets the other direction with the first event.
    pub(crate) fn start(
        stream: OwnedFd,
        epoch: Epoch,
        events: SyncSender<Event>,
    ) -> Result<Self, Failure> {
        let stream = UnixStream::from(stream);
        let end = stream.try_clone().map_err(Failure::Thread)?;
        thread::Builder::new()
            .name("reading".to_owned())
            .spawn(move || {
                let broken = read(stream, epoch, &events).err();
                // When the writing thread is gone, the process is about to end.
                let _ = events.send(Event::Ended { epoch, broken });
            })
            .map_err(Failure::Thread)?;
        Ok(Self(end))
    }

    /// Nothing more arrives; answers still go out.
    pub(crate) fn stop(&self) {
        // It fails only when the channel has ended already.
        let _ = self.0.shutdown(Shutdown::Read);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn read(stream: UnixStream, epoch: Epoch, events: &SyncSender<Event>) -> Result<(), LinkError> {
    let link = Link::<FromStore, ToStore>::open(stream, Channel::Store, epoch, PATIENCE)?;
    let sender: Sender<FromStore> = link.sender;
    let mut receiver = link.receiver;
    if events.send(Event::Opened { epoch, sender }).is_err() {
        return Ok(());
    }
    while let Some(message) = receiver.receive()? {
        if events.send(Event::Message { epoch, message }).is_err() {
            break;
        }
    }
    Ok(())
}
