//! A part of the state that knows whether it was touched.

use std::ops::{Deref, DerefMut};

/// Counts as changed from the first mutable borrow on.
#[derive(Default, Debug)]
pub(crate) struct Tracked<T> {
    value: T,
    changed: bool,
}

impl<T> Tracked<T> {
    /// An unchanged value.
    pub(crate) fn new(value: T) -> Self {
        Self {
            value,
            changed: false,
        }
    }

    /// The value, once after each change.
    pub(crate) fn take_changed(&mut self) -> Option<&T> {
        std::mem::take(&mut self.changed).then_some(&self.value)
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}
