use std::os::fd::BorrowedFd;

use super::When::AnyOf;
use super::groups::{
    BASE, CHANNELS, EVENTS, FILE_LENGTHS, FILE_READS, FILE_WRITES, SEALED_MEMORY, call,
};
use super::{Group, Limits, Policy, Role, Test};

/// The files of the store. Landlock and the changed root directory say which: those below the store directory.
static STORE: Group = Group {
    purpose: "files of the store directory",
    calls: &[
        call!(SYS_openat, "the store, its log, a new generation"),
        call!(SYS_unlinkat, "an old generation or log"),
        call!(
            SYS_renameat2,
            "a new file takes the place of the old one in one step"
        ),
        call!(SYS_renameat, "the same, without flags"),
        call!(SYS_getdents64, "which generations are there"),
        call!(
            SYS_fallocate,
            "space reserved before it is needed, so that a full disk shows early"
        ),
        call!(SYS_fstatfs, "free space"),
        call!(SYS_pwritev, "group commits"),
        call!(SYS_preadv, "verification"),
        call!(SYS_sync_file_range, "write-back started early"),
        call!(SYS_fadvise64, "read-ahead while verifying"),
        call!(SYS_msync, "a checkpoint of the mapped index"),
        call!(SYS_copy_file_range, "snapshots"),
        call!(
            SYS_fcntl,
            AnyOf(&[&[Test::Is(1, libc::F_OFD_SETLK as u32)]]),
            "the lock that keeps a second writer, also the reference's, out of the store"
        ),
    ],
};

/// `stored`: the only writer of the store, and of nothing else. `directory` is the store directory, opened by the supervisor.
#[must_use]
pub fn stored(directory: BorrowedFd<'_>) -> Policy<'_> {
    let calls = [
        &BASE,
        &CHANNELS,
        &EVENTS,
        &FILE_READS,
        &FILE_WRITES,
        &FILE_LENGTHS,
        &SEALED_MEMORY,
        &STORE,
    ];
    let mut policy = Policy::new(Role::Stored, &calls);
    policy.directory = Some(directory);
    // A store grows as long as there is room.
    policy.limits = Limits {
        files: Some(256),
        file_size: None,
        ..Limits::default()
    };
    policy
}
