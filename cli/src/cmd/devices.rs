//! `manaflow devices` and `manaflow selftest`: what this machine has, and whether every backend gives the known answers here.

use crate::exit::{Code, Failure};
use crate::output::write_to;
use manaflow_engine::backend::standing::{self, Known, Standing};
use manaflow_engine::gpu::{self, Adapter, Kind};
use manaflow_loader::file::layout::{FORMAT_VERSION, PROTOCOL_VERSION};
use manaflow_loader::summary::SUMMARY_VERSION;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  manaflow devices
  manaflow devices --json";

const SELFTEST_EXAMPLES: &str = "\
Examples:
  manaflow selftest
  manaflow selftest --devices                 GPUs too, which may take seconds

Exit codes: 0 every backend that can run here gives the known answers; 5 one does not.";

/// Arguments of `devices`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `selftest`.
#[derive(clap::Args, Debug)]
#[command(after_help = SELFTEST_EXAMPLES)]
pub struct SelftestArgs {
    /// Test what GPUs do, too.
    #[arg(long)]
    devices: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Instruction sets that kernels here use, and whether this processor has them.
fn instructions() -> Vec<(&'static str, bool)> {
    #[cfg(target_arch = "x86_64")]
    return vec![
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("aes", is_x86_feature_detected!("aes")),
        ("vaes", is_x86_feature_detected!("vaes")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512ifma", is_x86_feature_detected!("avx512ifma")),
        ("avx512vbmi2", is_x86_feature_detected!("avx512vbmi2")),
    ];
    #[cfg(target_arch = "aarch64")]
    return vec![
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("aes", std::arch::is_aarch64_feature_detected!("aes")),
        ("sha3", std::arch::is_aarch64_feature_detected!("sha3")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    Vec::new()
}

/// Those that are there, or those that are not.
fn instructions_in_words(wanted: bool) -> String {
    let names: Vec<_> = instructions().into_iter().filter(|(_, has)| *has == wanted).map(|(name, _)| name).collect();
    none_if_empty(names.join(", "))
}

fn none_if_empty(list: String) -> String {
    if list.is_empty() { "none".into() } else { list }
}

/// The processor's name for itself, where the system tells it.
fn model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

/// The processor and its memory.
pub fn processor_json() -> Value {
    json!({
        "model": model(), "architecture": std::env::consts::ARCH, "cores": cores(), "memory_bytes": memory_bytes(),
        "instructions": instructions().into_iter().map(|(name, has)| (name.to_owned(), Value::from(has)))
            .collect::<serde_json::Map<_, _>>(),
    })
}

/// All GPUs, the one to prefer first.
pub fn adapters_json() -> Vec<Value> {
    gpu::adapters().iter().map(adapter_json).collect()
}

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn kind(adapter: &Adapter) -> &'static str {
    match adapter.kind {
        Kind::Software => "software",
        Kind::Other => "other",
        Kind::Virtual => "virtual",
        Kind::Integrated => "integrated",
        Kind::Discrete => "discrete",
    }
}

fn adapter_json(adapter: &Adapter) -> Value {
    let limits = &adapter.limits;
    json!({
        "name": adapter.name, "driver": adapter.driver, "interface": adapter.interface, "kind": kind(adapter),
        "chosen_for_speed": !adapter.is_software(),
        "binding_bytes": limits.binding_bytes, "buffer_bytes": limits.buffer_bytes, "groups": limits.groups,
        "invocations": limits.invocations, "workgroup_bytes": limits.workgroup_bytes,
        "has_u64": adapter.has_u64, "has_subgroups": adapter.has_subgroups,
    })
}

/// What `--version` prints.
pub fn version() -> String {
    let of = |name, wanted: &str| format!("{name:<13} {wanted}\n");
    let adapters: Vec<String> = gpu::adapters().iter().map(ToString::to_string).collect();
    [
        format!("manaflow {}\n", env!("CARGO_PKG_VERSION")),
        of("commit", env!("MANAFLOW_COMMIT")),
        of("compiler", env!("MANAFLOW_RUSTC")),
        of("compiled for", env!("MANAFLOW_TARGET")),
        of("found here", &instructions_in_words(true)),
        of("GPUs", &none_if_empty(adapters.join("; "))),
        of("block file", &FORMAT_VERSION.to_string()),
        of("summary", &SUMMARY_VERSION.to_string()),
        of("protocol", &PROTOCOL_VERSION.to_string()),
        of("revm", manaflow_engine::REVM_VERSION),
    ]
    .concat()
}

/// Runs `devices`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    let adapters = gpu::adapters();
    let backends = standing::all(!adapters.is_empty());
    let text = if args.json {
        let (processor, adapters) = (processor_json(), adapters.iter().map(adapter_json).collect::<Vec<_>>());
        format!("{}\n", json!({ "version": 1, "processor": processor, "adapters": adapters, "backends": backends }))
    } else {
        let memory = memory_bytes().map_or(String::new(), |b| format!(", {:.1} GiB", b as f64 / f64::from(1 << 30)));
        let model = model().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let mut out = format!("processor     {model}: {} cores{memory}\n", cores());
        let _ =
            writeln!(out, "instructions  {}; not there: {}", instructions_in_words(true), instructions_in_words(false));
        if adapters.is_empty() {
            out.push_str("GPUs          none\n");
        }
        for (i, adapter) in adapters.iter().enumerate() {
            let label = if i == 0 { "GPUs" } else { "" };
            let buffers = adapter.limits.binding_bytes >> 20;
            let u64s = if adapter.has_u64 { "integers of 64 bits" } else { "integers of 32 bits" };
            let subgroups = if adapter.has_subgroups { ", subgroups" } else { "" };
            let never = if adapter.is_software() { "; never chosen for speed" } else { "" };
            let _ = writeln!(
                out,
                "{label:<13} {adapter}: {}, buffers of {buffers} MiB, {u64s}{subgroups}{never}",
                kind(adapter)
            );
        }
        out + &in_words(&backends)
    };
    write_to(Path::new("-"), text.as_bytes())?;
    Ok(code(&backends))
}

/// Runs `selftest`.
pub fn selftest(args: &SelftestArgs) -> Result<Code, Failure> {
    let backends = standing::all(args.devices);
    let text = match args.json {
        true => format!("{}\n", json!({ "version": 1, "backends": backends })),
        false => in_words(&backends),
    };
    write_to(Path::new("-"), text.as_bytes())?;
    Ok(code(&backends))
}

fn code(backends: &[Known]) -> Code {
    let has_failed = backends.iter().any(|known| known.standing == Standing::Failed);
    if has_failed { Code::SelfTest } else { Code::Success }
}

/// A line a stage.
fn in_words(backends: &[Known]) -> String {
    let mut out = String::new();
    for group in backends.chunk_by(|a, b| a.stage == b.stage) {
        let say = |known: &Known| {
            let standing = match known.standing {
                Standing::Proven if known.is_default => "gives the known answers (the default)",
                Standing::Proven => "gives the known answers",
                Standing::Failed => "FAILED its self-test",
                Standing::Unavailable => "cannot run here",
            };
            format!("{} {standing}", known.backend)
        };
        let all: Vec<_> = group.iter().map(say).collect();
        let _ = writeln!(out, "{:<13} {}", group[0].stage, all.join("; "));
    }
    out
}
