//! Files that are not what they should be, directories that cannot be written, second writers, a full disk: a clear error
//! that names the file and the remedy, and nothing changed.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use etch::{Error, Flags, Options, Reader, Writer, log_path};

fn open(path: &Path) -> Result<Writer, Error> {
    Writer::open(path, Options::default())
}

/// Opening `bytes` for writing and for inspection gives an error whose text holds `says`, and leaves the file alone.
fn refused(bytes: &[u8], says: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.etch");
    fs::write(&path, bytes).unwrap();
    let text = open(&path).expect_err(says).to_string();
    assert!(text.contains(says), "{text}");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let text = match Reader::inspect(&path) {
        Err(e) => e.to_string(),
        Ok((r, _)) => r
            .get(&[1; 32])
            .map_or_else(|e| e.to_string(), |_| String::new()),
    };
    assert!(
        text.is_empty() || text.contains(path.to_str().unwrap()),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

fn store(dir: &Path) -> (std::path::PathBuf, Vec<etch::Key>) {
    let path = dir.join("s.etch");
    let mut w = open(&path).unwrap();
    let keys = (0..200u16)
        .map(|n| {
            w.put(&n.to_be_bytes().repeat(40), Flags(0x11), 0)
                .unwrap()
                .0
        })
        .collect();
    w.commit().unwrap();
    w.close().unwrap();
    (path, keys)
}

#[test]
fn foreign_and_cut_files_are_refused_and_left_alone() {
    refused(b"#!/bin/sh\nexit 0\n", "not an Etch store");
    refused(&vec![0; 600_000], "not an Etch store");
    refused(&vec![0; 589_823], "not an Etch store");
    refused(&[0xe7], "truncated");
    // The reference opens this and fails later (spec/07 §5).
    refused(&[0xe7, 0xc6, 0, 1, 0, 0], "truncated");
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = store(dir.path());
    let good = fs::read(&path).unwrap();
    refused(&good[..44], "truncated");
    refused(&good[..300_000], "truncated");
    refused(&good[..etch::EMPTY_LENGTH as usize + 100], "truncated");
    for version in [0, 2, 3] {
        let mut other = good.clone();
        other[3] = version;
        refused(&other, &format!("version {version} is not supported"));
    }
    let mut short = good.clone();
    short[4..12].copy_from_slice(&100u64.to_be_bytes());
    refused(&short, "data length shorter than an empty store");
    let mut wild = good.clone();
    wild[44 + 8 * 9..44 + 8 * 9 + 8].copy_from_slice(&(1u64 << 50).to_be_bytes());
    refused(&wild, "points outside of the data");
}

#[test]
fn a_missing_file_is_made_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.etch");
    let options = Options {
        create: false,
        ..Options::default()
    };
    let text = Writer::open(&path, options).unwrap_err().to_string();
    assert!(
        text.contains("create the directory or correct the path"),
        "{text}"
    );
    assert!(!path.exists() && !log_path(&path).exists());
    let deep = dir.path().join("no/such/dir.etch");
    let text = open(&deep).unwrap_err().to_string();
    assert!(
        text.contains("create the directory or correct the path"),
        "{text}"
    );
    assert!(open(&path).unwrap().recovery().created);
}

#[test]
fn a_second_writer_is_refused_while_readers_are_welcome() {
    let dir = tempfile::tempdir().unwrap();
    let (path, keys) = store(dir.path());
    let first = open(&path).unwrap();
    let text = open(&path).unwrap_err().to_string();
    assert!(
        text.contains("open for writing; stop that peer first"),
        "{text}"
    );
    // Opening and closing other descriptors of the file does not drop the lock.
    assert!(Reader::inspect(&path).unwrap().1.in_use);
    assert!(matches!(open(&path), Err(Error::Locked { .. })));
    drop(first);
    assert!(!Reader::inspect(&path).unwrap().1.in_use);
    assert!(open(&path).unwrap().get(&keys[0]).unwrap().is_some());
}

#[test]
fn the_lock_that_the_reference_takes_and_ours_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = store(dir.path());
    // A POSIX lock belongs to a process: it takes another one to hold it. Python's lockf is fcntl(F_SETLK), as the
    // reference's runtime uses.
    let script = "import fcntl,sys\nf=open(sys.argv[1],'r+b')\ntry:\n fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB)\nexcept OSError:\n print('refused',flush=True)\n sys.exit(0)\nprint('locked',flush=True)\nsys.stdin.read()";
    let spawn = || {
        Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
    };
    let Ok(mut holder) = spawn() else {
        println!("skipped: no python3 to hold a POSIX lock in another process");
        return;
    };
    let line = |c: &mut std::process::Child| {
        use std::io::BufRead;
        let mut s = String::new();
        std::io::BufReader::new(c.stdout.as_mut().unwrap())
            .read_line(&mut s)
            .unwrap();
        s
    };
    assert_eq!(line(&mut holder), "locked\n");
    assert!(matches!(open(&path), Err(Error::Locked { .. })));
    assert!(Reader::inspect(&path).unwrap().1.in_use);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    let _ours = open(&path).unwrap();
    let mut other = spawn().unwrap();
    assert_eq!(line(&mut other), "refused\n");
    other.wait().unwrap();
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| {
        use std::os::unix::fs::MetadataExt;
        m.uid() == 0
    })
}

