//! Results in words, as JSON, and as lists: the same for every command that comes to a verdict.

use crate::exit::{Code, Failure};
use crate::output::{check_output, grouped, rate, tell, write_to};
use manaflow_engine::reason::Check;
use manaflow_engine::report::{Checked, Report, UncheckedCounts, Verdict};
use manaflow_engine::segment::Validation;
use manaflow_engine::solo::check::{say, say_version};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where results go.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// Whether the report is JSON.
    pub json: bool,
    /// The report's file; - is standard output.
    pub report: &'a Path,
    /// The requirements' file; - is standard output.
    pub requirements: Option<&'a Path>,
    /// The page's file; - is standard output.
    pub page: Option<&'a Path>,
    /// Files of summaries, which are none of the above.
    pub summaries: Vec<&'a Path>,
}

impl Outputs<'_> {
    /// Refuses what cannot be written, before any work is done.
    pub fn check(&self, inputs: &[PathBuf]) -> Result<(), Failure> {
        let results = [Some(self.report), self.requirements, self.page];
        for output in results.into_iter().flatten().chain(self.summaries.iter().copied()) {
            check_output(output, inputs)?;
        }
        let texts = [("report", Some(self.report)), ("requirements", self.requirements), ("page", self.page)];
        for (i, (what, path)) in texts.iter().enumerate() {
            let Some(path) = path else { continue };
            if let Some((other, _)) = texts[..i].iter().find(|(_, other)| *other == Some(*path)) {
                let path = if path.as_os_str() == "-" { "standard output".into() } else { path.display().to_string() };
                return Err(Failure::Usage(format!("{path}: cannot hold both {other} and {what}")));
            }
        }
        for (i, path) in self.summaries.iter().enumerate() {
            if path.as_os_str() == "-" || path.metadata().is_ok_and(|m| !m.is_file()) {
                return Err(Failure::Usage(format!("{}: is no regular file, which a summary is", path.display())));
            }
            let name = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            let others = results.into_iter().flatten().chain(self.summaries[..i].iter().copied());
            if others.into_iter().any(|other| name(other) == name(path)) {
                return Err(Failure::Usage(format!("{}: cannot hold two results", path.display())));
            }
        }
        Ok(())
    }
}

/// Writes report and requirements; the exit code is the verdict's.
pub fn emit(validation: &Validation, checks: &[Check], outputs: &Outputs<'_>) -> Result<Code, Failure> {
    let report = &validation.report;
    if let Some(path) = outputs.requirements {
        write_to(path, requirement_lines(validation).as_bytes())?;
    }
    if let Some(path) = outputs.page {
        write_to(path, crate::page::of_verdict(report, checks).as_bytes())?;
    }
    let text = if outputs.json {
        let mut json = serde_json::to_string(report).map_err(|e| Failure::Input(e.to_string()))?;
        json.push('\n');
        json
    } else {
        in_words(report, checks)
    };
    write_to(outputs.report, text.as_bytes())?;
    if report.verdict == Verdict::Partial {
        tell("partial: not all checks ran over all blocks");
    }
    Ok(if report.verdict == Verdict::Invalid { Code::Invalid } else { Code::Success })
}

pub fn reverse_in_words(report: &Report) -> String {
    let blocks = &report.blocks;
    match report.run.valid_from {
        // Segments may lie apart: what is between them is nobody's claim.
        Some(from) if from == blocks.first => format!(
            "blocks {from}..{} ({} in {} segments) are valid, given {} requirements",
            blocks.last,
            grouped(blocks.count),
            grouped(blocks.segments),
            grouped(report.requirements.cells + report.requirements.assumed)
        ),
        Some(from) => format!("the blocks judged in {from}..{} are valid, given their requirements", blocks.last),
        None if report.run.stopped_early => "stopped before it was known from which block on all is valid".into(),
        None => "no block from the tip back is valid".into(),
    }
}

/// Requirements as JSON lines: what segments take for granted of the chain before them, then cells, sorted within a segment.
fn requirement_lines(validation: &Validation) -> String {
    let mut out = String::new();
    for window in &validation.windows {
        let line = serde_json::json!({
            "window": window.first, "origin": window.origin, "parent_hash": window.parent_hash,
            "total_difficulty": window.total_difficulty.map(|d| format!("{d:#x}")),
        });
        let _ = writeln!(out, "{line}");
    }
    for demand in validation.requirements.iter().flatten() {
        let line = serde_json::json!({
            "cell": demand.cell.to_string(), "mode": if demand.write { "write" } else { "read" },
            "intx": say_version(demand.intx), "prev": say(&demand.prev),
            "first": {"block": demand.first.block(), "index": demand.first.index()}, "origin": demand.origin,
        });
        let _ = writeln!(out, "{line}");
    }
    for (assumption, first) in &validation.assumed {
        let line = serde_json::json!({
            "cell": assumption.cell.to_string(), "assumed": true, "origin": assumption.origin,
            "first": {"block": first.block(), "index": first.index()},
        });
        let _ = writeln!(out, "{line}");
    }
    out
}

