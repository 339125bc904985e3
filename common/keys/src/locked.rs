//! Memory for secrets: pages of their own between two that can't be touched. The only `unsafe` of this crate.
//!
//! The kernel is asked to keep the pages out of the swap, out of core dumps and out of children. It may refuse, for example when
//! `RLIMIT_MEMLOCK` is too low. The value is there all the same, and [`Locked::protection`] tells what holds, so that a
//! daemon with a demanded minimum can refuse and an operator's tool can warn.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags};
use nix::sys::mman::{madvise, mlock, mmap_anonymous, mprotect, munmap};
use nix::unistd::{SysconfVar, sysconf};

/// No memory for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The kernel gave none.
    #[error("no memory for a secret: {0}")]
    Map(Errno),
    /// The pages can be swapped out, and the caller demanded that they can't.
    #[error(
        "the memory of the key can be swapped out, since locking it was refused: raise the limit of locked memory (LimitMEMLOCK=, ulimit -l)"
    )]
    NotLocked,
    /// The pages can be part of a core dump or of a child, and the caller demanded that they can't.
    #[error(
        "the memory of the key can get into a core dump or a child process: the kernel refused to except it"
    )]
    NotExcepted,
}

/// What the kernel granted for the pages of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Never written to swap.
    pub locked: bool,
    /// Not part of a core dump.
    pub undumpable: bool,
    /// A child sees zeros.
    pub wiped_on_fork: bool,
}

impl Protection {
    /// What is left when both secrets need protection.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            locked: self.locked && other.locked,
            undumpable: self.undumpable && other.undumpable,
            wiped_on_fork: self.wiped_on_fork && other.wiped_on_fork,
        }
    }

    /// Demands all of it.
    ///
    /// # Errors
    /// Names what is missing and the remedy.
    pub fn demand(self) -> Result<(), MemoryError> {
        match self {
            Self { locked: false, .. } => Err(MemoryError::NotLocked),
            Self {
                undumpable: true,
                wiped_on_fork: true,
                ..
            } => Ok(()),
            _ => Err(MemoryError::NotExcepted),
        }
    }
}

/// Readable pages between two guard pages. Erased and given back on drop.
struct Pages {
    /// The guard page before them.
    mapping: NonNull<c_void>,
    page: usize,
    /// Bytes between the guard pages.
    usable: usize,
    protection: Protection,
}

impl Pages {
    /// Zeros, for at least `bytes`.
    fn new(bytes: usize) -> Result<Self, MemoryError> {
        let page = page_size();
        let usable = bytes.max(1).next_multiple_of(page);
        let mapped = NonZeroUsize::MIN.saturating_add(usable + 2 * page - 1);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory that exists.
        let mapping =
            unsafe { mmap_anonymous(None, mapped, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) }
                .map_err(MemoryError::Map)?;
        let mut pages = Self {
            mapping,
            page,
            usable: 0,
            protection: Protection {
                locked: false,
                undumpable: false,
                wiped_on_fork: false,
            },
        };
        let first = pages.first();
        // SAFETY: these pages are inside of the mapping above, which nobody else knows.
        let opened =
            unsafe { mprotect(first, usable, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE) };
        if let Err(errno) = opened {
            // SAFETY: the mapping above; no pointer into it is used again.
            let _ = unsafe { munmap(mapping, mapped.get()) };
            std::mem::forget(pages);
            return Err(MemoryError::Map(errno));
        }
        pages.usable = usable;
        // SAFETY: the same pages; none of the calls changes what they hold in this process.
        pages.protection = unsafe {
            Protection {
                undumpable: madvise(first, usable, MmapAdvise::MADV_DONTDUMP).is_ok(),
                wiped_on_fork: madvise(first, usable, MmapAdvise::MADV_WIPEONFORK).is_ok(),
                locked: mlock(first, usable).is_ok(),
            }
        };
        Ok(pages)
    }

