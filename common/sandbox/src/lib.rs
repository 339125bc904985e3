//! What a worker process may still do, once it has started.
//!
//! Two halves. The supervisor starts a worker by [`Spawn`], which does what has to be done from outside or before the program
//! runs. The worker then calls [`enter`] with the [`Policy`](policy::Policy) of its [`Role`], after it has its descriptors and
//! before it reads its first untrusted byte. What the system refuses is left out and stands in the [`Report`], and it is an
//! error where the configured minimum ([`Requirements`]) asks for it. [`Ended`] tells the supervisor whether a worker ended by a
//! violation of its sandbox.
//!
//! | layer | `stored` | `consensusd` | `keyd` | `netd` | `api` | `rescue` | why |
//! |---|---|---|---|---|---|---|---|
//! | own uid and gid, no groups | yes | yes | yes | yes | yes | yes | the kernel's oldest wall between processes; needs a supervisor that may change users |
//! | ends with the supervisor | yes | yes | yes | yes | yes | yes | no orphan goes on without supervision |
//! | mount namespace, read-only | yes¹ | yes | yes | yes | yes | yes | nothing can be written by name even where all else failed |
//! | process namespace | yes | yes | yes | yes | yes | yes | other processes have no number to be named by |
//! | network namespace | yes | yes | yes | no² | yes³ | no² | no interface, no loopback, no abstract sockets |
//! | IPC and UTS namespaces | yes | yes | yes | yes | yes | yes | no shared memory or queues of others |
//! | root directory | store | empty | empty | empty | empty | empty | no path leads anywhere |
//! | resource limits | yes | yes | yes | yes | yes | yes | a worker that runs wild does not take the machine with it |
//! | no new privileges, no capabilities | yes | yes | yes | yes | yes | yes | nothing to win back |
//! | not dumpable, no core dumps | yes | yes | yes | yes | yes | yes | memory stays in the process |
//! | Landlock, files | store | none | none | none | none | none | opening by name, where the root directory could not be changed |
//! | Landlock, TCP | none | none | none | connect | none | none | a port is never bound here: the supervisor binds |
//! | Landlock, scopes | yes | yes | yes | yes | yes | yes | no signals to others, no abstract sockets of others |
//! | system calls | files | maps | journal | sockets | accept | one socket | see [`policy`]: a call outside the list ends the process |
//!
//! ¹ `stored` writes through the descriptor of its directory, which the supervisor opened outside. ² Connections are its job; the
//! rescue process makes its one connection before it enters. ³ Its listener was made outside and stays there.
//!
//! As an ordinary user the supervisor makes a user namespace for each worker, which gives it the other namespaces, the change of
//! root directory and an empty bounding set. What it can't give then is a uid for each worker.
//!
//! A supervisor needs, of the capabilities of root: `CAP_SETUID` and `CAP_SETGID` for workers of other users (it ends one as that
//! user, so without `CAP_KILL`); `CAP_SYS_ADMIN` for the namespaces; `CAP_SYS_CHROOT` for their root directory; `CAP_SETPCAP` to
//! empty the bounding set. It may be root, or another user who got them from the service manager. A layer whose capability is
//! missing is left out and reported.
//!
//! What no layer here does, and what stands for it:
//! * Landlock knows ports, not addresses: where `netd` may connect to is bounded by its own policy and the operator's firewall.
//! * A filter sees registers, not memory. Whether a message brings descriptors is up to the reader: a channel on which none are
//!   due is read *without a control buffer* (`read`, `recv`, `recvmsg` with none), and the kernel drops what came attached. The
//!   limit on open descriptors bounds the rest.
//! * UDP has no Landlock rule before Linux 7.2: `netd` needs it for name servers, all others have no `socket` call at all.
//! * `stat` of an open descriptor is one system call with `stat` of a path. With the root directory changed a path finds nothing.

mod confine;
mod ended;
mod enter;
mod filter;
mod layer;
pub mod policy;
mod privileges;
mod requirements;
mod spawn;

pub use ended::Ended;
pub use enter::enter;
pub use layer::{Layer, LayerState, Report, State, UnknownLayer};
pub use policy::Role;
pub use requirements::{Requirements, SandboxError};
pub use spawn::{Child, Identity, Spawn, SpawnError, Usage};
