//! Scores: one number a device, to quote and to compare. 1000 is the machine of the stored run.
//!
//! score = 1000 × exp(mean over stages of mean over its kernels of ln(rate here / rate there)). A kernel's rate is that of its
//! fastest backend. Every kernel of the stored run counts; where one is missing here, there is no score.

use super::{Line, Stage};
use serde::Serialize;
use std::collections::BTreeMap;

/// How fast a device is, beside the one of the stored run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Score {
    /// The device: `one core` or `all cores`.
    pub device: &'static str,
    /// Threads.
    pub threads: usize,
    /// The score.
    pub score: f64,
    /// The same of each stage by itself.
    pub stages: BTreeMap<String, f64>,
}

/// A kernel on an input, whoever does it.
type Kernel<'a> = (&'a str, &'a str, &'a str, u64);

/// Rates by kernel, of the fastest backend.
fn rates(lines: &[Line], threads: usize) -> BTreeMap<Kernel<'_>, f64> {
    let mut rates: BTreeMap<Kernel<'_>, f64> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.threads == threads) {
        let rate = rates.entry((&line.stage, &line.kernel, &line.input, line.rows)).or_default();
        *rate = rate.max(line.per_second);
    }
    rates
}

fn score(device: &'static str, (lines, threads): (&[Line], usize), reference: (&[Line], usize)) -> Option<Score> {
    let (here, there) = (rates(lines, threads), rates(reference.0, reference.1));
    let mut logarithms: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (kernel, rate) in there {
        let own = here.get(&kernel)?;
        logarithms.entry(kernel.0.into()).or_default().push((own / rate).ln());
    }
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
    let means: BTreeMap<String, f64> = logarithms.into_iter().map(|(stage, list)| (stage, mean(&list))).collect();
    let of_all = mean(&means.values().copied().collect::<Vec<_>>());
    let score = |mean: f64| 1000.0 * mean.exp();
    Some(Score {
        device,
        threads,
        score: score(of_all),
        stages: means.into_iter().map(|(stage, mean)| (stage, score(mean))).collect(),
    })
}

/// Scores of one core and of all, where every kernel of the stored run was measured.
pub fn scores(lines: &[Line], threads: usize, reference: &[Line]) -> Vec<Score> {
    let of_reference = reference.iter().map(|line| line.threads).max().unwrap_or(1);
    let has_all_stages = Stage::ALL.iter().all(|stage| reference.iter().any(|line| line.stage == stage.name()));
    let one = score("one core", (lines, 1), (reference, 1));
    let all = score("all cores", (lines, threads), (reference, of_reference));
    [one, all].into_iter().flatten().filter(|_| has_all_stages).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stage: &str, backend: &str, threads: usize, per_second: f64) -> Line {
        Line {
            stage: stage.into(),
            kernel: "kernel".into(),
            backend: backend.into(),
            threads,
            rows: 10,
            unit: "rows".into(),
            input: "input".into(),
            signers: None,
            hints: None,
            per_second,
            bytes_per_second: None,
            gas_per_second: None,
            of_bandwidth: None,
            samples: vec![1.0],
            ratio: BTreeMap::new(),
        }
    }

    fn run(threads: usize, rate: f64) -> Vec<Line> {
        let stages = Stage::ALL.iter();
        stages.flat_map(|s| [line(s.name(), "a", 1, 1.0), line(s.name(), "b", threads, rate)]).collect()
    }

    #[test]
    fn a_run_beside_itself_is_a_thousand_and_twice_as_fast_two_thousand() {
        let reference = run(2, 3.0);
        let same = scores(&reference, 2, &reference);
        assert_eq!(
            same.iter().map(|s| (s.device, s.score)).collect::<Vec<_>>(),
            [("one core", 1000.0), ("all cores", 1000.0)]
        );
        let faster = scores(&run(16, 6.0), 16, &reference);
        assert!((faster[1].score - 2000.0).abs() < 1e-9 && (faster[0].score - 1000.0).abs() < 1e-9, "{faster:?}");
        assert_eq!(faster[1].stages.len(), Stage::ALL.len());
    }

    #[test]
    fn the_fastest_backend_counts() {
        let reference = run(2, 3.0);
        let mut lines = reference.clone();
        lines.push(line("hashes", "c", 1, 8.0));
        let score = scores(&lines, 2, &reference)[0].score;
        assert!((score - 1000.0 * 8_f64.powf(1.0 / Stage::ALL.len() as f64)).abs() < 1e-9);
    }

    #[test]
    fn without_one_kernel_there_is_no_score() {
        let reference = run(2, 3.0);
        assert!(scores(&reference[2..], 2, &reference).is_empty());
        assert!(scores(&reference, 2, &reference[2..]).is_empty());
    }
}
