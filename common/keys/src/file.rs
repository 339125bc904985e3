//! Files of secrets: made for their owner only, replaced whole or not at all, and refused when others could have read or changed them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, fchown};
use zeroize::Zeroizing;

use crate::{RandomError, random};

/// A file of secrets can't be used, with the remedy where there is one.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("can't {doing} {}: {source}", file.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a directory, a device or a pipe.
    #[error("{} is no regular file", file.display())]
    NotAFile {
        /// Which file.
        file: PathBuf,
    },
    /// Group or others have rights.
    #[error("{} can be used by others than its owner (mode {mode:04o}), so its secrets may be known: run chmod 600 {}", file.display(), file.display())]
    Permissions {
        /// Which file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else, who can change it at any time.
    #[error("{} belongs to user {owner}, but this process runs as user {user}: run chown {user} {}", file.display(), file.display())]
    Owner {
        /// Which file.
        file: PathBuf,
        /// Its owner.
        owner: u32,
        /// The effective user of this process.
        user: u32,
    },
    /// It is too large to be what it should be.
    #[error("{} is larger than {limit} bytes, so it is not what it should be", file.display())]
    TooLarge {
        /// Which file.
        file: PathBuf,
        /// Most bytes.
        limit: usize,
    },
    /// No random name for the file that is written first.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Whose files are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Those of the effective user of this process, and root's: for a daemon.
    Own,
    /// The same, and those of one other user: for a worker, of the user whose supervisor passes it the file and could as well pass another.
    OwnOr(u32),
    /// The same, but anybody's when root asks: for the tool of an operator who looks after the files of the daemons' users.
    AnyForRoot,
}

/// Reads a file that nobody but its owner could read or change.
///
/// # Errors
/// [`FileError`]; nothing is read then.
pub fn read(path: &Path, limit: usize, owner: Owner) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // A pipe without a writer must not hold up the check of what it is.
    let mut options = OpenOptions::new();
    let opened = options
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path);
    let file = opened.map_err(io_error("open", path))?;
    read_open(&file, path, limit, owner)
}

/// As [`read`], of a file that somebody else has opened; `name` is for the messages.
///
/// # Errors
/// [`FileError`].
pub fn read_open(
    file: &File,
    name: &Path,
    limit: usize,
    owner: Owner,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    check(file, name, owner)?;
    read_checked(file, name, limit)
}

/// Reads all of an open file that went through [`check`], wherever its position is.
///
/// # Errors
/// [`FileError`].
pub fn read_checked(
    mut file: &File,
    name: &Path,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let too_large = || FileError::TooLarge {
        file: name.to_owned(),
        limit,
    };
    // Whoever passed the file on may have read it before.
    file.rewind().map_err(io_error("read", name))?;
    let length = file.metadata().map_err(io_error("examine", name))?.len();
    let length = usize::try_from(length)
        .ok()
        .filter(|&length| length <= limit);
    // With room for what may be appended meanwhile: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.ok_or_else(too_large)? + 1));
    let most = bytes.capacity() as u64;
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(io_error("read", name))?;
    if bytes.len() > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Checks type, owner and permissions of an open file of secrets; `name` is for the messages.
///
/// # Errors
/// [`FileError`].
pub fn check(file: &File, name: &Path, good: Owner) -> Result<(), FileError> {
    let metadata = file.metadata().map_err(io_error("examine", name))?;
    let file = name.to_owned();
    if !metadata.is_file() {
        return Err(FileError::NotAFile { file });
    }
    let user = Uid::effective().as_raw();
    let owner = metadata.uid();
    // Root can do everything anyway, so what is root's is as good as one's own.
    let is_good = owner == user
        || owner == 0
        || match good {
            Owner::Own => false,
            Owner::OwnOr(other) => owner == other,
            Owner::AnyForRoot => user == 0,
        };
    if !is_good {
        return Err(FileError::Owner { file, owner, user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::Permissions { file, mode });
    }
    Ok(())
}

/// Makes a new file with mode 0600, on disk when this returns.
///
/// # Errors
/// [`FileError`]; a file that is there already is an error and stays as it is.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let beside = write_beside(path, bytes, None)?;
    // A link does not replace, and the file has all its bytes when its name appears.
    let linked = std::fs::hard_link(&beside, path).map_err(io_error("create", path));
    let removed = std::fs::remove_file(&beside).map_err(io_error("remove", &beside));
    linked.and(removed)?;
    sync_directory(path)
}

/// Replaces a file, or makes it, with mode 0600 and the owner that it had. A crash leaves the old one or the new one.
///
/// # Errors
/// [`FileError`]; the old file is unchanged, unless only the sync of its directory failed.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    // What a symbolic link points to is replaced, not the link.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let owner = match std::fs::metadata(&target) {
        Ok(old) => Some((old.uid(), old.gid())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(io_error("examine", &target)(e)),
    };
    let beside = write_beside(&target, bytes, owner)?;
    if let Err(e) = std::fs::rename(&beside, &target) {
        let _ = std::fs::remove_file(&beside);
        return Err(io_error("replace", &target)(e));
    }
    sync_directory(&target)
}

