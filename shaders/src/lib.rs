//! WGSL compute stages as data: text, entry point, bindings, workgroup size. Calls no GPU; the engine's host code does.
//!
//! A stage's text is one file under `wgsl/` with one entry point, behind what it shares with others (`wgsl/shared/`). Beside each
//! stage stands its twin ([`twin`]): the same steps over the same bindings on the processor, as a function of the same name. It
//! is the stage's definition for the tests, and the place to look for what a stage does when it does something else. The tests
//! let naga validate every stage and hold bindings and sizes against what is said here.

#![forbid(unsafe_code)]

/// A file under `wgsl/` with its path there.
macro_rules! wgsl {
    ($($path:literal),+) => {
        (concat!($($path),+), include_str!(concat!("../wgsl/", $($path),+)))
    };
}

pub mod secp256k1;
pub mod twin;

/// What a stage does with a binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Four words that all invocations read: `var<uniform>`. Binding 0, and only that.
    Params,
    /// Reads.
    Read,
    /// Reads and writes.
    Write,
}

/// A compute stage. Its bindings are those of group 0, from 0 on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Its name: that of its file under `wgsl/`, and of its flavour if it has several.
    pub name: &'static str,
    /// Its file and, before it, what it shares with others: path and text.
    pub files: &'static [(&'static str, &'static str)],
    /// Entry point.
    pub entry: &'static str,
    /// Invocations a workgroup, along one axis.
    pub workgroup_size: u32,
    /// What it does with each binding.
    pub bindings: &'static [Access],
    /// Whether it computes with integers of 64 bits.
    pub needs_u64: bool,
}

impl Stage {
    /// WGSL text.
    pub fn text(&self) -> String {
        self.files.iter().map(|(_, text)| *text).collect::<Vec<_>>().join("\n")
    }
}

/// Keccak-256 of many messages; lanes of two u32.
pub const KECCAK_DIGEST_U32: Stage = Stage {
    name: "keccak/digest_u32",
    files: &[wgsl!("shared/lane_u32.wgsl"), wgsl!("shared/keccak.wgsl"), wgsl!("keccak/digest.wgsl")],
    entry: "digest",
    workgroup_size: 64,
    bindings: &[Access::Params, Access::Read, Access::Read, Access::Write],
    needs_u64: false,
};

/// Keccak-256 of many messages; lanes of one u64.
pub const KECCAK_DIGEST_U64: Stage = Stage {
    name: "keccak/digest_u64",
    files: &[wgsl!("shared/lane_u64.wgsl"), wgsl!("shared/keccak.wgsl"), wgsl!("keccak/digest.wgsl")],
    needs_u64: true,
    ..KECCAK_DIGEST_U32
};

/// Radix sort: how often each digit occurs in each tile.
pub const RADIX_COUNT: Stage = Stage {
    name: "radix/count",
    files: &[wgsl!("radix/count.wgsl")],
    entry: "count",
    workgroup_size: 128,
    bindings: &[Access::Params, Access::Read, Access::Write],
    needs_u64: false,
};

/// Running sum: totals of blocks.
pub const RADIX_REDUCE: Stage = Stage {
    name: "radix/reduce",
    files: &[wgsl!("shared/scan.wgsl"), wgsl!("radix/reduce.wgsl")],
    entry: "reduce",
    ..RADIX_COUNT
};

/// Running sum: of the totals.
pub const RADIX_SCAN_TOTALS: Stage = Stage {
    name: "radix/scan_totals",
    files: &[wgsl!("shared/scan.wgsl"), wgsl!("radix/scan_totals.wgsl")],
    entry: "scan_totals",
    bindings: &[Access::Params, Access::Write],
    ..RADIX_COUNT
};

/// Running sum: within blocks.
pub const RADIX_SCAN: Stage = Stage {
    name: "radix/scan",
    files: &[wgsl!("shared/scan.wgsl"), wgsl!("radix/scan.wgsl")],
    entry: "scan",
    ..RADIX_COUNT
};

/// Radix sort: keys and payloads to where they belong by one digit.
pub const RADIX_SCATTER: Stage = Stage {
    name: "radix/scatter",
    files: &[wgsl!("shared/scan.wgsl"), wgsl!("radix/scatter.wgsl")],
    entry: "scatter",
    bindings: &[Access::Params, Access::Read, Access::Read, Access::Read, Access::Write, Access::Write],
    ..RADIX_COUNT
};