/// The verdict, and whether it has a condition.
pub fn verdict_in_words(report: &Report) -> String {
    let verdict = match report.verdict {
        Verdict::Valid => "valid",
        Verdict::Partial => "partial",
        Verdict::Invalid => "invalid",
    };
    format!("{verdict}{}", if report.conditional { ", if the requirements hold" } else { "" })
}

/// Checks, the rows that each went over, and what these are.
pub fn checked_rows(c: &Checked) -> [(Check, u64, &'static str); 5] {
    [
        (Check::Signatures, c.signatures, "signatures"),
        (Check::Hashes, c.hashes, "blocks' roots and hashes"),
        (Check::Execution, c.execution, "transactions, system transactions included"),
        (Check::Conflicts, c.conflicts, "moves"),
        (Check::Blocks, c.blocks, "blocks' rules"),
    ]
}

/// What the input never allowed to check, where there is any.
pub fn unchecked_rows(u: &UncheckedCounts) -> Vec<String> {
    let unchecked = [
        (u.receipts_roots, "receipts roots"),
        (u.state_roots, "state roots"),
        (u.parent_headers, "parent headers"),
        (u.ommer_lists, "ommer lists"),
        (u.ommer_rules, "ommer rules"),
        (u.total_difficulties, "total difficulties"),
        (u.others, "other rules"),
    ];
    unchecked.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", grouped(*n))).collect()
}

fn in_words(report: &Report, checks: &[Check]) -> String {
    let mut out = String::new();
    let b = &report.blocks;
    let _ = writeln!(out, "verdict       {}", verdict_in_words(report));
    let genesis = report.chain.genesis.map_or("not stated".into(), |g| format!("{g:#x}"));
    let _ = writeln!(out, "chain         {} (id {}), genesis {genesis}", report.chain.name, report.chain.id);
    let segments = if b.segments == 1 { "1 segment".into() } else { format!("{} segments", grouped(b.segments)) };
    let _ = writeln!(out, "blocks        {} from {} to {}, {segments}", grouped(b.count), b.first, b.last);
    let _ = writeln!(out, "parent        {:#x}", b.parent_hash);
    let _ = writeln!(out, "tip           {:#x}", b.tip_hash);
    let (transactions, moves) = (grouped(report.transactions), grouped(report.moves));
    let _ = writeln!(out, "rows          {transactions} transactions, {moves} moves, {} gas", grouped(report.gas));
    for (check, rows, what) in checked_rows(&report.checked) {
        let label = if check == Check::Signatures { "checked" } else { "" };
        if checks.contains(&check) {
            let _ = writeln!(out, "{label:<13} {:<11} {} {what}", check.name(), grouped(rows));
        } else {
            let _ = writeln!(out, "{label:<13} {:<11} not asked for", check.name());
        }
    }
    let s = &report.state_roots;
    if s.checked > 0 {
        let _ = writeln!(out, "              state roots {} of {} equal the header's", s.matched, s.checked);
    }
    let unchecked = unchecked_rows(&report.unchecked);
    let unchecked = if unchecked.is_empty() { "nothing".into() } else { unchecked.join(", ") };
    let _ = writeln!(out, "unchecked     {unchecked}");
    let r = &report.requirements;
    let _ = writeln!(
        out,
        "requires      {} cells ({} of them block hashes), {} assumed, {} segments with an earlier history",
        grouped(r.cells),
        grouped(r.hashes),
        grouped(r.assumed),
        grouped(r.windows)
    );
    if r.proven > 0 {
        let all = if r.proven == r.cells { "all of them" } else { "the rest as the source says" };
        let _ = writeln!(out, "              {} cells proven by state roots of headers, {all}", grouped(r.proven));
    }
    if let Some(digest) = report.requirements_digest {
        let _ = writeln!(out, "              digest {digest:#x}");
    }
    let f = &report.final_state;
    let digest = f.digest.map_or(String::new(), |d| format!(", digest {d:#x}"));
    let _ = writeln!(out, "final state   {} cells{digest}", grouped(f.cells));
    if let Some(root) = f.state_root {
        let _ = writeln!(out, "state root    {root:#x}");
    }
    let run = &report.run;
    let _ = writeln!(
        out,
        "run           {:.2} s, {} order, procedure {}, {} threads: {}blocks/s, {}tx/s, {}gas/s, {}moves/s",
        run.seconds,
        run.order,
        run.procedure,
        run.threads,
        rate(b.count, run.seconds),
        rate(report.transactions, run.seconds),
        rate(report.gas, run.seconds),
        rate(report.moves, run.seconds)
    );
    if report.invalid_total > 0 {
        let _ = writeln!(out, "\n{} faults", grouped(report.invalid_total));
        for fault in &report.invalid {
            let cell = fault.cell.as_ref().map_or(String::new(), |cell| format!(" {cell}"));
            let _ = writeln!(
                out,
                "{}:{}{cell} {}: {}: got {}, expected {}",
                fault.block,
                fault.index,
                fault.check.name(),
                fault.reason.name(),
                fault.got,
                fault.expected
            );
        }
        let more = report.invalid_total - report.invalid.len() as u64;
        if more > 0 {
            let _ = writeln!(out, "and {} more (--limit)", grouped(more));
        }
    }
    out
}
