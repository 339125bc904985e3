//! Freeing values of any depth on a bounded stack.
//!
//! A hostile message can chain hundreds of thousands of branches. Dropping the first would drop the next inside
//! it, and so on down the stack; past a fixed depth the children are queued instead and freed by the outermost
//! call.

use std::cell::{Cell as StdCell, RefCell};

use crate::refs::Slot;

/// Nested releases before children are queued. Far above the depth of honest values, far below any stack.
const MAX_DEPTH: u32 = 128;

thread_local! {
    static DEPTH: StdCell<u32> = const { StdCell::new(0) };
    static QUEUE: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

/// Frees `slot`, which may own other values.
pub(crate) fn release(slot: Slot) {
    let Ok(depth) = DEPTH.try_with(|d| {
        let depth = d.get();
        d.set(depth + 1);
        depth
    }) else {
        // The thread is ending and its locals are gone: free directly.
        drop(slot);
        return;
    };
    if depth < MAX_DEPTH {
        drop(slot);
    } else if let Err(slot) = enqueue(slot) {
        drop(slot);
    }
    let _ = DEPTH.try_with(|d| d.set(depth));
    if depth == 0 {
        while let Ok(Some(slot)) = QUEUE.try_with(|q| q.borrow_mut().pop()) {
            release(slot);
        }
    }
}

fn enqueue(slot: Slot) -> Result<(), Slot> {
    let mut slot = Some(slot);
    let _ = QUEUE.try_with(|q| q.borrow_mut().push(slot.take().expect("given once")));
    slot.map_or(Ok(()), Err)
}