/// Double use: each use against the one before it on its cell.
pub const DOUBLE_USE_COMPARE: Stage = Stage {
    name: "double_use/compare",
    files: &[wgsl!("double_use/compare.wgsl")],
    entry: "compare",
    workgroup_size: 128,
    bindings: &[Access::Params, Access::Read, Access::Read, Access::Read, Access::Read, Access::Write, Access::Write],
    needs_u64: false,
};

/// All stages, ascending by name.
pub const STAGES: &[&Stage] = &[
    &DOUBLE_USE_COMPARE,
    &KECCAK_DIGEST_U32,
    &KECCAK_DIGEST_U64,
    &RADIX_COUNT,
    &RADIX_REDUCE,
    &RADIX_SCAN,
    &RADIX_SCAN_TOTALS,
    &RADIX_SCATTER,
    &secp256k1::U32.accumulate,
    &secp256k1::U64.accumulate,
    &secp256k1::U32.add_windows,
    &secp256k1::U64.add_windows,
    &secp256k1::U32.affine,
    &secp256k1::U64.affine,
    &secp256k1::U32.align,
    &secp256k1::U64.align,
    &secp256k1::BOUNDS,
    &secp256k1::DIGITS,
    &secp256k1::U32.double,
    &secp256k1::U64.double,
    &secp256k1::U32.hints,
    &secp256k1::U64.hints,
    &secp256k1::U32.invert_scalars,
    &secp256k1::U64.invert_scalars,
    &secp256k1::U32.invert,
    &secp256k1::U64.invert,
    &secp256k1::U32.join,
    &secp256k1::U64.join,
    &secp256k1::U32.lift,
    &secp256k1::U64.lift,
    &secp256k1::U32.multiples,
    &secp256k1::U64.multiples,
    &secp256k1::U32.products_of_scalars,
    &secp256k1::U64.products_of_scalars,
    &secp256k1::U32.products,
    &secp256k1::U64.products,
    &secp256k1::U32.rescale,
    &secp256k1::U64.rescale,
    &secp256k1::U32.split,
    &secp256k1::U64.split,
    &secp256k1::SUMS,
    &secp256k1::U32.weigh,
    &secp256k1::U64.weigh,
];

#[cfg(test)]
mod tests {
    use super::*;
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    use naga::{AddressSpace, StorageAccess};
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    fn shader_files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                shader_files(&path, found);
            } else if path.extension().is_some_and(|e| e == "wgsl") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_shader_file_is_in_a_stage() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wgsl");
        let mut files = Vec::new();
        shader_files(&folder, &mut files);
        let on_disk: BTreeSet<PathBuf> =
            files.iter().map(|f| f.strip_prefix(&folder).expect("a file of it").into()).collect();
        let used: BTreeSet<PathBuf> = STAGES.iter().flat_map(|s| s.files).map(|(path, _)| path.into()).collect();
        assert_eq!(on_disk, used);
        assert!(STAGES.is_sorted_by_key(|s| s.name));
    }

    #[test]
    fn naga_validates_every_stage_and_finds_what_is_said_of_it() {
        for stage in STAGES {
            let text = stage.text();
            let module = naga::front::wgsl::parse_str(&text)
                .unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(&text, stage.name)));
            let allowed = if stage.needs_u64 { Capabilities::SHADER_INT64 } else { Capabilities::empty() };
            let mut validator = Validator::new(ValidationFlags::all(), allowed);
            if let Err(e) = validator.validate(&module) {
                panic!("{}", e.emit_to_string_with_path(&text, stage.name));
            }
            let [entry] = &module.entry_points[..] else { panic!("{}: one entry point a file", stage.name) };
            assert_eq!((entry.name.as_str(), entry.stage), (stage.entry, naga::ShaderStage::Compute));
            assert_eq!(entry.workgroup_size, [stage.workgroup_size, 1, 1], "{}", stage.name);
            let mut bound: Vec<_> = (module.global_variables.iter())
                .filter_map(|(_, v)| v.binding.map(|b| (b.group, b.binding, access(v.space))))
                .collect();
            bound.sort_by_key(|(group, binding, _)| (*group, *binding));
            let said: Vec<_> = (0..).zip(stage.bindings).map(|(n, access)| (0, n, *access)).collect();
            assert_eq!(bound, said, "{}", stage.name);
            assert!(stage.bindings.first() == Some(&Access::Params) && !stage.bindings[1..].contains(&Access::Params));
            // As many as every adapter binds.
            assert!(stage.bindings.len() <= 9, "{}", stage.name);
        }
    }

    fn access(space: AddressSpace) -> Access {
        match space {
            AddressSpace::Uniform => Access::Params,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Access::Write,
            AddressSpace::Storage { .. } => Access::Read,
            other => panic!("{other:?} is bound"),
        }
    }
}
