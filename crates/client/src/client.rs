//! The public API: a handle that turns calls into requests and replies into values.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use zooid_proto::client::*;
use zooid_proto::ops::Request;
use zooid_proto::path::{self, PathError};
use zooid_proto::records::{Acl, Stat};
use zooid_proto::{ErrorCode, Jute, OpCode, Str};

use crate::address::Addresses;
use crate::driver::{Asked, Command, Driver, Sink, Status, Wires};
use crate::error::{Error, Loss};
use crate::multi::{Found, Op, OpResult, ReadOp, ReadResult, parts};
use crate::options::Options;
use crate::session::{Reply, SessionConfig};
use crate::types::{
    AddWatchMode, CreateMode, Data, Identity, Reconfig, SessionCredentials, SessionState, WatchKind,
};
use crate::watch::{STREAM_LIMIT, SessionEvents, Watch, WatchStream, WatchTag};
use crate::watches::WatcherId;

/// Commands on the way to the task; more make their callers wait.
const COMMANDS: usize = 1024;
/// Changes of state that a slow [`SessionEvents`] can still see.
const STATES: usize = 256;

/// A session with a server or an ensemble.
///
/// Clones share the session. Requests are sent in the order in which they are first polled and
/// many may be under way. When the connection breaks, requests under way fail with
/// [`Loss::Connection`], later ones wait for the next connection. When the last clone is dropped,
/// the session is closed in the background.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    forget: mpsc::UnboundedSender<WatcherId>,
    status: watch::Receiver<Status>,
    events: broadcast::WeakSender<SessionState>,
    chroot: Chroot,
    next_watcher: AtomicU64,
}

/// The node that stands for the root: empty, or a path.
#[derive(Debug, Clone)]
pub(crate) struct Chroot(Arc<str>);

impl Chroot {
    fn prepend(&self, path: &str) -> String {
        match (&*self.0, path) {
            ("", path) => path.to_owned(),
            (chroot, "/") => chroot.to_owned(),
            (chroot, path) => format!("{chroot}{path}"),
        }
    }

    pub(crate) fn strip(&self, path: String) -> String {
        match path.strip_prefix(&*self.0) {
            Some("") => "/".to_owned(),
            Some(rest) if rest.starts_with('/') => rest.to_owned(),
            _ => path,
        }
    }
}

/// A request whose reply is to come, with what its errors must name.
struct Call {
    op: &'static str,
    path: String,
    reply: Reply,
}

impl Call {
    /// The reply's code as an error.
    fn checked(self) -> Result<Call, Error> {
        match self.reply.err {
            0 => Ok(self),
            code => Err(Error::Refused {
                op: self.op,
                path: self.path,
                code,
            }),
        }
    }

    fn body<'a, R: Jute<'a>>(&'a self) -> Result<R, Error> {
        R::from_bytes(&self.reply.body).map_err(|source| Error::Reply {
            op: self.op,
            path: self.path.clone(),
            source,
        })
    }
}

impl Client {
    /// Connects to one of `host:port,host:port/chroot` in random order, and stays connected until
    /// the session is over. The port may be left out for 2181. With a chroot, all paths given and
    /// returned are below that node; it need not exist, but must before others are created in it.
    ///
    /// # Errors
    /// [`Error::Address`]; [`Error::Connect`] when no server takes the session within
    /// [`Options::patience`]; [`Error::Lost`] when the session to attach to is over.
    pub async fn connect(addresses: &str, options: Options) -> Result<Client, Error> {
        let Addresses { hosts, chroot } = Addresses::parse(addresses)?;
        let timeout_ms = i32::try_from(options.session_timeout.as_millis()).unwrap_or(i32::MAX);
        let share_ms = u64::from(timeout_ms.unsigned_abs()) / hosts.len() as u64;
        let config = SessionConfig {
            timeout_ms,
            // As in Java: all servers can be tried before the session times out.
            handshake_ms: share_ms.max(100),
            read_only: options.read_only,
            max_frame: options.max_reply,
            attach: options.attach,
        };

        let (commands, commands_end) = mpsc::channel(COMMANDS);
        let (forget, forget_end) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(STATES);
        let (first, connected) = oneshot::channel();
        let none = SessionCredentials {
            id: 0,
            password: [0; 16],
        };
        let (status_end, status) = watch::channel(Status {
            state: SessionState::Disconnected,
            credentials: options.attach.unwrap_or(none),
            timeout_ms: u64::from(timeout_ms.unsigned_abs()),
            server: None,
        });
        let shared = Shared {
            commands,
            forget,
            status,
            events: events.downgrade(),
            chroot: Chroot(chroot.into()),
            next_watcher: AtomicU64::new(1),
        };
        let wires = Wires {
            commands: commands_end,
            forget: forget_end,
            status: status_end,
            events,
            first,
        };
        let driver = Driver::new(config, hosts, options.patience, wires);
        tokio::spawn(driver.run());
        connected
            .await
            .expect("the task answers before it ends, unless its runtime is gone")?;
        Ok(Client {
            shared: Arc::new(shared),
        })
    }

