//! One node: a network namespace with a tunnel device, whose other end is a descriptor.

use std::fs::{File, OpenOptions};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::Unavailable;

/// Name of the device in each namespace.
const DEVICE: &str = "fabric";
/// Packets of the internet layer, without a header of the device.
const IFF_TUN: i16 = 0x0001;
const IFF_NO_PI: i16 = 0x1000;

/// What `TUNSETIFF` takes: `struct ifreq` of `linux/if.h`.
#[repr(C)]
pub(crate) struct Request {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

// _IOW('T', 202, int), although it takes a `struct ifreq`.
nix::ioctl_write_ptr_bad!(tunnel_set, 0x4004_54ca, Request);

fn system(doing: &'static str) -> impl FnOnce(std::io::Error) -> Unavailable {
    move |error| Unavailable::System { doing, error }
}

/// A new namespace, and the end of its tunnel for the relay.
pub(crate) fn make(address: Ipv4Addr) -> Result<(File, File), Unavailable> {
    // A thread's namespace is its own business: this one ends with it.
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|error| system("making a network namespace")(error.into()))?;
        let namespace =
            File::open("/proc/thread-self/ns/net").map_err(system("opening the namespace"))?;
        let tunnel = tunnel()?;
        ip(&["link", "set", "lo", "up"])?;
        ip(&["address", "add", &format!("{address}/24"), "dev", DEVICE])?;
        ip(&["link", "set", DEVICE, "up"])?;
        Ok((namespace, tunnel))
    };
    thread::spawn(body).join().expect("it does not panic")
}

fn tunnel() -> Result<File, Unavailable> {
    let doing = "opening /dev/net/tun";
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open("/dev/net/tun")
        .map_err(system(doing))?;
    let mut request = Request {
        name: [0; 16],
        flags: IFF_TUN | IFF_NO_PI,
        rest: [0; 22],
    };
    request.name[..DEVICE.len()].copy_from_slice(DEVICE.as_bytes());
    // SAFETY: the descriptor is that of a tunnel device, and the request is a whole `struct ifreq` that outlives the call.
    let made = unsafe { tunnel_set(file.as_raw_fd(), &request) };
    made.map_err(|error| system("making a tunnel")(error.into()))?;
    Ok(file)
}

fn ip(arguments: &[&str]) -> Result<(), Unavailable> {
    let failed = |why: String| Unavailable::Ip {
        arguments: arguments.join(" "),
        why,
    };
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(failed(text.trim().to_owned()))
}
