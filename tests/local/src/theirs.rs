//! A peer of the reference in a process of its own, which can be killed and come back.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::reference::Reference;

/// Options of its virtual machine: several of them run at a time.
const HEAP: &str = "-Xmx768m";

/// The peer.
#[derive(Debug)]
pub struct Theirs {
    /// `None` while it is killed.
    process: Option<(Reference, u64)>,
    seed: String,
    store: PathBuf,
    port: String,
}

/// What a peer of the reference says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Executed blocks.
    pub executed: u64,
    /// Hash of the state after them, in hex.
    pub state: String,
    /// Connections that it opened to other peers.
    pub connections: u64,
}

impl Theirs {
    /// One that is not started yet: seed of its key, file of its store, and where it is to listen.
    #[must_use]
    pub fn new(seed: &str, store: &Path, endpoint: &str) -> Self {
        let (_, port) = endpoint.rsplit_once(':').expect("a port");
        Self {
            process: None,
            seed: seed.to_owned(),
            store: store.to_owned(),
            port: port.to_owned(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it on a genesis state in a file, with an empty store. False, with a word about it, where there is no Java.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&mut self, genesis: &Path) -> bool {
        let prepare = format!("state @{}", genesis.display());
        self.launch(Some(&prepare), "peer-start", "")
    }

    /// Has it join the network of another peer, with an empty store, whatever it had. False as above.
    ///
    /// # Panics
    /// When it does not start.
    pub fn join(&mut self, source: &str) -> bool {
        // There may be none.
        let _ = std::fs::remove_file(&self.store);
        self.launch(None, "peer-join", &format!(" {source}"))
    }

    /// Starts it on the store that it left when it was stopped. False as above.
    ///
    /// # Panics
    /// When it does not start.
    pub fn resume(&mut self) -> bool {
        self.launch(None, "peer-resume", "")
    }

    fn launch(&mut self, prepare: Option<&str>, command: &str, more: &str) -> bool {
        let Some(mut process) = Reference::start(HEAP) else {
            return false;
        };
        if let Some(request) = prepare {
            process.ask(request);
        }
        let Self {
            seed, store, port, ..
        } = self;
        let store = store.display();
        let reply = process.ask(&format!("{command} {seed}{more} {store} {port}"));
        assert_eq!(reply["port"].to_string(), *port);
        let number = reply["peer"].as_u64().expect("a number");
        self.process = Some((process, number));
        true
    }

    /// Ends it in good order.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self) {
        let (mut process, number) = self.process.take().expect("a peer that runs");
        process.ask(&format!("peer-stop {number}"));
    }

    /// The file of its store.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// Kills its process. Its store is of no use to it after that: what the header of the file says of its length is behind.
    pub fn kill(&mut self) {
        // Dropped, it is killed and waited for.
        self.process = None;
    }

    /// True while it runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Where it is; `None` while it does not run.
    ///
    /// # Panics
    /// When it does not say.
    pub fn standing(&mut self) -> Option<Standing> {
        let (process, number) = self.process.as_mut()?;
        let reply = process.ask(&format!("peer-where {number}"));
        Some(Standing {
            executed: reply["blocks"].as_u64().expect("a number"),
            state: reply["state"].as_str().expect("a hash").to_lowercase(),
            connections: reply["connections"].as_u64().expect("a number"),
        })
    }

    /// One request to the line server that it runs in.
    ///
    /// # Panics
    /// When it does not run, or the request fails.
    pub fn ask(&mut self, request: &str) -> Value {
        let (process, _) = self.process.as_mut().expect("a peer that runs");
        process.ask(request)
    }
}
