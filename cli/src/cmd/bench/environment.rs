//! Where a run was made, so that figures can be believed and compared.

use crate::cmd::devices;
use crate::exit::Failure;
use manaflow_engine::bench::clock::cores_given;
use manaflow_engine::bench::memory_bandwidth;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Machine, program, input and command.
#[derive(Debug, Serialize)]
pub struct Environment {
    /// As `devices` says it.
    pub processor: Value,
    /// As `devices` says it.
    pub adapters: Vec<Value>,
    /// The operating system.
    pub system: &'static str,
    /// Of the program.
    pub manaflow: &'static str,
    /// It was built from.
    pub commit: &'static str,
    /// It was built by.
    pub compiler: &'static str,
    /// Seconds since 1970.
    pub time: u64,
    /// What was asked for.
    pub command: String,
    /// The blocks.
    pub input: String,
    /// Keccak-256 of the file that holds them.
    pub input_digest: String,
    /// Most worker threads.
    pub threads: usize,
    /// How many cores the machine gave to as many busy threads, before the run.
    pub cores_given: Option<f64>,
    /// Bytes that one thread reads from memory in a second.
    pub memory_bandwidth: f64,
}

impl Environment {
    /// Looks at this machine, for about a second.
    pub fn here(path: &Path, input: &Path, threads: &[usize]) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|e| Failure::Input(format!("{}: {e}", path.display())))?;
        let threads = threads.iter().copied().max().unwrap_or(1);
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let one =
            rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|e| Failure::Threads(e.to_string()))?;
        Ok(Self {
            processor: devices::processor_json(),
            adapters: devices::adapters_json(),
            system: std::env::consts::OS,
            manaflow: env!("CARGO_PKG_VERSION"),
            commit: env!("MANAFLOW_COMMIT"),
            compiler: env!("MANAFLOW_RUSTC"),
            time: since.map_or(0, |since| since.as_secs()),
            command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            input: input.display().to_string(),
            input_digest: alloy_primitives::keccak256(bytes).to_string(),
            threads,
            cores_given: cores_given(threads),
            memory_bandwidth: one.install(|| memory_bandwidth(3)),
        })
    }

    /// Some lines.
    pub fn in_words(&self) -> String {
        let given = self.cores_given.map_or(String::new(), |cores| {
            format!("; the machine gave {cores:.2} cores to {} busy threads", self.threads)
        });
        let model = self.processor["model"].as_str().unwrap_or("a processor that does not tell its name");
        let gigabytes = self.memory_bandwidth * 1e-9;
        format!(
            "processor  {model}{given}\nmemory     {gigabytes:.1} GB/s read by one thread\nprogram    manaflow {} at {}, {}\n\
             blocks     {}\n",
            self.manaflow, self.commit, self.compiler, self.input
        )
    }
}
