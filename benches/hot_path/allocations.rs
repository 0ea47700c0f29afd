//! Counting heap allocations.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use crate::rows::Row;

const REQUESTS: u64 = 1000;

thread_local! {
    /// Of this thread, so that counting is nothing that threads share.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How often the heap is asked for memory while a row serves a request.
pub(crate) fn per_request(row: &mut Row) -> f64 {
    let before = COUNT.get();
    row.run(REQUESTS);
    // The credential is looked at more closely now and then, which is not every request's.
    ((COUNT.get() - before) as f64 / REQUESTS as f64 * 100.0).round() / 100.0
}

/// The system's allocator, counting.
pub(crate) struct Allocations;

// SAFETY: everything is passed on as it is, to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Allocations {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn count() {
    COUNT.set(COUNT.get() + 1);
}
