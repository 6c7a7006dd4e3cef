//! What a caller waits on for events.

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::client::Chroot;
use crate::driver::Status;
use crate::error::{Error, Loss};
use crate::types::{SessionState, WatchedEvent};
use crate::watches::WatcherId;

/// Events that may wait in one [`WatchStream`]; with more the stream ends, so that a reader that
/// stands still cannot fill the memory.
pub(crate) const STREAM_LIMIT: usize = 65_536;

/// What both kinds of watches know.
#[derive(Debug)]
pub(crate) struct WatchTag {
    pub(crate) id: WatcherId,
    /// As the caller said it.
    pub(crate) path: String,
    pub(crate) chroot: Chroot,
    pub(crate) forget: mpsc::UnboundedSender<WatcherId>,
    pub(crate) status: watch::Receiver<Status>,
}

impl WatchTag {
    fn strip(&self, mut event: WatchedEvent) -> WatchedEvent {
        event.path = self.chroot.strip(event.path);
        event
    }

    /// Why no more events come, `None` if the session is not the reason.
    fn loss(&self) -> Option<Error> {
        let loss = match self.status.borrow().state {
            SessionState::Expired => Loss::Expired,
            SessionState::AuthFailed => Loss::AuthFailed,
            SessionState::Closed => Loss::Closed,
            // The task is gone although the session is not over: abandoned.
            _ if self.status.has_changed().is_err() => Loss::Closed,
            _ => return None,
        };
        let path = self.path.clone();
        let op = "Watch";
        Some(Error::Lost { op, path, loss })
    }
}

impl Drop for WatchTag {
    fn drop(&mut self) {
        let _ = self.forget.send(self.id);
    }
}

/// A watch for one event. Dropping it forgets the watch.
#[derive(Debug)]
pub struct Watch {
    pub(crate) tag: WatchTag,
    pub(crate) events: oneshot::Receiver<WatchedEvent>,
}

impl Watch {
    /// Waits for the event. The watch outlives connections, but not the session.
    ///
    /// # Errors
    /// [`Error::Lost`] when the session ends before.
    pub async fn event(self) -> Result<WatchedEvent, Error> {
        match self.events.await {
            Ok(event) => Ok(self.tag.strip(event)),
            Err(_) => Err(self.tag.loss().unwrap_or_else(|| Error::Lost {
                op: "Watch",
                path: self.tag.path.clone(),
                loss: Loss::Closed,
            })),
        }
    }
}

/// A persistent watch. Dropping it stops the events for this stream only: the server goes on
/// watching until [`Client::remove_watches`](crate::Client::remove_watches).
///
/// Changes made while the client was not connected are not reported:
/// [`Client::session_events`](crate::Client::session_events) tells when that may have happened.
#[derive(Debug)]
pub struct WatchStream {
    pub(crate) tag: WatchTag,
    pub(crate) events: mpsc::Receiver<WatchedEvent>,
    pub(crate) ended: bool,
}

impl WatchStream {
    /// Waits for the next event. `None`: nothing follows.
    ///
    /// # Errors
    /// Once, at the end: [`Error::Lost`] when the session is over, [`Error::WatchOverflow`] when
    /// events were not taken in time. There is no error when the watch was removed; the last event
    /// says so.
    pub async fn next(&mut self) -> Option<Result<WatchedEvent, Error>> {
        if self.ended {
            return None;
        }
        if let Some(event) = self.events.recv().await {
            self.ended = event.kind.is_removal();
            return Some(Ok(self.tag.strip(event)));
        }
        self.ended = true;
        Some(Err(self.tag.loss().unwrap_or_else(|| {
            Error::WatchOverflow {
                path: self.tag.path.clone(),
                limit: STREAM_LIMIT,
            }
        })))
    }
}

/// Changes of the state of a session.
#[derive(Debug)]
pub struct SessionEvents {
    pub(crate) events: broadcast::Receiver<SessionState>,
}

impl SessionEvents {
    /// Waits for the next change; of very many not taken, the oldest are skipped. `None`: the
    /// session is over or abandoned.
    pub async fn next(&mut self) -> Option<SessionState> {
        loop {
            match self.events.recv().await {
                Ok(state) => return Some(state),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