    /// Creates a node and gives its path, which differs from the one asked for if `mode` is
    /// sequential.
    pub async fn create<'a>(
        &self,
        path: &str,
        data: impl Into<Data<'a>>,
        acl: &[Acl<'_>],
        mode: CreateMode,
    ) -> Result<String, Error> {
        let simple = !matches!(mode, CreateMode::Container) && mode.ttl_ms().is_none();
        if !simple {
            return Ok(self.create2(path, data, acl, mode).await?.0);
        }
        let body = self.create_body(OpCode::Create, path, data.into(), acl, mode)?;
        let call = self.ask(Request::Create(body), path).await?.checked()?;
        let created = text(call.body::<CreateResponse>()?.path);
        Ok(self.shared.chroot.strip(created))
    }

    /// Creates a node and gives its path and state.
    pub async fn create2<'a>(
        &self,
        path: &str,
        data: impl Into<Data<'a>>,
        acl: &[Acl<'_>],
        mode: CreateMode,
    ) -> Result<(String, Stat), Error> {
        let request = match (mode, mode.ttl_ms()) {
            (_, Some(ttl_ms)) => {
                let body = self.create_body(OpCode::CreateTtl, path, data.into(), acl, mode)?;
                Request::CreateTtl(CreateTtlRequest {
                    path: body.path,
                    data: body.data,
                    acl: body.acl,
                    flags: body.flags,
                    ttl_ms,
                })
            }
            (CreateMode::Container, _) => {
                let op = OpCode::CreateContainer;
                Request::CreateContainer(self.create_body(op, path, data.into(), acl, mode)?)
            }
            _ => {
                let op = OpCode::Create2;
                Request::Create2(self.create_body(op, path, data.into(), acl, mode)?)
            }
        };
        let call = self.ask(request, path).await?.checked()?;
        let body = call.body::<Create2Response>()?;
        Ok((self.shared.chroot.strip(text(body.path)), body.stat))
    }

    /// Deletes a node without children. `version`: the version it must have, `None` for any.
    pub async fn delete(&self, path: &str, version: Option<i32>) -> Result<(), Error> {
        let request = Request::Delete(DeleteRequest {
            path: self.full(OpCode::Delete, path)?,
            version: version.unwrap_or(-1),
        });
        self.ask(request, path).await?.checked()?;
        Ok(())
    }

    /// The state of a node, `None` if it does not exist.
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>, Error> {
        let request = self.exists_request(path, false)?;
        let call = self.ask(request, path).await?;
        exists_result(call)
    }

    /// The state of a node, and a watch for its creation, change or deletion.
    pub async fn exists_watch(&self, path: &str) -> Result<(Option<Stat>, Watch), Error> {
        let request = self.exists_request(path, true)?;
        let (call, watch) = self.ask_once(request, path).await?;
        Ok((exists_result(call)?, watch))
    }

    /// Data and state of a node. Data may be null.
    pub async fn get(&self, path: &str) -> Result<(Option<Vec<u8>>, Stat), Error> {
        let request = self.get_request(path, false)?;
        get_result(self.ask(request, path).await?)
    }

    /// Data and state of a node, and a watch for its change or deletion.
    pub async fn get_watch(&self, path: &str) -> Result<(Option<Vec<u8>>, Stat, Watch), Error> {
        let request = self.get_request(path, true)?;
        let (call, watch) = self.ask_once(request, path).await?;
        let (data, stat) = get_result(call)?;
        Ok((data, stat, watch))
    }

