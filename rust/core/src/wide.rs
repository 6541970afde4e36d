//! The widest instructions of this processor.

#![allow(clippy::inline_always)] // code takes on the instructions of what it is inlined into

use pulp::{Arch, NullaryFnOnce};

/// Do work by the widest instructions of this processor; what it calls must be inlined, too.
#[inline(always)]
pub fn widest<R>(work: impl FnMut() -> R) -> R {
    struct Work<F>(F);

    // A closure given to `dispatch` itself is called through a function that is not inlined, and takes none of them.
    impl<R, F: FnMut() -> R> NullaryFnOnce for Work<F> {
        type Output = R;

        #[inline(always)]
        fn call(mut self) -> R {
            (self.0)()
        }
    }

    Arch::new().dispatch(Work(work))
}
