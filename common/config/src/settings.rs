//! The settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::declare::settings;
use crate::value::{
    Key, Level, LogFormat, Minimum, NameServer, Network, Period, Size, WhenCutOff, Window,
};

settings! {
    #[doc = "Who this peer is."]
    peer: Peer {
        /// Public key of the peer, 64 hexadecimal digits. The key store holds the private key under it.
        key ("peer.key"): Option<Key> = "",
        /// Hash of the genesis state, 64 hexadecimal digits: the network that this peer belongs to. Without it, the network that the peers of
        /// `network.peers` are of: they are asked at the first start, nobody vouches for the answer, and it is kept.
        network ("peer.network"): Option<Key> = "",
        /// File with the genesis state, one message of cells. Read when the store holds no state of the network yet.
        genesis ("peer.genesis"): Option<PathBuf> = "",
        /// `host:port` by which others reach this peer. They read it in the state, where its controller puts it; `convexctl status` says when
        /// the two differ.
        public_host ("peer.public-host"): Option<String> = "",
    }
    #[doc = "The peer key."]
    key: KeyStore {
        /// Key store (PKCS#12), readable by its owner alone.
        store ("key.store"): PathBuf = "\"/etc/convexd/keys.pfx\"",
        /// File with the passphrase of the key store, readable by its owner alone; `credential` takes the systemd credential
        /// `passphrase`; `ask` starts locked and waits for `convexctl key unlock`.
        passphrase ("key.passphrase"): String = "\"ask\"",
        /// Directory of the signing journal. It must not be restored from a backup while others run with the same key.
        journal ("key.journal"): PathBuf = "\"/var/lib/convexd/keyd\"",
        /// Size of the audit log of `keyd`, `audit.log` in the same directory: a line for each refusal, alarm, unlocking and locking, and
        /// counts of signatures. Half full, it becomes `audit.log.1` at the next start of `keyd`; full, it takes nothing more until then.
        audit ("key.audit"): Size = "\"16 MiB\"",
    }
    #[doc = "The store."]
    store: Store {
        /// Directory of the store.
        directory ("store.directory"): PathBuf = "\"/var/lib/convexd/store\"",
        /// Name of the store file in it; an Etch file.
        file ("store.file"): String = "\"peer.etch\"",
        /// Free space of the file system below which nothing more is taken in.
        reserve ("store.reserve"): Size = "\"64 MiB\"",
        /// Size of the redo log at which it is worked into the store file.
        checkpoint ("store.checkpoint"): Size = "\"64 MiB\"",
    }
    #[doc = "The network side."]
    network: NetworkSide {
        /// Addresses to listen at, four at most. `[::]` takes IPv4 as well.
        listen ("network.listen"): Vec<SocketAddr> = "[\"[::]:18888\"]",
        /// Most connections that others may open.
        connections ("network.connections"): u32 = "10000",
        /// Most connections from one address (for IPv6: from one /64 network).
        connections_per_address ("network.connections-per-address"): u32 = "256",
        /// Memory for what all connections together have not read or written yet.
        memory ("network.memory"): Size = "\"256 MiB\"",
        /// Time without a byte after which a connection is closed; `0 s` never.
        idle ("network.idle"): Period = "\"0 s\"",
        /// Networks that may connect, such as `10.0.0.0/8`; empty for all.
        allow ("network.allow"): Vec<Network> = "[]",
        /// Networks that may not connect, whatever `allow` says.
        deny ("network.deny"): Vec<Network> = "[]",
        /// Peers to connect to, `host:port`, besides those in the state.
        peers ("network.peers"): Vec<String> = "[]",
        /// Connections to other peers to keep.
        target ("network.target"): u16 = "20",
        /// Name servers, the first four of which are asked for the addresses of hosts; empty for those in `/etc/resolv.conf`, which is read
        /// at the start and at each reload. Hosts in `peers` are looked for in `/etc/hosts` first.
        name_servers ("network.name-servers"): Vec<NameServer> = "[]",
    }
    #[doc = "Consensus and execution."]
    consensus: Consensus {
        /// Threads that check signatures; 0 for one on each processor.
        verifiers ("consensus.verifiers"): u16 = "0",
        /// Most transactions that wait for a block; beyond it clients are told `:LOAD`.
        queue ("consensus.queue"): u32 = "50000",
        /// Memory for states and orders before they are read from the store again.
        memory ("consensus.memory"): Size = "\"256 MiB\"",
        /// How long a sign of life of another peer counts. Without signs of peers with more than two thirds of the stake, this peer is cut off.
        window ("consensus.window"): Window = "\"10 s\"",
        /// Queries while this peer is cut off: `refuse` answers them `:NETWORK`, `stale` answers from the last state and says so.
        when_cut_off ("consensus.when-cut-off"): WhenCutOff = "\"refuse\"",
    }
    #[doc = "The processes."]
    supervisor: Supervisor {
        /// Directory of the control socket.
        run ("supervisor.run"): PathBuf = "\"/run/convexd\"",
        /// Directory of the programs of the workers; without it, that of the supervisor.
        programs ("supervisor.programs"): Option<PathBuf> = "",
        /// Group whose members may operate the peer through the control socket. It is looked up at the start and with each reload.
        group ("supervisor.group"): Option<String> = "",
        /// User for each worker when the supervisor is root or may change users: `<prefix>-stored`, `<prefix>-keyd`, `<prefix>-consensusd`, `<prefix>-netd`.
        users ("supervisor.users"): String = "\"convexd\"",
        /// Time without an answer after which a worker is killed and started again.
        heartbeat ("supervisor.heartbeat"): Period = "\"10 s\"",
        /// Time for an orderly stop.
        grace ("supervisor.grace"): Period = "\"10 s\"",
    }
    #[doc = "The sandboxes of the workers."]
    sandbox: Sandbox {
        /// Layers without which the peer refuses to start: `none`, `default`, `strict`, or a list such as `seccomp,landlock-files`.
        minimum ("sandbox.minimum"): Minimum = "\"default\"",
    }
    #[doc = "The log."]
    log: Logs {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level ("log.level"): Level = "\"info\"",
        /// `journal`, `text`, or `auto`: the journal under systemd.
        format ("log.format"): LogFormat = "\"auto\"",
    }
    #[doc = "Emergency de-staking."]
    destake: Destake {
        /// Directory where the armed withdrawal is kept.
        directory ("destake.directory"): PathBuf = "\"/var/lib/convexd/destake\"",
        /// Time for one attempt to bring the withdrawal to one peer.
        attempt ("destake.attempt"): Period = "\"10 s\"",
    }
}