    /// Replaces the data of a node. `version`: the version it must have, `None` for any.
    pub async fn set<'a>(
        &self,
        path: &str,
        data: impl Into<Data<'a>>,
        version: Option<i32>,
    ) -> Result<Stat, Error> {
        let request = Request::SetData(SetDataRequest {
            path: self.full(OpCode::SetData, path)?,
            data: owned(data.into()),
            version: version.unwrap_or(-1),
        });
        let call = self.ask(request, path).await?.checked()?;
        Ok(call.body::<StatResponse>()?.stat)
    }

    /// The members of the ensemble in force, `server.N=…` lines and the version of the list, and the
    /// state of the node that holds them. It is the same node whatever the chroot. A server that
    /// stands alone has no data there.
    pub async fn get_config(&self) -> Result<(Option<Vec<u8>>, Stat), Error> {
        get_result(self.ask(config_request(false), CONFIG).await?)
    }

    /// The same, and a watch for its change.
    pub async fn get_config_watch(&self) -> Result<(Option<Vec<u8>>, Stat, Watch), Error> {
        let (call, watch) = self.ask_once(config_request(true), CONFIG).await?;
        let (data, stat) = get_result(call)?;
        Ok((data, stat, watch))
    }

    /// Changes the members of the ensemble, and gives the list that is in force then.
    ///
    /// # Errors
    /// [`ErrorCode::ReconfigDisabled`], [`ErrorCode::ReconfigInProgress`],
    /// [`ErrorCode::BadVersion`] of the list, [`ErrorCode::BadArguments`],
    /// [`ErrorCode::NewConfigNoQuorum`], [`ErrorCode::NoAuth`].
    pub async fn reconfigure(&self, change: &Reconfig<'_>) -> Result<(Vec<u8>, Stat), Error> {
        let text = |text: Option<&str>| text.map(|text| Cow::Owned(text.to_owned()));
        let request = Request::Reconfig(ReconfigRequest {
            joining: text(change.joining),
            leaving: text(change.leaving),
            members: text(change.members),
            config_id: change.version.unwrap_or(-1),
        });
        let (data, stat) = get_result(self.ask(request, "").await?)?;
        Ok((data.unwrap_or_default(), stat))
    }

    /// Access control list and state of a node.
    pub async fn get_acl(&self, path: &str) -> Result<(Vec<Acl<'static>>, Stat), Error> {
        let request = Request::GetAcl(GetAclRequest {
            path: self.full(OpCode::GetAcl, path)?,
        });
        let call = self.ask(request, path).await?.checked()?;
        let body = call.body::<GetAclResponse>()?;
        let acl = body.acl.into_owned().unwrap_or_default();
        Ok((acl, body.stat))
    }

    /// Replaces the access control list of a node. `version`: the ACL version it must have, `None`
    /// for any.
    pub async fn set_acl(
        &self,
        path: &str,
        acl: &[Acl<'_>],
        version: Option<i32>,
    ) -> Result<Stat, Error> {
        let request = Request::SetAcl(SetAclRequest {
            path: self.full(OpCode::SetAcl, path)?,
            acl: owned_acl(acl),
            version: version.unwrap_or(-1),
        });
        let call = self.ask(request, path).await?.checked()?;
        Ok(call.body::<StatResponse>()?.stat)
    }

    /// Names of the children of a node, in no order, and its state.
    pub async fn get_children(&self, path: &str) -> Result<(Vec<String>, Stat), Error> {
        let request = self.children_request(path, false)?;
        children_result(self.ask(request, path).await?)
    }

    /// Names of the children of a node, its state, and a watch for a child more or less.
    pub async fn get_children_watch(
        &self,
        path: &str,
    ) -> Result<(Vec<String>, Stat, Watch), Error> {
        let request = self.children_request(path, true)?;
        let (call, watch) = self.ask_once(request, path).await?;
        let (names, stat) = children_result(call)?;
        Ok((names, stat, watch))
    }

    /// Paths of the ephemeral nodes of this session that start with `prefix`; `/` for all.
    pub async fn get_ephemerals(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let request = Request::GetEphemerals(GetEphemeralsRequest {
            prefix: Some(self.shared.chroot.prepend(prefix).into()),
        });
        let call = self.ask(request, prefix).await?.checked()?;
        let found = call.body::<GetEphemeralsResponse>()?.ephemerals;
        // The server compares text: /app finds /apple too, which is none of ours.
        let chroot = &self.shared.chroot;
        let ours = |path: &String| {
            path.strip_prefix(&*chroot.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = found.unwrap_or_default().into_iter().map(text);
        Ok(found.filter(ours).map(|path| chroot.strip(path)).collect())
    }

    /// Number of all nodes below a node.
    pub async fn all_children_number(&self, path: &str) -> Result<i32, Error> {
        let request = Request::GetAllChildrenNumber(GetAllChildrenNumberRequest {
            path: self.full(OpCode::GetAllChildrenNumber, path)?,
        });
        let call = self.ask(request, path).await?.checked()?;
        Ok(call.body::<GetAllChildrenNumberResponse>()?.total)
    }

    /// Waits until the server has all that the leader had when it heard of this.
    pub async fn sync(&self, path: &str) -> Result<(), Error> {
        let request = Request::Sync(SyncRequest {
            path: self.full(OpCode::Sync, path)?,
        });
        self.ask(request, path).await?.checked()?;
        Ok(())
    }

    /// Executes all operations or none.
    ///
    /// # Errors
    /// [`Error::Multi`] names the operation that failed.
    pub async fn multi(&self, ops: &[Op<'_>]) -> Result<Vec<OpResult>, Error> {
        let mut request = MultiRequest::default();
        for op in ops {
            let sequential = op.is_sequential();
            let full = self.full_text(OpCode::Multi, op.path(), sequential)?;
            request.ops.push(op.clone().at(full));
        }
        let first = ops.first().map_or("", Op::path);
        let call = self.ask(Request::Multi(request), first).await?.checked()?;
        let parts = self.parts(&call)?;

        let codes = || {
            parts
                .iter()
                .map(|part| part.as_ref().err().map_or(0, |e| *e))
        };
        // Those behind the one that failed say so, too.
        let failed = codes()
            .position(|code| code != 0 && code != ErrorCode::RuntimeInconsistency.code())
            .or_else(|| codes().position(|code| code != 0));
        if let Some(index) = failed {
            return Err(Error::Multi {
                index,
                path: ops.get(index).map_or("", Op::path).to_owned(),
                code: codes().nth(index).expect("position found it"),
                codes: codes().collect(),
            });
        }
        let chroot = &self.shared.chroot;
        Ok(parts
            .into_iter()
            .filter_map(|part| match part {
                Ok(Found::Write(OpResult::Created { path, stat })) => Some(OpResult::Created {
                    path: chroot.strip(path),
                    stat,
                }),
                Ok(Found::Write(result)) => Some(result),
                _ => None,
            })
            .collect())
    }

    /// Reads several nodes at one point of time; each may fail on its own.
    pub async fn multi_read(
        &self,
        ops: &[ReadOp<'_>],
    ) -> Result<Vec<Result<ReadResult, Error>>, Error> {
        let mut request = MultiRequest::default();
        for op in ops {
            let full = self.full_text(OpCode::MultiRead, op.path(), false)?;
            request.ops.push(op.at(full));
        }
        let first = ops.first().map_or("", |op| op.path());
        let request = Request::MultiRead(request);
        let call = self.ask(request, first).await?.checked()?;
        let results = self.parts(&call)?.into_iter().zip(ops);
        Ok(results
            .filter_map(|(part, op)| match part {
                Ok(Found::Read(result)) => Some(Ok(result)),
                Ok(Found::Write(_)) => None,
                Err(code) => Some(Err(Error::Refused {
                    op: op.op(),
                    path: op.path().to_owned(),
                    code,
                })),
            })
            .collect())
    }

    /// Watches a node, existing or not, until the watch is removed.
    pub async fn add_watch(&self, path: &str, mode: AddWatchMode) -> Result<WatchStream, Error> {
        let request = Request::AddWatch(AddWatchRequest {
            path: self.full(OpCode::AddWatch, path)?,
            mode: match mode {
                AddWatchMode::Persistent => 0,
                AddWatchMode::PersistentRecursive => 1,
            },
        });
        let (sink, events) = mpsc::channel(STREAM_LIMIT);
        let tag = self.watch_tag(path);
        self.ask_watching(request, path, Some((tag.id, Sink::Stream(sink))))
            .await?
            .checked()?;
        Ok(WatchStream {
            tag,
            events,
            ended: false,
        })
    }

    /// Removes all watches of a kind that this session has on a path, the one-shot ones of all
    /// [`Watch`]es too.
    ///
    /// # Errors
    /// [`ErrorCode::NoWatcher`] when there is none.
    pub async fn remove_watches(&self, path: &str, kind: WatchKind) -> Result<(), Error> {
        let request = Request::RemoveWatches(RemoveWatchesRequest {
            path: self.full(OpCode::RemoveWatches, path)?,
            kind: kind as i32,
        });
        self.ask(request, path).await?.checked()?;
        Ok(())
    }

    /// Whether the server has a watch of that kind of this session on a path.
    pub async fn check_watches(&self, path: &str, kind: WatchKind) -> Result<bool, Error> {
        let request = Request::CheckWatches(CheckWatchesRequest {
            path: self.full(OpCode::CheckWatches, path)?,
            kind: kind as i32,
        });
        let call = self.ask(request, path).await?;
        if call.reply.err == ErrorCode::NoWatcher.code() {
            return Ok(false);
        }
        call.checked().map(|_| true)
    }

    /// Adds an identity, on this connection and on all later ones of the session.
    ///
    /// # Errors
    /// [`ErrorCode::AuthFailed`]; the session is over then.
    pub async fn add_auth(&self, scheme: &str, auth: &[u8]) -> Result<(), Error> {
        let request = Request::Auth(AuthPacket {
            kind: 0,
            scheme: Some(scheme.to_owned().into()),
            auth: Some(auth.to_vec().into()),
        });
        self.ask(request, scheme).await?.checked()?;
        Ok(())
    }

    /// The identities that the server knows this connection by.
    pub async fn who_am_i(&self) -> Result<Vec<Identity>, Error> {
        let call = self.ask(Request::WhoAmI(Empty {}), "/").await?.checked()?;
        let infos = call.body::<WhoAmIResponse>()?.infos.unwrap_or_default();
        let mut identities: Vec<_> = infos
            .into_iter()
            .map(|info| Identity {
                scheme: text(info.scheme),
                user: text(info.user),
            })
            .collect();
        identities.sort();
        Ok(identities)
    }

    /// Sends any request as it is, without regard to chroot, paths and watches, and gives the
    /// reply as it comes. For tests and tools.
    ///
    /// # Errors
    /// [`Error::Lost`] only: an error code is part of the reply.
    pub async fn raw(&self, request: Request<'static>) -> Result<Reply, Error> {
        Ok(self.ask(request, "/").await?.reply)
    }

    /// Ends the session: its ephemeral nodes go. Without a connection the session ends when its
    /// timeout has passed.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self
            .shared
            .commands
            .send(Command::Close(done))
            .await
            .is_ok()
        {
            let _ = closed.await;
        }
    }

    /// Ends the connection and leaves the session alone, so that somebody can attach to it again
    /// before its timeout has passed.
    pub async fn abandon(self) -> SessionCredentials {
        let credentials = self.credentials();
        let _ = self.shared.commands.send(Command::Abandon).await;
        // The task holds the senders: when they are gone, the socket is closed.
        let mut status = self.shared.status.clone();
        while status.changed().await.is_ok() {}
        credentials
    }

    /// How the session stands.
    pub fn state(&self) -> SessionState {
        self.shared.status.borrow().state
    }

    /// Changes of the state from now on.
    pub fn session_events(&self) -> SessionEvents {
        let events = match self.shared.events.upgrade() {
            Some(sender) => sender.subscribe(),
            // The task is gone: a channel without sender says so.
            None => broadcast::channel(1).1,
        };
        SessionEvents { events }
    }

    /// Id and password of the session.
    pub fn credentials(&self) -> SessionCredentials {
        self.shared.status.borrow().credentials
    }

    /// The session timeout that the server granted.
    pub fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.shared.status.borrow().timeout_ms)
    }

    /// The server of the current connection.
    pub fn server(&self) -> Option<SocketAddr> {
        self.shared.status.borrow().server
    }

    fn create_body(
        &self,
        op: OpCode,
        path: &str,
        data: Data<'_>,
        acl: &[Acl<'_>],
        mode: CreateMode,
    ) -> Result<CreateRequest<'static>, Error> {
        Ok(CreateRequest {
            path: Some(self.full_text(op, path, mode.is_sequential())?.into()),
            data: owned(data),
            acl: owned_acl(acl),
            flags: mode.flags(),
        })
    }

    fn exists_request(&self, path: &str, watch: bool) -> Result<Request<'static>, Error> {
        let path = self.full(OpCode::Exists, path)?;
        Ok(Request::Exists(ExistsRequest { path, watch }))
    }

    fn get_request(&self, path: &str, watch: bool) -> Result<Request<'static>, Error> {
        let path = self.full(OpCode::GetData, path)?;
        Ok(Request::GetData(GetDataRequest { path, watch }))
    }

    fn children_request(&self, path: &str, watch: bool) -> Result<Request<'static>, Error> {
        let path = self.full(OpCode::GetChildren2, path)?;
        Ok(Request::GetChildren2(GetChildren2Request { path, watch }))
    }

    fn full(&self, op: OpCode, path: &str) -> Result<Str<'static>, Error> {
        Ok(Some(self.full_text(op, path, false)?.into()))
    }

    /// The path as the server knows it. The start of a sequential node may end with a slash: its
    /// name is the number then.
    fn full_text(&self, op: OpCode, path: &str, sequential: bool) -> Result<String, Error> {
        let valid = match path::validate(path) {
            Err(PathError::TrailingSlash) if sequential => path::validate(&format!("{path}1")),
            other => other,
        };
        valid.map_err(|source| Error::Path {
            op: op.name(),
            path: path.to_owned(),
            source,
        })?;
        if sequential && path == "/" {
            return Ok(format!("{}/", self.shared.chroot.0));
        }
        Ok(self.shared.chroot.prepend(path))
    }

    fn parts(&self, call: &Call) -> Result<Vec<crate::multi::Part>, Error> {
        parts(&call.reply.body).map_err(|source| Error::Reply {
            op: call.op,
            path: call.path.clone(),
            source,
        })
    }

    fn watch_tag(&self, path: &str) -> WatchTag {
        WatchTag {
            id: self.shared.next_watcher.fetch_add(1, Ordering::Relaxed),
            path: path.to_owned(),
            chroot: self.shared.chroot.clone(),
            forget: self.shared.forget.clone(),
            status: self.shared.status.clone(),
        }
    }

    async fn ask(&self, request: Request<'static>, path: &str) -> Result<Call, Error> {
        self.ask_watching(request, path, None).await
    }

    async fn ask_once(
        &self,
        request: Request<'static>,
        path: &str,
    ) -> Result<(Call, Watch), Error> {
        let (sink, events) = oneshot::channel();
        let tag = self.watch_tag(path);
        let watcher = Some((tag.id, Sink::Once(sink)));
        let call = self.ask_watching(request, path, watcher).await?;
        Ok((call, Watch { tag, events }))
    }

    async fn ask_watching(
        &self,
        request: Request<'static>,
        path: &str,
        watcher: Option<(WatcherId, Sink)>,
    ) -> Result<Call, Error> {
        let op = request.op().name();
        let (reply, replied) = oneshot::channel();
        let command = Command::Request(Box::new(Asked {
            request,
            reply,
            watcher,
        }));
        // A task that is gone drops what it was asked: then the state says why.
        let result = match self.shared.commands.send(command).await {
            Ok(()) => replied.await.unwrap_or_else(|_| Err(self.loss())),
            Err(_) => Err(self.loss()),
        };
        let path = path.to_owned();
        match result {
            Ok(reply) => Ok(Call { op, path, reply }),
            Err(loss) => Err(Error::Lost { op, path, loss }),
        }
    }

    fn loss(&self) -> Loss {
        match self.state() {
            SessionState::Expired => Loss::Expired,
            SessionState::AuthFailed => Loss::AuthFailed,
            _ => Loss::Closed,
        }
    }
}