/// Changes a file while every other process that uses this function on files of the same directory waits. `change` gets the content,
/// or `None` when there is no file, and returns the new one.
///
/// # Errors
/// Those of `change` or a [`FileError`]; the file is unchanged then.
pub fn update<E: From<FileError>>(
    path: &Path,
    limit: usize,
    change: impl FnOnce(Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, E>,
) -> Result<(), E> {
    // A lock on the file itself would be lost with its replacement.
    let directory = directory_of(path);
    let lock = File::open(directory).map_err(io_error("open", directory))?;
    lock.lock().map_err(io_error("lock", directory))?;
    let old = match read(path, limit, Owner::AnyForRoot) {
        Ok(bytes) => Some(bytes),
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e.into()),
    };
    let new = change(old.as_deref().map(Vec::as_slice))?;
    Ok(replace(path, &new)?)
}

/// Writes and syncs a new file in the same directory, and gives its name.
fn write_beside(
    path: &Path,
    bytes: &[u8],
    owner: Option<(u32, u32)>,
) -> Result<PathBuf, FileError> {
    let Some(name) = path.file_name() else {
        return Err(FileError::NotAFile {
            file: path.to_owned(),
        });
    };
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", hex::encode(random::<8>()?)));
    let beside = directory_of(path).join(beside);
    let mut options = OpenOptions::new();
    let opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside);
    let mut file = opened.map_err(io_error("create", &beside))?;
    let written = file.write_all(bytes).and_then(|()| {
        if let Some((user, group)) = owner.filter(|o| *o != owner_of(&file)) {
            fchown(
                file.as_fd(),
                Some(Uid::from_raw(user)),
                Some(Gid::from_raw(group)),
            )?;
        }
        file.sync_all()
    });
    if let Err(e) = written {
        let _ = std::fs::remove_file(&beside);
        return Err(io_error("write", &beside)(e));
    }
    Ok(beside)
}

fn owner_of(file: &File) -> (u32, u32) {
    file.metadata()
        .map_or((u32::MAX, u32::MAX), |m| (m.uid(), m.gid()))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    let directory = directory_of(path);
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(io_error("sync", directory))
}