#[test]
fn a_read_only_directory_gives_an_error_that_names_the_remedy() {
    if is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let text = open(&path).unwrap_err().to_string();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(text.contains("let the peer's user write"), "{text}");
}

#[test]
fn a_read_only_descriptor_and_a_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, keys) = store(dir.path());
    let read_only = etch::RealFile::new(fs::File::open(&path).unwrap()).unwrap();
    let log = etch::RealFile::open(&log_path(&path), false).unwrap().0;
    let mut w =
        match Writer::open_files(read_only, &path, log, &log_path(&path), Options::default()) {
            Err(e) => {
                let text = e.to_string();
                assert!(text.contains(path.to_str().unwrap()), "{text}");
                assert!(open(&path).unwrap().get(&keys[1]).unwrap().is_some());
                return;
            }
            Ok(w) => w,
        };
    w.put(b"x", Flags(1), 0).unwrap();
    assert!(w.commit().is_err());
    drop(w);
    assert!(open(&path).unwrap().get(&keys[1]).unwrap().is_some());
    assert!(open(dir.path()).is_err());
}

#[test]
fn a_log_of_another_store_is_refused_only_if_it_holds_commits() {
    let dir = tempfile::tempdir().unwrap();
    let (path, keys) = store(dir.path());
    let other_dir = tempfile::tempdir().unwrap();
    let (other, other_keys) = store(other_dir.path());
    // A log with commits that belong to another state.
    let mut w = open(&other).unwrap();
    w.put(b"more", Flags(1), 0).unwrap();
    w.commit().unwrap();
    drop(w);
    let mut w = open(&path).unwrap();
    w.put(b"elsewhere", Flags(1), 0).unwrap();
    w.set_root(keys[3]).unwrap();
    w.commit().unwrap();
    w.close().unwrap();
    fs::copy(log_path(&other), log_path(&path)).unwrap();
    let before = fs::read(&path).unwrap();
    let text = open(&path).unwrap_err().to_string();
    assert!(text.contains("belongs to another state"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
    // Moved away as the message says, the store opens as it is.
    fs::rename(log_path(&path), dir.path().join("away")).unwrap();
    let w = open(&path).unwrap();
    assert!(w.recovery().checked);
    assert!(w.get(&keys[0]).unwrap().is_some());
    drop(w);
    // The store file lost while the log holds commits.
    fs::remove_file(&other).unwrap();
    let text = open(&other).unwrap_err().to_string();
    assert!(text.contains("the store file is empty"), "{text}");
    assert!(!other_keys.is_empty());
}

#[test]
fn a_damaged_log_is_noticed_and_a_torn_tail_is_not_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let mut w = open(&path).unwrap();
    let mut keys = Vec::new();
    for n in 0..3u8 {
        keys.push(w.put(&[n; 50], Flags(0x11), 0).unwrap().0);
        w.commit().unwrap();
    }
    drop(w);
    let log = log_path(&path);
    let good = fs::read(&log).unwrap();
    // The first of three commits is damaged: the later ones prove it was acknowledged.
    let mut bad = good.clone();
    bad[8192 + 150] ^= 1;
    fs::write(&log, &bad).unwrap();
    let text = open(&path).unwrap_err().to_string();
    assert!(text.contains("the redo log is damaged"), "{text}");
    assert!(Reader::inspect(&path).unwrap().1.log);
    // Both header copies gone.
    let mut bad = good.clone();
    bad[..8192].fill(0xaa);
    fs::write(&log, &bad).unwrap();
    let text = open(&path).unwrap_err().to_string();
    assert!(text.contains("no readable header"), "{text}");
    // The last one is torn: a commit that nobody was told of.
    let mut bad = good.clone();
    bad[8192 + 2 * 4096 + 150] ^= 1;
    fs::write(&log, &bad).unwrap();
    let w = open(&path).unwrap();
    assert_eq!(w.recovery().replayed, 2);
    assert!(w.get(&keys[1]).unwrap().is_some());
}

#[test]
fn a_cell_that_looks_like_a_commit_is_not_replayed() {
    // A stranger's cell holds the image of a frame of the epoch to come; only the key of the checksum protects the log.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let mut w = open(&path).unwrap();
    w.put(&[1; 4000], Flags(1), 0).unwrap();
    w.commit().unwrap();
    w.put(&[2; 4000], Flags(1), 0).unwrap();
    w.commit().unwrap();
    drop(w);
    let log = log_path(&path);
    let bytes = fs::read(&log).unwrap();
    // The two frames again, behind the last one, with the next sequence: the checksum no longer fits.
    let mut forged = bytes.clone();
    let frame = bytes[8192..8192 + 8192].to_vec();
    forged[8192 + 16384..8192 + 16384 + 8192].copy_from_slice(&frame);
    forged[8192 + 16384 + 23] = 3;
    fs::write(&log, &forged).unwrap();
    assert_eq!(open(&path).unwrap().recovery().replayed, 2);
}

#[test]
fn impossible_requests_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = open(&dir.path().join("s.etch")).unwrap();
    assert!(matches!(w.put(&[], Flags(1), 0), Err(Error::BadLength(0))));
    assert!(matches!(
        w.put(&[0; 16384], Flags(1), 0),
        Err(Error::BadLength(16384))
    ));
    assert!(w.put(&[0; 16383], Flags(1), 0).is_ok());
    assert!(matches!(
        w.set_root([9; 32]),
        Err(Error::RootMissing { .. })
    ));
    w.set_root(etch::NIL_ROOT).unwrap();
    assert_eq!(w.commit().unwrap().root, etch::NIL_ROOT);
}

