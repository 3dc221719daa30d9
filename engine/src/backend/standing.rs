//! Every backend of every stage, and how it stands on this machine: for people who want to know before they begin.

use super::{execution, hashes, signatures};
use serde::Serialize;

/// How a backend stands on this machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It gives the known answers.
    Proven,
    /// It runs, and gives other answers: nothing may be trusted to it.
    Failed,
    /// The machine, or this build, has not what it needs.
    Unavailable,
}

/// A backend of a stage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Known {
    /// The stage.
    pub stage: &'static str,
    /// Its name in options and reports.
    pub backend: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// Whether it is taken where none is asked for.
    pub is_default: bool,
}

/// Tests all backends, those of devices only if asked: opening one may take seconds.
pub fn all(with_devices: bool) -> Vec<Known> {
    let standing = |is_available: bool, is_proven: &dyn Fn() -> bool| match is_available {
        false => Standing::Unavailable,
        true if is_proven() => Standing::Proven,
        true => Standing::Failed,
    };
    let mut all = Vec::new();
    for backend in signatures::Backend::ALL.into_iter().filter(|b| with_devices || *b != signatures::Backend::Wgpu) {
        all.push(Known {
            stage: "signatures",
            backend: backend.name(),
            standing: standing(backend.is_available(), &|| backend.is_proven() == Ok(true)),
            is_default: backend == signatures::fastest(),
        });
    }
    for backend in hashes::Backend::ALL.into_iter().filter(|b| with_devices || *b != hashes::Backend::Wgpu) {
        all.push(Known {
            stage: "hashes",
            backend: backend.name(),
            standing: standing(backend.is_available(), &|| backend.is_proven() == Ok(true)),
            is_default: backend == hashes::Backend::widest(),
        });
    }
    for backend in execution::Backend::ALL {
        all.push(Known {
            stage: "execution",
            backend: backend.name(),
            standing: standing(backend.is_available(), &|| backend.is_proven()),
            is_default: backend == execution::Backend::default(),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_one_default_that_is_proven_and_none_that_failed() {
        let all = all(false);
        for stage in ["signatures", "hashes", "execution"] {
            let defaults: Vec<_> = all.iter().filter(|known| known.stage == stage && known.is_default).collect();
            assert_eq!(defaults.len(), 1, "{stage}");
            assert_eq!(defaults[0].standing, Standing::Proven, "{stage}");
        }
        assert!(all.iter().all(|known| known.standing != Standing::Failed), "{all:?}");
    }
}
