//! Prints how Manaflow compares with plain revm and with the sequential baseline, from one run.
//!
//! Lanes take turns, so that what a shared machine does to one it does to the other; the ratio is taken within each
//! repetition. CPU time is the kernel's count of time on a core: ratios of it are not
//! moved by neighbours that take the core away, only by those that share caches.

mod import;

use clap::Parser as _;
use manaflow_benches::ALLOCATOR_NAME;
use manaflow_benches::dataset::Dataset;
use manaflow_engine::backend::execution::Backend;
use manaflow_engine::backend::{Backends, Forced};
use manaflow_engine::bench::clock::{self, Sample, least_and_median};
use manaflow_engine::bench::lanes::{self, Outcomes};
use manaflow_engine::bench::sequential;
use manaflow_engine::reason::Check;
use manaflow_engine::validate::Checks;
use manaflow_loader::file::BlockFile;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Samples of a lane: of each repetition one for all blocks, or one a block.
struct Lane {
    name: &'static str,
    repetitions: Vec<Vec<Sample>>,
}

fn sum(samples: &[Sample]) -> Sample {
    let cpu = samples.iter().map(|s| s.cpu).sum();
    Sample { wall: samples.iter().map(|s| s.wall).sum(), cpu }
}

impl Lane {
    fn new(name: &'static str) -> Self {
        Self { name, repetitions: Vec::new() }
    }

    fn totals(&self) -> impl Iterator<Item = Sample> {
        self.repetitions.iter().map(|samples| sum(samples))
    }

    /// The least that each block took, added up: no neighbour disturbs a block in every repetition.
    fn sum_of_minima(&self) -> f64 {
        let blocks = self.repetitions[0].len();
        (0..blocks).map(|i| least_and_median(self.repetitions.iter().map(|samples| samples[i].wall)).0).sum()
    }

    fn print(&self) {
        let (wall_min, wall) = least_and_median(self.totals().map(|s| s.wall));
        print!("  {:30} wall {:7.1} ms min, {:7.1} median", self.name, wall_min * 1e3, wall * 1e3);
        if self.totals().all(|s| s.cpu.is_some()) {
            let (min, median) = least_and_median(self.totals().filter_map(|s| s.cpu));
            let cores = least_and_median(self.totals().filter_map(|s| Some(s.cpu? / s.wall))).1;
            print!("; CPU {:7.1} min, {:7.1} median; had {cores:.2} cores", min * 1e3, median * 1e3);
        }
        println!();
    }
}

fn print_ratio(text: &str, above: &Lane, below: &Lane, of: impl Fn(&Sample) -> Option<f64>) {
    let pairs = above.totals().zip(below.totals());
    let Some(ratios) = pairs.map(|(a, b)| Some(of(&a)? / of(&b)?)).collect::<Option<Vec<f64>>>() else { return };
    let (min, median) = least_and_median(ratios.iter().copied());
    let least = |lane: &Lane| least_and_median(lane.totals().filter_map(|s| of(&s))).0;
    println!("  {text}: median {median:.3}, least {min:.3}, ratio of minima {:.3}", least(above) / least(below));
}

