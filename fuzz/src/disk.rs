//! Two files in memory with a full disk behind them.

use std::io;
use std::sync::{Arc, Mutex};

use etch::FileLayer;

/// No file grows beyond this; a request to do so is answered like a full disk.
pub const CAPACITY: u64 = 4 << 20;

/// A file in memory. Clones are the same file.
#[derive(Clone, Default)]
pub struct MemoryFile(Arc<Mutex<Vec<u8>>>);

impl MemoryFile {
    /// A file with this content.
    #[must_use]
    pub fn new(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(content)))
    }

    /// What it holds now.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().expect("no panic while the file was held")
    }
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl FileLayer for MemoryFile {
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let content = self.lock();
        let rest = usize::try_from(at)
            .ok()
            .and_then(|at| content.get(at..))
            .unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, at: u64, buf: &[u8]) -> io::Result<usize> {
        let end = at.checked_add(buf.len() as u64).ok_or_else(full)?;
        if end > CAPACITY {
            return Err(full());
        }
        let mut content = self.lock();
        if end > content.len() as u64 {
            content.resize(end as usize, 0);
        }
        content[at as usize..end as usize].copy_from_slice(buf);
        Ok(buf.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.lock().len() as u64)
    }

    fn reserve(&self, _from: u64, to: u64) -> io::Result<()> {
        if to > CAPACITY {
            return Err(full());
        }
        let mut content = self.lock();
        if to > content.len() as u64 {
            content.resize(to as usize, 0);
        }
        Ok(())
    }
}