fn io_error(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> FileError {
    let file = file.to_owned();
    move |source| FileError::Io {
        doing,
        file,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_new_file_is_for_its_owner_only_and_is_never_overwritten() {
        let directory = directory();
        let path = directory.path().join("keystore.pfx");
        create(&path, b"one").unwrap();
        assert_eq!(mode(&path), 0o600);
        let again = create(&path, b"two").unwrap_err();
        assert!(
            matches!(again, FileError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
        );
        assert_eq!(**read(&path, 10, Owner::Own).unwrap(), *b"one");
        assert_eq!(names(directory.path()), ["keystore.pfx"]);
    }

    #[test]
    fn a_replacement_leaves_nothing_else_behind() {
        let directory = directory();
        let path = directory.path().join("keystore.pfx");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!((mode(&path), names(directory.path()).len()), (0o600, 1));
        assert_eq!(**read(&path, 3, Owner::Own).unwrap(), *b"two");
    }

    #[test]
    fn a_failed_replacement_leaves_nothing_behind() {
        let directory = directory();
        let path = directory.path().join("taken");
        std::fs::create_dir_all(path.join("full")).unwrap();
        assert!(matches!(
            replace(&path, b"x"),
            Err(FileError::Io {
                doing: "replace",
                ..
            })
        ));
        assert_eq!(names(directory.path()), ["taken"]);
    }

    #[test]
    fn a_link_goes_on_pointing_to_the_replaced_file() {
        let directory = directory();
        let [file, link] = ["file", "link"].map(|name| directory.path().join(name));
        create(&file, b"one").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(**read(&file, 3, Owner::Own).unwrap(), *b"two");
    }

    #[test]
    fn any_right_of_group_or_others_is_refused_with_the_remedy() {
        let directory = directory();
        let path = directory.path().join("key");
        create(&path, b"secret").unwrap();
        for loose in [0o640, 0o604, 0o620, 0o601, 0o644, 0o777] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(loose)).unwrap();
            let error = read(&path, 10, Owner::Own).unwrap_err();
            assert!(matches!(error, FileError::Permissions { mode, .. } if mode == loose));
            let text = error.to_string();
            assert!(
                text.ends_with(&format!("chmod 600 {}", path.display())),
                "{text}"
            );
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        assert!(read(&path, 10, Owner::Own).is_ok());
    }

    #[test]
    fn a_file_of_somebody_else_is_refused_and_keeps_its_owner_when_root_replaces_it() {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root can give files away");
            return;
        }
        let directory = directory();
        let path = directory.path().join("key");
        create(&path, b"secret").unwrap();
        chown(&path, Some(12_345), Some(12_346)).unwrap();
        let error = read(&path, 10, Owner::Own).unwrap_err();
        assert!(matches!(error, FileError::Owner { owner: 12_345, .. }));
        assert!(error.to_string().contains("run chown 0 "), "{error}");
        assert!(read(&path, 10, Owner::OwnOr(12_345)).is_ok());
        assert!(read(&path, 10, Owner::OwnOr(12_346)).is_err());
        assert!(read(&path, 10, Owner::AnyForRoot).is_ok());
        replace(&path, b"other").unwrap();
        let metadata = path.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (12_345, 12_346));
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let directory = directory();
        assert!(matches!(
            read(directory.path(), 9, Owner::Own),
            Err(FileError::NotAFile { .. })
        ));
        assert!(matches!(
            read(Path::new("/dev/zero"), 9, Owner::Own),
            Err(FileError::NotAFile { .. })
        ));
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(
            read(&pipe, 9, Owner::Own),
            Err(FileError::NotAFile { .. })
        ));
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let directory = directory();
        let path = directory.path().join("key");
        create(&path, &[0; 11]).unwrap();
        assert!(matches!(
            read(&path, 10, Owner::Own),
            Err(FileError::TooLarge { limit: 10, .. })
        ));
        assert_eq!(read(&path, 11, Owner::Own).unwrap().len(), 11);
    }

    #[test]
    fn updates_at_the_same_time_wait_for_each_other() {
        let directory = directory();
        let path = directory.path().join("count");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    update::<FileError>(&path, 100, |old| {
                        let mut new = Zeroizing::new(old.unwrap_or_default().to_vec());
                        new.push(b'x');
                        Ok(new)
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(read(&path, 100, Owner::Own).unwrap().len(), 8);
    }
}
