//! The kernel's page counter (Linux 6.12 `mm/page_counter.c`), in Rust.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// One level of a hierarchy of page counters.
///
/// It adds first and looks afterwards, as the kernel does; so near the limit a
/// charge that fits can be refused beside one that does not. Like the
/// kernel's, its marks may miss an update, and usage, marks and limits lie on
/// cache lines of their own (`include/linux/page_counter.h`).
#[derive(Debug)]
pub struct PageCounter {
    usage: Usage,
    marks: Marks,
    rules: Rules,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Usage {
    usage: AtomicI64,
    failcnt: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Marks {
    watermark: AtomicI64,
    local_watermark: AtomicI64,
}

#[derive(Debug)]
#[repr(align(64))]
struct Rules {
    max: AtomicI64,
    parent: Option<Arc<PageCounter>>,
}

impl PageCounter {
    /// A counter at 0 below `parent`.
    pub fn new(max: i64, parent: Option<Arc<PageCounter>>) -> Arc<PageCounter> {
        Arc::new(PageCounter {
            usage: Usage::default(),
            marks: Marks::default(),
            rules: Rules { max: AtomicI64::new(max), parent },
        })
    }

    /// `page_counter_try_charge`.
    #[inline]
    pub fn try_charge(&self, n: i64) -> bool {
        for level in self.levels() {
            // `atomic_long_add_return`, fully ordered.
            let new = level.usage.usage.fetch_add(n, Ordering::SeqCst) + n;
            if new > level.rules.max.load(Ordering::Relaxed) {
                level.usage.usage.fetch_sub(n, Ordering::SeqCst);
                // `data_race(c->failcnt++)`
                let failcnt = level.usage.failcnt.load(Ordering::Relaxed);
                level.usage.failcnt.store(failcnt + 1, Ordering::Relaxed);
                for lower in self.levels().take_while(|lower| !std::ptr::eq(*lower, level)) {
                    lower.cancel(n);
                }
                return false;
            }
            if new > level.marks.local_watermark.load(Ordering::Relaxed) {
                level.marks.local_watermark.store(new, Ordering::Relaxed);
                if new > level.marks.watermark.load(Ordering::Relaxed) {
                    level.marks.watermark.store(new, Ordering::Relaxed);
                }
            }
        }
        true
    }

    /// `page_counter_uncharge`.
    #[inline]
    pub fn uncharge(&self, n: i64) {
        self.levels().for_each(|level| level.cancel(n));
    }

    /// What is charged now.
    pub fn usage(&self) -> i64 {
        self.usage.usage.load(Ordering::Relaxed)
    }

    /// `page_counter_cancel`.
    fn cancel(&self, n: i64) {
        let new = self.usage.usage.fetch_sub(n, Ordering::SeqCst) - n;
        if new < 0 {
            self.usage.usage.store(0, Ordering::Relaxed);
        }
    }

    fn levels(&self) -> impl Iterator<Item = &PageCounter> {
        std::iter::successors(Some(self), |level| level.rules.parent.as_deref())
    }
}