#[test]
fn a_small_store_stays_small_and_a_file_grows_in_bounded_steps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let mut w = open(&path).unwrap();
    assert!(fs::metadata(&path).unwrap().len() <= 600_000);
    w.put(&[1; 100], Flags(0x11), 0).unwrap();
    w.commit().unwrap();
    assert!(w.sizes().physical <= 700_000, "{:?}", w.sizes());
    assert!(w.sizes().log_physical <= 300_000, "{:?}", w.sizes());
    for n in 0..400u32 {
        for i in 0..20u32 {
            w.put(&(n * 100 + i).to_be_bytes().repeat(250), Flags(0x21), 0)
                .unwrap();
        }
        w.commit().unwrap();
        let s = w.sizes();
        assert!(
            s.physical <= s.length + s.length / 16 + (192 << 10),
            "{s:?}"
        );
        assert_eq!(s.physical, fs::metadata(&path).unwrap().len());
    }
}

#[test]
fn a_full_disk_stops_the_writer_but_loses_nothing() {
    if !is_root() {
        println!("skipped: only root can mount a small file system");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(dir.path())
        .output();
    if !mounted.is_ok_and(|o| o.status.success()) {
        println!("skipped: mounting a tmpfs is not allowed here");
        return;
    }
    let result = std::panic::catch_unwind(|| fill(dir.path()));
    let unmounted = Command::new("umount").arg(dir.path()).status();
    result.unwrap();
    assert!(unmounted.unwrap().success());
}

fn fill(dir: &Path) {
    let path = dir.join("s.etch");
    let mut w = open(&path).unwrap();
    let mut keys = Vec::new();
    let mut n = 0u32;
    let full = loop {
        n += 1;
        let key = w
            .put(&n.to_be_bytes().repeat(1000), Flags(0x21), 0)
            .unwrap()
            .0;
        match w.commit() {
            Ok(_) => keys.push(key),
            Err(e) => break e,
        }
    };
    assert!(full.is_full(), "{full}");
    let text = full.to_string();
    assert!(
        text.contains("free space") && text.contains("s.etch"),
        "{text}"
    );
    for k in &keys {
        assert!(w.get(k).unwrap().is_some());
    }
    // What is in can be closed and read; a checkpoint empties the log, so there is room again for small things.
    w.close().unwrap();
    let (r, info) = Reader::inspect(&path).unwrap();
    assert!(!info.log);
    for k in &keys {
        assert!(r.get(k).unwrap().is_some());
    }
}

#[test]
fn a_read_only_map_does_not_stop_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (path, keys) = store(dir.path());
    let (reader, _) = Reader::inspect(&path).unwrap();
    assert!(reader.get(&keys[7]).unwrap().is_some());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    assert!(file.as_raw_fd() >= 0);
    let mut b = [0; 2];
    file.read_exact_at(&mut b, 0).unwrap();
    assert_eq!(b, etch::MAGIC);
    let mut w = open(&path).unwrap();
    w.put(b"new", Flags(1), 0).unwrap();
    w.commit().unwrap();
}
