//! A new local network: keys, genesis, one config for each peer.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::SystemTime;

use cvm::genesis::{Parameters, genesis};
use keys::{Cost, KeyStore, Passphrase, Seed, file};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::layout::{Layout, PeerFiles};
use crate::cli::LocalStart;
use crate::exit::Exit;
use crate::failure::Failure;

/// First of the user ids that the workers of a local network have when root runs it, four for each peer. Beyond those that systemd and
/// containers hand out.
const FIRST_UID: u32 = 64_500;

/// Where the system begins with the ports of outgoing connections, unless it says otherwise.
const FIRST_OUTGOING: u16 = 32_768;
/// Ports that are tried before there seems to be no free one.
const PORT_TRIES: usize = 64;

/// Makes a network. The sockets hold its ports as long as they live.
pub(super) fn network(layout: &Layout, args: &LocalStart) -> Result<Vec<OwnedFd>, Failure> {
    directory(layout.directory())?;
    let user = layout.user();
    directory(user.directory())?;
    let user_key = key(&user.key_store(), &user.passphrase())?;
    let mut peer_keys = Vec::new();
    for number in 0..usize::from(args.peers) {
        let peer = layout.peer(number);
        directory(peer.directory())?;
        peer_keys.push(key(&peer.key_store(), &peer.passphrase())?);
    }
    let parameters = Parameters::new(user_key, user_key, &peer_keys);
    let mut state = genesis(&parameters).map_err(|error| Failure::new(Exit::Software, error))?;
    let state = state
        .to_cell()
        .map_err(|error| Failure::new(Exit::Software, error))?;
    let bytes =
        cells::encode_message(&state).map_err(|error| Failure::new(Exit::Software, error))?;
    write(&layout.genesis(), &bytes)?;
    let (ports, held) = ports(args)?;
    let host = |number: usize| format!("127.0.0.1:{}", ports[number]);
    for (number, key) in peer_keys.iter().enumerate() {
        let others: Vec<String> = (0..peer_keys.len())
            .filter(|other| *other != number)
            .map(|other| format!("{:?}", host(other)))
            .collect();
        let peer = layout.peer(number);
        let text = config_text(
            layout,
            &peer,
            &hex::encode(key),
            &state.hash().to_string(),
            ports[number],
            &others,
            FIRST_UID + 4 * number as u32,
        );
        write(&peer.config(), text.as_bytes())?;
    }
    Ok(held)
}

/// The config of a peer.
fn config_text(
    layout: &Layout,
    peer: &PeerFiles,
    key: &str,
    network: &str,
    port: u16,
    others: &[String],
    uids: u32,
) -> String {
    let path = |path: &Path| format!("{:?}", path.display().to_string());
    format!(
        "# Made by `convexctl local start`; changes are kept.\n\
         [peer]\n\
         key = \"{key}\"\n\
         network = \"{network}\"\n\
         genesis = {}\n\
         [key]\n\
         store = {}\n\
         passphrase = {}\n\
         journal = {}\n\
         [store]\n\
         directory = {}\n\
         [network]\n\
         listen = [\"127.0.0.1:{port}\", \"[::1]:{port}\"]\n\
         peers = [{}]\n\
         [supervisor]\n\
         run = {}\n\
         # Only root can give each process a user of its own.\n\
         users = \"{uids}\"\n\
         [destake]\n\
         directory = {}\n",
        path(&layout.genesis()),
        path(&peer.key_store()),
        path(&peer.passphrase()),
        path(&peer.journal()),
        path(&peer.store()),
        others.join(", "),
        path(&peer.run()),
        path(&peer.destake()),
    )
}

fn directory(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|error| {
            Failure::new(
                Exit::CantCreate,
                format!("{} can't be made: {error}", path.display()),
            )
            .remedy("name another directory with --dir")
        })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| {
        Failure::new(
            Exit::CantCreate,
            format!("{} can't be written: {error}", path.display()),
        )
    })
}

/// A new key in a key store, with a random passphrase in a file beside it; the public key.
fn key(store: &Path, passphrase_file: &Path) -> Result<[u8; 32], Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::new(Exit::CantCreate, error);
    let seed = Seed::generate().map_err(|error| fail(&error))?;
    // A text of 256 bits: the passphrase of a machine, not of a person.
    let words = Seed::generate().map_err(|error| fail(&error))?.to_hex();
    let passphrase = Passphrase::copy_of(&words).map_err(|error| fail(&error))?;
    let mut keys = KeyStore::new();
    let key = keys
        .insert(&seed, &passphrase, Cost::REFERENCE, SystemTime::now())
        .map_err(|error| fail(&error))?;
    let bytes = keys
        .to_bytes(&passphrase, Cost::REFERENCE)
        .map_err(|error| fail(&error))?;
    file::create(store, &bytes).map_err(|error| fail(&error))?;
    file::create(passphrase_file, words.as_bytes()).map_err(|error| fail(&error))?;
    Ok(key.to_bytes())
}

/// The ports of the peers, and sockets that hold those which were free until the peers listen there.
fn ports(args: &LocalStart) -> Result<(Vec<u16>, Vec<OwnedFd>), Failure> {
    let mut ports = Vec::new();
    let mut held = Vec::new();
    for number in 0..args.peers {
        if args.port == 0 {
            let (port, sockets) = free_port().map_err(|error| {
                Failure::new(Exit::Unavailable, format!("there is no free port: {error}"))
            })?;
            ports.push(port);
            held.extend(sockets);
        } else {
            let port = args.port.checked_add(number).ok_or_else(|| {
                Failure::usage(format!(
                    "there are no {} ports from {} on",
                    args.peers, args.port
                ))
            })?;
            ports.push(port);
        }
    }
    Ok((ports, held))
}

/// A free port below those that outgoing connections get, which would take it while its peer is down.
fn free_port() -> std::io::Result<(u16, Vec<OwnedFd>)> {
    let first_outgoing = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(FIRST_OUTGOING);
    let lowest = first_outgoing / 2;
    let mut last = std::io::ErrorKind::AddrInUse.into();
    for _ in 0..PORT_TRIES {
        let random = RandomState::new().build_hasher().finish();
        let port = lowest.max(1_024) + random as u16 % (first_outgoing - lowest).max(1);
        let ipv6 = hold(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        match hold(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            // Where there is no IPv6, nobody takes its port either.
            Ok(socket) => match ipv6 {
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => last = error,
                other => return Ok((port, [socket].into_iter().chain(other.ok()).collect())),
            },
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Binds a socket that does not listen: a peer may, and nobody else gets the port by chance.
fn hold(address: SocketAddr) -> std::io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &address)?;
    // Only from now on, so that two that look for a port don't hold the same.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(socket)
}
