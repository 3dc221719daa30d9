//! Two runs side by side: what became faster or slower, and what of it is more than noise.
//!
//! Noise of a line: half of what lies between the quarters of its samples, by their median, of both runs added. A change within
//! twice the noise is none. A regression is a change for the worse that is more than noise and more than the threshold.

use super::Line;
use serde::Serialize;

/// What a change is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// Faster, and more than noise.
    Faster,
    /// Slower, more than noise, by less than the threshold.
    Slower,
    /// Slower by more than the threshold, and more than noise.
    Regression,
    /// Nothing that can be told from noise.
    Noise,
}

/// A line of both runs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// Stage, kernel, backend, threads, rows, input.
    pub line: String,
    /// Rows a second before.
    pub before: f64,
    /// Rows a second after.
    pub after: f64,
    /// After by before: above 1 is faster.
    pub ratio: f64,
    /// What two runs may differ by, as a share.
    pub noise: f64,
    /// What it is.
    pub judgement: Judgement,
}

/// All lines of two runs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// Lines of both.
    pub changes: Vec<Change>,
    /// Lines of the first run alone.
    pub only_before: Vec<String>,
    /// Lines of the second alone.
    pub only_after: Vec<String>,
}

impl Comparison {
    /// Regressions.
    pub fn regressions(&self) -> usize {
        self.changes.iter().filter(|change| change.judgement == Judgement::Regression).count()
    }
}

fn title(line: &Line) -> String {
    let threads = if line.threads == 1 { "1 thread".into() } else { format!("{} threads", line.threads) };
    let Line { stage, kernel, backend, rows, unit, input, .. } = line;
    format!("{stage} {kernel}, {backend}, {threads}, {rows} {unit}, {input}")
}

/// Holds lines of the same name against each other. `threshold`: share, as 0.05.
pub fn compare(before: &[Line], after: &[Line], threshold: f64) -> Comparison {
    let missing = |these: &[Line], those: &[Line]| -> Vec<String> {
        these.iter().map(title).filter(|this| those.iter().all(|that| title(that) != *this)).collect()
    };
    let change = |line: &Line| {
        let title_here = title(line);
        let old = before.iter().find(|old| title(old) == title_here)?;
        let ratio = line.per_second / old.per_second;
        let noise = 2.0 * (line.spread() + old.spread());
        let judgement = match ratio {
            r if r > 1.0 + noise => Judgement::Faster,
            r if r >= 1.0 / (1.0 + noise) => Judgement::Noise,
            r if r < 1.0 - threshold => Judgement::Regression,
            _ => Judgement::Slower,
        };
        Some(Change { line: title_here, before: old.per_second, after: line.per_second, ratio, noise, judgement })
    };
    Comparison {
        changes: after.iter().filter_map(change).collect(),
        only_before: missing(before, after),
        only_after: missing(after, before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A kernel whose samples are around so many rows a second, so far apart.
    fn line(kernel: &str, rate: f64, apart: f64) -> Line {
        let samples: Vec<f64> = [-1.0, -0.5, 0.0, 0.5, 1.0].map(|at| 100.0 / rate * (1.0 + at * apart)).to_vec();
        Line {
            stage: "stage".into(),
            kernel: kernel.into(),
            backend: "cpu".into(),
            threads: 1,
            rows: 100,
            unit: "rows".into(),
            input: "input".into(),
            signers: None,
            hints: None,
            per_second: rate,
            bytes_per_second: None,
            gas_per_second: None,
            of_bandwidth: None,
            samples,
            ratio: BTreeMap::new(),
        }
    }

    #[test]
    fn planted_differences_are_found_and_noise_is_not() {
        let before = [
            line("same", 10.0, 0.01),
            line("slow", 10.0, 0.01),
            line("slower", 10.0, 0.001),
            line("fast", 10.0, 0.01),
            line("noisy", 10.0, 0.4),
            line("gone", 1.0, 0.1),
        ];
        let after = [
            line("same", 9.95, 0.01),
            line("slow", 8.0, 0.01),
            line("slower", 9.8, 0.001),
            line("fast", 12.0, 0.01),
            line("noisy", 8.0, 0.4),
            line("new", 1.0, 0.1),
        ];
        let compared = compare(&before, &after, 0.05);
        let judged: Vec<_> = compared.changes.iter().map(|change| change.judgement).collect();
        use Judgement::{Faster, Noise, Regression, Slower};
        assert_eq!(judged, [Noise, Regression, Slower, Faster, Noise]);
        assert_eq!(compared.regressions(), 1);
        assert!(compared.only_before[0].contains("gone") && compared.only_after[0].contains("new"), "{compared:?}");
        assert!((compared.changes[1].ratio - 0.8).abs() < 1e-12);
    }

    #[test]
    fn a_threshold_forgives_what_lies_below_it() {
        let (before, after) = ([line("slow", 10.0, 0.001)], [line("slow", 9.0, 0.001)]);
        assert_eq!(compare(&before, &after, 0.05).regressions(), 1);
        assert_eq!(compare(&before, &after, 0.2).regressions(), 0);
    }
}