    fn first(&self) -> NonNull<c_void> {
        // SAFETY: the mapping has a guard page and at least one more.
        unsafe { self.mapping.byte_add(self.page) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let first = self.first().cast::<u8>();
        for i in 0..self.usable {
            // SAFETY: a byte of the writable pages. Volatile, so that the compiler can't leave out a write that nobody reads.
            unsafe { first.add(i).write_volatile(0) };
        }
        // SAFETY: the whole mapping, as it was made; its value is gone and no pointer into it is used again.
        let _ = unsafe { munmap(self.mapping, self.usable + 2 * self.page) };
    }
}

/// A value in pages of its own, erased when it is dropped.
pub struct Locked<T> {
    value: NonNull<T>,
    // After the value: its memory.
    pages: Pages,
}

// SAFETY: a `Locked<T>` owns its pages and its value alone, as a box does.
unsafe impl<T: Send> Send for Locked<T> {}
// SAFETY: as above; shared access gives only `&T`.
unsafe impl<T: Sync> Sync for Locked<T> {}

impl<T> Locked<T> {
    /// Moves what `make` returns to pages of its own. `make` runs after they exist.
    ///
    /// # Errors
    /// [`MemoryError::Map`]. Refused protection is no error here: see [`Locked::protection`].
    pub fn new(make: impl FnOnce() -> T) -> Result<Self, MemoryError> {
        let pages = Pages::new(size_of::<T>())?;
        assert!(align_of::<T>() <= pages.page, "pages are aligned to pages");
        let value = pages.first().cast::<T>();
        // SAFETY: the pages are writable, large enough and aligned; they hold no value yet.
        unsafe { value.write(make()) };
        Ok(Self { value, pages })
    }

    /// What the kernel granted.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.pages.protection
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: written in `new`, and dropped only with `self`.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Locked<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: written in `new`, dropped only with `self`, and `self` is borrowed for as long as the value is.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Locked<T> {
    fn drop(&mut self) {
        // SAFETY: the value was written in `new` and nobody can reach it any more.
        unsafe { self.value.drop_in_place() };
    }
}

impl<T> std::fmt::Debug for Locked<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Locked(secret)")
    }
}

fn page_size() -> usize {
    sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of /proc/self/smaps that begins with `field`, for the mapping that holds `address`.
    fn smaps(address: usize, field: &str) -> String {
        let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in text.lines() {
            let range = line.split(' ').next().unwrap_or_default().split_once('-');
            let range = range.and_then(|(from, to)| {
                let parse = |hex| usize::from_str_radix(hex, 16).ok();
                Some(parse(from)?..parse(to)?)
            });
            if let Some(range) = range {
                inside = range.contains(&address);
            } else if inside && line.starts_with(field) {
                return line.to_owned();
            }
        }
        panic!("no {field} for {address:x}");
    }

    #[test]
    fn the_kernel_says_that_the_pages_are_locked_undumpable_and_wiped_in_a_child() {
        let secret = Locked::new(|| [7_u8; 32]).unwrap();
        let flags = smaps(secret.as_ptr() as usize, "VmFlags");
        let protection = secret.protection();
        let has = |flag| flags.split(' ').any(|f| f == flag);
        assert_eq!(has("lo"), protection.locked);
        assert_eq!(has("dd"), protection.undumpable);
        assert_eq!(has("wf"), protection.wiped_on_fork);
        assert_eq!(protection.demand(), Ok(()), "{flags}");
    }

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let all = Locked::new(|| 0_u8).unwrap().protection();
        let swappable = Protection {
            locked: false,
            ..all
        };
        assert_eq!(swappable.demand(), Err(MemoryError::NotLocked));
        assert!(MemoryError::NotLocked.to_string().contains("LimitMEMLOCK"));
        assert_eq!(all.and(swappable), swappable);
        let dumpable = Protection {
            undumpable: false,
            ..all
        };
        assert_eq!(dumpable.demand(), Err(MemoryError::NotExcepted));
    }

    #[test]
    fn values_larger_than_a_page_and_of_no_size_have_their_place() {
        let mut large = Locked::new(|| [1_u8; 10_000]).unwrap();
        large[9_999] = 2;
        assert_eq!((large[0], large[9_999]), (1, 2));
        assert_eq!(*Locked::new(|| ()).unwrap(), ());
    }

    #[test]
    fn the_value_is_dropped_once() {
        struct Count<'a>(&'a std::cell::Cell<u32>);
        impl Drop for Count<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let drops = std::cell::Cell::new(0);
        drop(Locked::new(|| Count(&drops)).unwrap());
        assert_eq!(drops.get(), 1);
    }

    #[test]
    fn the_debug_form_shows_nothing() {
        assert_eq!(
            format!("{:?}", Locked::new(|| 42_u8).unwrap()),
            "Locked(secret)"
        );
    }
}
