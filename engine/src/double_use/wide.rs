//! The procedures' loops, compiled a second time for processors with AVX2: what a compiler makes of them is half as long there.
#![allow(unsafe_code)]

/// Does work with the instructions that this processor has. What is inlined into `work` is compiled for them.
#[inline(always)]
pub(super) fn wide<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi2") {
        // SAFETY: the processor has both, as was just asked.
        return unsafe { with_avx2(work) };
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
    work()
}
