//! A run of the benchmark as it is written and read back.

use super::environment::Environment;
use crate::exit::Failure;
use manaflow_engine::bench::{Effort, Line, Score, Skipped, Stage};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The stored run that scores are told by.
const REFERENCE: &str = include_str!("../../../../benches/runs/reference.json");

/// Version of the JSON form.
const VERSION: u32 = 1;

/// A run.
#[derive(Debug, Serialize)]
pub struct Results {
    version: u32,
    /// Where.
    pub environment: Environment,
    /// How much.
    pub effort: Effort,
    /// What was measured.
    pub results: Vec<Line>,
    /// What was not.
    pub skipped: Vec<Skipped>,
    /// One number a device.
    pub scores: Vec<Score>,
}

/// What of a run is compared.
#[derive(Deserialize)]
struct Stored {
    version: u32,
    results: Vec<Line>,
}

impl Results {
    /// Puts a run together. Only a whole one has scores.
    pub fn new(
        environment: Environment,
        effort: Effort,
        results: Vec<Line>,
        skipped: Vec<Skipped>,
        scores: Vec<Score>,
    ) -> Self {
        Self { version: VERSION, environment, effort, results, skipped, scores }
    }

    /// As one line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and names are JSON") + "\n"
    }

    /// Why there is no score, if there is none.
    pub fn without_score(&self) -> Option<&'static str> {
        let has = |stage: &Stage| self.results.iter().any(|line| line.stage == stage.name());
        match self.scores.is_empty() {
            false => None,
            true if !Stage::ALL.iter().all(has) => Some("it is of all stages"),
            true => Some("it is of the sizes and blocks of the default run"),
        }
    }

    /// The lines of a run that was written before.
    pub fn read(path: &Path) -> Result<Vec<Line>, Failure> {
        let wrong = |why: String| Failure::Results(format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let stored: Stored = serde_json::from_str(&text).map_err(|e| wrong(format!("no run of the benchmark: {e}")))?;
        if stored.version != VERSION {
            return Err(wrong(format!("version {} of the results, expected {VERSION}", stored.version)));
        }
        match stored.results.iter().find(|line| !is_sensible(line)) {
            Some(line) => Err(wrong(format!("{} {}: rates and samples are to be above zero", line.stage, line.kernel))),
            None => Ok(stored.results),
        }
    }
}

/// Rates and times that something can be told from.
fn is_sensible(line: &Line) -> bool {
    let is_sensible = |x: &f64| x.is_finite() && *x > 0.0;
    is_sensible(&line.per_second) && !line.samples.is_empty() && line.samples.iter().all(is_sensible)
}

/// The lines of the stored run.
pub fn reference() -> Vec<Line> {
    serde_json::from_str::<Stored>(REFERENCE).expect("a test reads the stored run").results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_run_has_every_stage() {
        let lines = reference();
        assert!(Stage::ALL.iter().all(|stage| lines.iter().any(|line| line.stage == stage.name())));
        assert!(lines.iter().all(is_sensible));
        assert!(lines.iter().any(|line| line.threads == 1) && lines.iter().any(|line| line.threads > 1));
    }
}
