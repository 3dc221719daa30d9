//! The procedures' loops, compiled a second time for processors with AVX2: what a compiler makes of them is half as long there.
#![allow(unsafe_code)]

/// Makes a function over columns that runs with the instructions that this processor has. What is inlined into it is compiled for
/// them, and nothing else: so loops stand in it, or in functions that are always inlined, and not in closures, which are not.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$columns:ident>($($arg:ident: $type:ty),* $(,)?) -> $out:ty $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code)]
        $vis fn $name<$columns: $crate::double_use::Columns>($($arg: $type),*) -> $out {
            #[inline(always)]
            fn here<$columns: $crate::double_use::Columns>($($arg: $type),*) -> $out $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2")]
            fn with_avx2<$columns: $crate::double_use::Columns>($($arg: $type),*) -> $out {
                here($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            if $crate::double_use::wide::has_avx2() {
                // SAFETY: the processor has what the function needs, as was just asked.
                return unsafe { with_avx2($($arg),*) };
            }
            here($($arg),*)
        }
    };
}
pub(super) use wide;

/// Whether this processor has all that the functions of `wide` are compiled for.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx2() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx2") && has!("bmi1") && has!("bmi2")
}
