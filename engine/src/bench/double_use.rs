//! Double use: every procedure over columns in memory, beside what merely sorts as many records, and a plain hash map.

use super::moves::{Moves, arrived, by_hash_map, records};
use super::{BenchError, Input, Line, Peer, Timed, in_turns, seconds};
use crate::double_use::{
    Columns as _, Hints, NumberedResult, Use, Workspace, forward, forward_in, reverse, shards_in, shards_of_in,
    summed_in,
};
use manaflow_loader::source::moves::{self, Distribution};
use rdst::RadixSort as _;
use voracious_radix_sort::RadixSort as _;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of moves.
    pub moves: Vec<u64>,
    /// Distributions.
    pub distributions: Vec<Distribution>,
    /// Kernels by name; all if there are none.
    pub kernels: Vec<String>,
    /// Turns.
    pub samples: usize,
}

/// Kernels by name.
pub const KERNELS: [&str; 5] = ["streaming", "streaming-reverse", "sorted", "tagged", "summed"];

/// Those that use all threads of the pool.
pub const SEVERAL_THREADS: [&str; 2] = ["sorted", "tagged"];

/// Every kernel on every distribution and number of moves. Peers run on one thread.
///
/// Errors: an unknown kernel; no moves; a kernel that judges wrongly.
pub fn double_use(plan: &Plan) -> Result<Vec<Line>, BenchError> {
    if let Some(name) = plan.kernels.iter().find(|name| !KERNELS.contains(&name.as_str())) {
        return Err(BenchError::Usage(format!("no kernel {name:?}: expected some of {}", KERNELS.join(", "))));
    }
    let mut all = Vec::new();
    for &count in &plan.moves {
        for &distribution in &plan.distributions {
            let history = moves::Plan { distribution, ..moves::Plan::of(count) };
            if let Some(reason) = history.refusal() {
                return Err(BenchError::Usage(reason));
            }
            all.extend(measure(&history, plan)?);
        }
    }
    Ok(all)
}

fn measure(history: &moves::Plan, plan: &Plan) -> Result<Vec<Line>, BenchError> {
    let columns = Moves::of(history);
    let rows = columns.cells().len() as u64;
    let wanted = |kernel: &str| plan.kernels.is_empty() || plan.kernels.iter().any(|name| name == kernel);
    let wrong = |kernel| BenchError::Differs { stage: "double-use", kernel, backend: "cpu", rows };
    let expected = forward(&columns).map_err(|_| wrong("streaming"))?;
    let is_valid = |result: &NumberedResult| result.culprits.is_empty() && result.requirements.is_empty();
    if !is_valid(&expected) {
        return Err(wrong("streaming"));
    }
    let hints = wanted("summed").then(|| Hints::of(&columns));
    let uses: Vec<Use> = if wanted("tagged") { arrived(&columns) } else { Vec::new() };
    let workspace = std::cell::RefCell::new(Workspace::default());
    type Judge<'a> = Box<dyn Fn(&mut Workspace) -> Option<NumberedResult> + 'a>;
    let hinted = |workspace: &mut Workspace| {
        let hints = hints.as_ref().map(Hints::borrowed);
        summed_in(&columns, hints, workspace).ok().flatten()
    };
    let judges: [(&'static str, Judge<'_>); 5] = [
        ("streaming", Box::new(|workspace| forward_in(&columns, workspace).ok())),
        ("streaming-reverse", Box::new(|_| reverse(&columns).ok())),
        ("sorted", Box::new(|workspace| shards_in(&columns, workspace).ok())),
        ("tagged", Box::new(|workspace| shards_of_in(&columns, &uses, workspace).ok())),
        ("summed", Box::new(hinted)),
    ];
    let mut kernels = Vec::new();
    for (kernel, judge) in judges.into_iter().filter(|(kernel, _)| wanted(kernel)) {
        if judge(&mut workspace.borrow_mut()).as_ref() != Some(&expected) {
            return Err(wrong(kernel));
        }
        let threads = if SEVERAL_THREADS.contains(&kernel) { rayon::current_num_threads() } else { 1 };
        let workspace = &workspace;
        // Memory is touched once, as that of peers is, and used again.
        let work = Box::new(move || {
            let mut workspace = workspace.borrow_mut();
            let result = judge(&mut workspace).filter(is_valid).expect("it was valid before");
            workspace.take_back(result);
        });
        kernels.push(Timed { kernel, backend: "cpu", threads, work });
    }
    let records = records(&columns);
    let mut sorted = records.clone();
    let mut sorted_too = records.clone();
    // Only the sorting counts: what comes before makes the records what they were.
    let by_voracious = || {
        sorted.copy_from_slice(&records);
        seconds(|| sorted.voracious_sort())
    };
    let by_rdst = || {
        sorted_too.copy_from_slice(&records);
        seconds(|| sorted_too.radix_sort_builder().with_parallel(false).sort())
    };
    let peers = vec![
        Peer { name: "voracious", rows, is_whole: false, seconds: Box::new(by_voracious) },
        Peer { name: "rdst", rows, is_whole: false, seconds: Box::new(by_rdst) },
        Peer::new("hash-map", rows, || assert!(by_hash_map(&columns), "it is valid")),
    ];
    let name = history.distribution.name().to_owned();
    let input = Input { stage: "double-use", unit: "moves", rows, bytes: None, gas: None, name };
    Ok(in_turns(&input, plan.samples, kernels, peers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_measured_and_verified() {
        let distributions = Distribution::ALL.to_vec();
        let plan = Plan { moves: vec![2_000], distributions, kernels: Vec::new(), samples: 1 };
        let all = double_use(&plan).expect("all are right");
        assert_eq!(all.len(), 3 * KERNELS.len());
        assert!(all.iter().all(|line| line.rows == 2_000 && line.per_second > 0.0 && line.ratio.len() == 3));
        let unknown = Plan { kernels: vec!["guessed".into()], ..plan.clone() };
        assert!(double_use(&unknown).is_err());
        assert!(double_use(&Plan { moves: vec![0], ..plan }).is_err());
    }
}