/// The node with the members of the ensemble.
const CONFIG: &str = "/zookeeper/config";

fn config_request(watch: bool) -> Request<'static> {
    let path = Some(CONFIG.into());
    Request::GetData(GetDataRequest { path, watch })
}

fn exists_result(call: Call) -> Result<Option<Stat>, Error> {
    if call.reply.err == ErrorCode::NoNode.code() {
        return Ok(None);
    }
    Ok(Some(call.checked()?.body::<StatResponse>()?.stat))
}

fn get_result(call: Call) -> Result<(Option<Vec<u8>>, Stat), Error> {
    let call = call.checked()?;
    let body = call.body::<GetDataResponse>()?;
    Ok((body.data.map(Cow::into_owned), body.stat))
}

fn children_result(call: Call) -> Result<(Vec<String>, Stat), Error> {
    let call = call.checked()?;
    let body = call.body::<GetChildren2Response>()?;
    let names = body.children.unwrap_or_default();
    Ok((names.into_iter().map(text).collect(), body.stat))
}

fn owned(data: Data<'_>) -> zooid_proto::Buf<'static> {
    data.0.map(|bytes| Cow::Owned(bytes.into_owned()))
}

fn owned_acl(acl: &[Acl<'_>]) -> Option<Vec<Acl<'static>>> {
    Some(acl.iter().cloned().map(Jute::into_owned).collect())
}

fn text(text: Str<'_>) -> String {
    text.unwrap_or_default().into_owned()
}