/// How Manaflow compares with plain revm and with the sequential baseline, from one run.
#[derive(clap::Parser)]
struct Arguments {
    /// Turns of all lanes.
    #[arg(default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Where the samples go, as CSV.
    file: Option<PathBuf>,
    /// Only these comparisons; may be given more than once.
    #[arg(long, value_enum)]
    only: Vec<Comparison>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Comparison {
    Execution,
    Validation,
    Import,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("ratios: {e}");
            ExitCode::from(3)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let is_asked = |comparison| arguments.only.is_empty() || arguments.only.contains(&comparison);
    let repetitions = arguments.repetitions as usize;
    let mut lanes = Vec::new();
    if is_asked(Comparison::Execution) || is_asked(Comparison::Validation) {
        lanes.extend(mainnet(repetitions, is_asked)?);
    }
    if is_asked(Comparison::Import) {
        lanes.extend(import::all(repetitions)?);
    }
    if let Some(path) = &arguments.file {
        let mut text = String::from("lane,repetition,wall_s,cpu_s\n");
        for lane in &lanes {
            for (i, s) in lane.totals().enumerate() {
                let cpu = s.cpu.map_or(String::new(), |cpu| format!("{cpu:.6}"));
                writeln!(text, "{},{i},{:.6},{cpu}", lane.name, s.wall).map_err(|e| e.to_string())?;
            }
        }
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Lanes over mainnet blocks.
fn mainnet(repetitions: usize, is_asked: impl Fn(Comparison) -> bool) -> Result<Vec<Lane>, String> {
    let dataset = Dataset::mainnet()?;
    let file = &dataset.file;
    let codes = lanes::codes(file)?;
    let blocks = sequential::blocks(file, &codes)?;
    let transactions: usize = blocks.iter().map(|b| b.envelopes.len()).sum();
    let moves = file.move_count();
    println!(
        "{}: {} blocks, {transactions} transactions, {moves} moves; {ALLOCATOR_NAME}, {repetitions} repetitions",
        dataset.origin,
        blocks.len(),
    );
    let mut lanes = Vec::new();
    if is_asked(Comparison::Execution) {
        lanes.extend(execution(file, &blocks, codes, repetitions)?);
    }
    if is_asked(Comparison::Validation) {
        lanes.extend(validation(file, &blocks, repetitions.div_ceil(2))?);
    }
    Ok(lanes)
}

fn execution(
    file: &BlockFile,
    blocks: &[sequential::Block],
    codes: std::sync::Arc<manaflow_engine::solo::code::CodeTable>,
    repetitions: usize,
) -> Result<Vec<Lane>, String> {
    let mut checker = lanes::checker(blocks, codes);
    let names = ["plain revm", "from moves", "from moves and outcomes", "from moves, threaded"];
    let mut lanes = names.map(Lane::new);
    let gas = sequential::execute(blocks, &mut sequential::states(blocks))?;
    assert_eq!(lanes::execute(file, blocks, &mut checker, Outcomes::Decode)?, gas, "gas of all blocks");
    // The lanes take turns by the block, a third of the blocks apart: all meet the same noise, and none finds the caches
    // warm from another.
    let count = blocks.len();
    for _ in 0..repetitions {
        let mut states = sequential::states(blocks);
        let mut got = [0; 4];
        let nothing = Sample { wall: 0., cpu: None };
        let mut samples = names.map(|_| vec![nothing; count]);
        for turn in 0..count {
            for lane in 0..names.len() {
                let i = (turn + lane * count / names.len()) % count;
                let block = std::slice::from_ref(&blocks[i]);
                checker.machine().set_backend(if lane == 3 { Backend::Threaded } else { Backend::Plain });
                let (gas, sample) = clock::thread(|| match lane {
                    0 => sequential::execute(block, &mut states[i..=i]),
                    2 => lanes::execute(file, block, &mut checker, Outcomes::Decode),
                    _ => lanes::execute(file, block, &mut checker, Outcomes::Ready),
                });
                got[lane] += gas?;
                samples[lane][i] = sample;
            }
        }
        assert_eq!(got, [gas; 4], "gas of all blocks");
        lanes.iter_mut().zip(samples).for_each(|(lane, samples)| lane.repetitions.push(samples));
    }
    println!("execution on one core, {:.0} Mgas", gas as f64 * 1e-6);
    lanes.iter().for_each(Lane::print);
    let [plain, from_moves, and_outcomes, threaded] = &lanes;
    for (name, most, lane) in [
        ("from moves", "1.15", from_moves),
        ("from moves and outcomes", "1.15", and_outcomes),
        ("from moves, threaded", "0.80", threaded),
    ] {
        println!("  {name} / plain revm (at most {most})");
        let ratio = lane.sum_of_minima() / plain.sum_of_minima();
        println!("    each block at its least: {ratio:.3}");
        print_ratio("  CPU", lane, plain, |s| s.cpu);
        print_ratio("  wall", lane, plain, |s| Some(s.wall));
    }
    Ok(lanes.into())
}

fn validation(file: &BlockFile, blocks: &[sequential::Block], repetitions: usize) -> Result<Vec<Lane>, String> {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| e.to_string());
    let (two, one) = (pool(2)?, pool(1)?);
    let backends = Backends::choose(Forced::default()).map_err(|e| e.to_string())?;
    let execution = Checks::of(&[Check::Execution]);
    let names =
        ["sequential baseline", "validation, two threads", "validation, one thread", "checks execution, one thread"];
    let mut lanes = names.map(Lane::new);
    let gas = sequential::validate(blocks, &mut sequential::states(blocks))?;
    for i in 0..repetitions {
        let mut order = [0, 1, 2, 3];
        if i % 2 == 1 {
            order.reverse();
        }
        for lane in order {
            let mut states = if lane == 0 { sequential::states(blocks) } else { Vec::new() };
            let (got, sample) = clock::process(|| match lane {
                0 => sequential::validate(blocks, &mut states),
                // Each opens the file anew: what has been verified is remembered.
                1 => two.install(|| reopened(file, Checks::ALL, backends)),
                2 => one.install(|| reopened(file, Checks::ALL, backends)),
                _ => one.install(|| reopened(file, execution, backends)),
            });
            assert_eq!(got?, gas, "gas of all blocks");
            lanes[lane].repetitions.push(vec![sample]);
        }
    }
    println!("validation of the whole file, all checks");
    lanes.iter().for_each(Lane::print);
    let [baseline, two, one, _] = &lanes;
    print_ratio("baseline / validation on two threads, wall (at least 1.7)", baseline, two, |s| Some(s.wall));
    print_ratio("baseline / validation on two threads, CPU (work alone, 1 is equal)", baseline, two, |s| s.cpu);
    print_ratio("baseline / validation on one thread, wall", baseline, one, |s| Some(s.wall));
    Ok(lanes.into())
}

fn reopened(file: &BlockFile, checks: Checks, backends: Backends) -> Result<u64, String> {
    let file = BlockFile::open(file.path()).map_err(|e| e.to_string())?;
    lanes::validate_file(&file, checks, backends)
}
