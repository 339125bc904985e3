//! Bytes that were handed out for sending and are not yet written.

/// Counts them against a limit.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    queued: usize,
    limit: usize,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self { queued: 0, limit }
    }

    /// Whether `bytes` more are within the limit; then they count. One message always fits an empty box.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let fits = self.queued == 0 || self.queued.saturating_add(bytes) <= self.limit;
        if fits {
            self.queued = self.queued.saturating_add(bytes);
        }
        fits
    }

    pub(crate) fn written(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_sub(bytes);
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }
}
