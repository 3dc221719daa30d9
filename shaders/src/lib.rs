//! WGSL compute stages as data: text, entry point, workgroup size. Calls no GPU; the engine's host code does.
//!
//! There is no stage yet: everything that this version computes, it computes on the CPU. A stage's text lies in `wgsl/` and is
//! listed in [`STAGES`]; the tests hold the two against each other, so that no shader is left unlisted.

#![forbid(unsafe_code)]

/// A compute stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage {
    /// File under `wgsl/`.
    pub name: &'static str,
    /// WGSL text.
    pub text: &'static str,
    /// Entry point.
    pub entry: &'static str,
    /// Invocations a workgroup.
    pub workgroup_size: u32,
}

/// All stages, ascending by name.
pub const STAGES: &[Stage] = &[];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn shader_files(folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                shader_files(&path, found);
            } else if path.extension().is_some_and(|e| e == "wgsl") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_shader_file_is_a_listed_stage() {
        let mut files = Vec::new();
        shader_files(Path::new(env!("CARGO_MANIFEST_DIR")), &mut files);
        assert_eq!(files.len(), STAGES.len(), "{files:?}");
        assert!(STAGES.is_sorted_by_key(|s| s.name));
        for stage in STAGES {
            assert!(stage.text.contains(stage.entry) && stage.workgroup_size > 0, "{}", stage.name);
        }
    }
}
