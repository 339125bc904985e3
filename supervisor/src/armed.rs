//! The armed withdrawal on disk, so that it survives the supervisor: as it came, with restricted rights.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ipc::control::{Armed, MAX};

use crate::durable;

/// Name of the file.
const NAME: &str = "armed";
/// First bytes of the file: what it is, and the version of its content.
const MAGIC: &[u8; 8] = b"cvxarm\0\x01";

/// Where the withdrawal is kept.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// In this directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// What is kept.
    ///
    /// # Errors
    /// When the file can't be read or is not one of ours.
    pub fn load(&self) -> io::Result<Option<Armed>> {
        let mut bytes = Vec::new();
        match File::open(self.path()) {
            Ok(file) => file.take(MAX as u64 + 64).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let foreign = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{} is no armed withdrawal of this version: arm it again",
                    self.path().display()
                ),
            )
        };
        let body = bytes.strip_prefix(MAGIC).ok_or_else(foreign)?;
        let (armed, rest) = postcard::take_from_bytes(body).map_err(|_| foreign())?;
        if rest.is_empty() {
            Ok(Some(armed))
        } else {
            Err(foreign())
        }
    }

    /// Keeps a withdrawal; it is on disk when this returns.
    ///
    /// # Errors
    /// When it can't be written; what was kept before is still there then.
    pub fn save(&self, armed: &Armed) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(postcard::to_stdvec(armed).map_err(io::Error::other)?);
        durable::replace(&self.path(), &bytes)
    }

    /// Forgets it.
    ///
    /// # Errors
    /// When the file can't be removed.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.directory)?.sync_all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_withdrawal_is_kept_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        assert_eq!(store.load().unwrap(), None);
        let armed = Armed {
            transactions: vec![ipc::Bytes::from(vec![1, 2, 3])],
            sequence: 4,
            account: 13,
            network: [1; 32],
            peers: vec!["[::1]:18888".to_owned()],
            check: "1".to_owned(),
            expected: "1".to_owned(),
            effect: "x".to_owned(),
        };
        store.save(&armed).unwrap();
        assert_eq!(store.load().unwrap(), Some(armed));
        let mode = fs::metadata(store.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(store.path(), b"cvxarm\0\x01\xff\xff\xff\xff\xff\xff").unwrap();
        assert!(store.load().is_err());
        store.remove().unwrap();
        assert_eq!(store.load().unwrap(), None);
    }
}
