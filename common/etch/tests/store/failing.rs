//! Calls that fail: full disk, I/O errors, short writes, injected at every call of a run. Nothing acknowledged is lost,
//! nothing is damaged, the error says what to do.

use crate::common::disk::{Disk, DiskFile, Fault};
use crate::common::{Rng, cell};
use etch::{Error, Flags, Image, Key, Options, Writer, verify};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn open(disk: &Disk) -> Result<Writer<DiskFile>, Error> {
    let options = Options {
        checkpoint_bytes: 8192,
        ahead_bytes: 2000,
        ..Options::default()
    };
    Writer::open_files(
        disk.file(0),
        "/data/store.etch".as_ref(),
        disk.file(1),
        "/data/store.etch.redo".as_ref(),
        options,
    )
}

/// Puts and commits until the first error; returns what was acknowledged.
fn work(w: &mut Writer<DiskFile>, rng: &mut Rng, commits: usize) -> (Vec<Key>, Option<Error>) {
    let mut acknowledged = Vec::new();
    for _ in 0..commits {
        let mut batch = Vec::new();
        let done = (|| {
            for _ in 0..5 {
                let n = rng.below(3000) as usize + 1;
                let e = cell(&[], &rng.bytes(n));
                batch.push(w.put(&e, Flags::new(1, e.len()), 0)?.0);
            }
            w.set_root(batch[0])?;
            w.commit()?;
            if w.checkpoint_due() {
                w.checkpoint()?;
            }
            Ok(())
        })();
        match done {
            Ok(()) => acknowledged.append(&mut batch),
            Err(e) => return (acknowledged, Some(e)),
        }
    }
    (acknowledged, None)
}

fn all_there(w: &Writer<DiskFile>, keys: &[Key], what: &str) {
    for k in keys {
        assert!(matches!(w.get(k), Ok(Some(_))), "{what}");
    }
}

#[test]
fn an_error_at_any_call_damages_nothing_and_says_what_to_do() {
    let mut failures = 0;
    for fault in [
        Fault::Errno(ENOSPC),
        Fault::Partial(ENOSPC),
        Fault::Errno(EIO),
        Fault::Partial(EIO),
    ] {
        for call in 0.. {
            let what = format!("{fault:?} at call {call}");
            let mut rng = Rng(call);
            let disk = Disk::new(vec![vec![], vec![]]);
            disk.fail_at(call, fault);
            let opened = open(&disk);
            let mut acknowledged = Vec::new();
            let error = match opened {
                Err(e) => Some(e),
                Ok(mut w) => {
                    let (keys, error) = work(&mut w, &mut rng, 12);
                    acknowledged = keys;
                    if let Some(e) = &error {
                        all_there(&w, &acknowledged, &what);
                        // After a full disk the writer may go on; after anything else it refuses and says so.
                        let (more, again) = work(&mut w, &mut rng, 3);
                        if again.is_none() {
                            assert!(e.is_full(), "{what}: went on after {e}");
                            acknowledged.extend(more);
                            all_there(&w, &acknowledged, &what);
                        } else {
                            assert!(
                                matches!(again, Some(Error::Failed { .. })),
                                "{what}: {again:?}"
                            );
                        }
                    }
                    error
                }
            };
            let Some(e) = error else {
                // The run makes fewer calls than this.
                if disk.calls() <= call {
                    break;
                }
                // A reservation that failed but a smaller one did not: nothing to report.
                continue;
            };
            failures += 1;
            let text = e.to_string();
            assert!(text.contains("/data/store.etch"), "{what}: {text}");
            let remedy = if matches!(fault, Fault::Errno(ENOSPC) | Fault::Partial(ENOSPC)) {
                "free space"
            } else {
                "check the disk"
            };
            assert!(text.contains(remedy), "{what}: {text}");
            // Restarted without the fault.
            let again = Disk::new(disk.files());
            let mut w = open(&again).unwrap_or_else(|e| panic!("{what}: {e}"));
            all_there(&w, &acknowledged, &what);
            let (more, error) = work(&mut w, &mut rng, 3);
            assert!(error.is_none(), "{what}: {error:?}");
            all_there(&w, &more, &what);
            w.close().unwrap();
            let files = again.files();
            assert!(
                verify(&Image(&files[0]), |_| true).unwrap().is_clean(),
                "{what}"
            );
        }
    }
    assert!(failures > 100, "only {failures} failures were injected");
}

#[test]
fn a_read_error_is_a_failure_and_never_absence() {
    let disk = Disk::new(vec![vec![], vec![]]);
    let mut w = open(&disk).unwrap();
    let (keys, error) = work(&mut w, &mut Rng(3), 3);
    assert!(error.is_none());
    let reads = disk.0.lock().unwrap().reads;
    disk.0.lock().unwrap().read_fault = Some(reads);
    assert!(matches!(w.get(&keys[0]), Err(Error::Io { .. })));
    let reads = disk.0.lock().unwrap().reads;
    disk.0.lock().unwrap().read_fault = Some(reads);
    assert!(w.put(b"x", Flags(1), 0).is_err());
    // Only a read failed: the writer is as good as before.
    all_there(&w, &keys, "after a read error");
    assert!(work(&mut w, &mut Rng(8), 2).1.is_none());
}

#[test]
fn short_writes_are_carried_on() {
    let disk = Disk::new(vec![vec![], vec![]]);
    disk.0.lock().unwrap().short = Some(37);
    let mut w = open(&disk).unwrap();
    let (keys, error) = work(&mut w, &mut Rng(5), 10);
    assert!(error.is_none());
    all_there(&w, &keys, "short writes");
    w.close().unwrap();
    assert!(
        verify(&Image(&disk.files()[0]), |_| true)
            .unwrap()
            .is_clean()
    );
}
