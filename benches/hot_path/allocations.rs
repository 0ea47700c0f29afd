//! Counting heap allocations.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use crate::rows::Row;

const REQUESTS: u64 = 1000;

thread_local! {
    /// Per thread, so that counting shares nothing between threads.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Returns a row's number of allocations per request.
pub(crate) fn per_request(row: &mut Row) -> f64 {
    let before = COUNT.get();
    row.run(REQUESTS);
    // Rounding hides the occasional request that checks the credential more closely.
    ((COUNT.get() - before) as f64 / REQUESTS as f64 * 100.0).round() / 100.0
}

/// The system's allocator, with a counter.
pub(crate) struct Allocations;

// SAFETY: every call is forwarded unchanged to an allocator that upholds the contract.
unsafe impl GlobalAlloc for Allocations {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn count() {
    COUNT.set(COUNT.get() + 1);
}
