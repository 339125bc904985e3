//! The files in the store directory. They are opened by name within the directory that the supervisor passed, and refused where
//! others could write to them.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use etch::{ControlPage, RealFile, check_magic, log_path};
use rustix::fs::{Mode, OFlags, fstat, fsync, openat};
use rustix::io::Errno;

use crate::Failure;

/// Everything that the store needs open.
#[derive(Debug)]
pub struct Files {
    /// Path of the store file, for messages.
    pub name: PathBuf,
    /// The store file, its lock taken.
    pub store: RealFile,
    /// Its redo log.
    pub log: RealFile,
    /// The control page of this run.
    pub control: ControlPage,
    /// What readers get.
    pub readers: Readers,
}

/// The store for reading: two descriptors.
#[derive(Debug)]
pub struct Readers {
    /// The store file.
    pub store: File,
    /// The control page.
    pub control: File,
}

impl Files {
    /// Opens the store `file` in `directory`, whose path is `path` for messages; makes it where there is none.
    ///
    /// # Errors
    /// When somebody else has it open or may write to it, when it is no store, and when the system refuses.
    pub fn open(directory: BorrowedFd<'_>, path: &Path, file: &str) -> Result<Self, Failure> {
        if file.is_empty() || file == "." || file == ".." || file.contains(['/', '\0']) {
            return Err(Failure::Name(file.to_owned()));
        }
        let name = path.join(file);
        let log_name = log_path(&name);
        let log_file = format!("{file}.redo");
        require_own(directory, path)?;

        let (store, made) = open_or_make(directory, file, &name)?;
        if !store
            .lock()
            .map_err(open_error(&name, "locking the store"))?
        {
            return Err(etch::Error::Locked { file: name }.into());
        }
        check_magic(&store, &name)?;
        let (log, log_made) = open_or_make(directory, &log_file, &log_name)?;
        if made || log_made {
            fsync(directory).map_err(open_error(path, "syncing the directory"))?;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let for_readers = openat(directory, file, flags, Mode::empty())
            .map_err(open_error(&name, "opening the store for readers"))?;
        let control = ControlPage::anonymous(0)?;
        let readers = Readers {
            store: File::from(for_readers),
            control: control.reader_file()?,
        };
        Ok(Self {
            name,
            store,
            log,
            control,
            readers,
        })
    }
}

fn open_error<E: Into<std::io::Error>>(
    path: &Path,
    doing: &'static str,
) -> impl FnOnce(E) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::Open {
        path,
        doing,
        source: error.into(),
    }
}

/// Opens a file for writing, and says whether it was made.
fn open_or_make(
    directory: BorrowedFd<'_>,
    file: &str,
    name: &Path,
) -> Result<(RealFile, bool), Failure> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    let (fd, made): (OwnedFd, bool) = match openat(directory, file, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            let flags = flags | OFlags::CREATE | OFlags::EXCL;
            let fd = openat(directory, file, flags, mode).map_err(open_error(name, "making it"))?;
            (fd, true)
        }
        other => (
            other.map_err(open_error(name, "opening it for writing"))?,
            false,
        ),
    };
    require_own(fd.as_fd(), name)?;
    let file = RealFile::new(File::from(fd)).map_err(open_error(name, "mapping it"))?;
    Ok((file, made))
}

/// Whoever else could write here could take away what was acknowledged.
fn require_own(fd: BorrowedFd<'_>, path: &Path) -> Result<(), Failure> {
    let status = fstat(fd).map_err(open_error(path, "asking for its owner"))?;
    let exposed = |what| {
        Err(Failure::Exposed {
            path: path.display().to_string(),
            what,
        })
    };
    if status.st_uid != rustix::process::geteuid().as_raw() {
        return exposed("it belongs to another user");
    }
    if Mode::from_raw_mode(status.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        return exposed("other users may write to it");
    }
    Ok(())
}

/// Bytes that may still be written to the file system of `file`.
///
/// # Errors
/// When the system does not say.
pub fn free_space(file: &File) -> Result<u64, std::io::Error> {
    let of = rustix::fs::fstatvfs(file)?;
    Ok(of.f_bavail.saturating_mul(of.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn open(path: &Path, file: &str) -> Result<Files, Failure> {
        let directory = File::open(path).unwrap();
        Files::open(directory.as_fd(), path, file)
    }

    #[test]
    fn only_a_plain_name_in_the_directory_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", ".", "..", "a/b", "/etc/passwd", "../x", "a\0b"] {
            assert!(matches!(open(dir.path(), name), Err(Failure::Name(_))));
        }
        symlink("/dev/null", dir.path().join("link")).unwrap();
        let failure = open(dir.path(), "link").unwrap_err();
        assert!(matches!(failure, Failure::Open { .. }), "{failure}");
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        assert!(open(dir.path(), "folder").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_store_that_others_may_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s");
        drop(open(dir.path(), "s").unwrap());
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for path in [&file, &dir.path().join("s.redo"), dir.path()] {
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            for more in [0o020, 0o002] {
                set(path, mode | more);
                let failure = open(dir.path(), "s").unwrap_err();
                assert_eq!(failure.exit_code(), 77, "{failure}");
                assert!(failure.to_string().contains("chmod"), "{failure}");
            }
            set(path, mode);
        }
        open(dir.path(), "s").unwrap();
    }

    #[test]
    fn what_is_in_use_or_no_store_is_refused_and_nothing_is_made_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("text"), [b'x'; 1000]).unwrap();
        let failure = open(dir.path(), "text").unwrap_err();
        assert_eq!(failure.exit_code(), 65, "{failure}");
        assert!(!dir.path().join("text.redo").exists());
        let _held = open(dir.path(), "s").unwrap();
        let failure = open(dir.path(), "s").unwrap_err();
        assert_eq!(failure.exit_code(), 75, "{failure}");
    }
}
