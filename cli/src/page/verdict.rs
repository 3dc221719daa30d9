//! A verdict: what was checked, by whom, how fast, where time went, what failed, and where.

use super::{bar, page};
use crate::output::{grouped, rate};
use crate::words::{checked_rows, unchecked_rows, verdict_in_words};
use manaflow_engine::reason::Check;
use manaflow_engine::report::{Report, Verdict};
use maud::{Markup, html};

/// The page.
pub fn of(report: &Report, checks: &[Check]) -> String {
    let body = html! {
        h1 { span class=(if report.verdict == Verdict::Invalid { "bad" } else { "good" }) { (verdict_in_words(report)) } }
        p { (report.chain.name) ", blocks " (report.blocks.first) " to " (report.blocks.last) }
        div.cards {
            (card("blocks", report.blocks.count, report.run.seconds))
            (card("transactions", report.transactions, report.run.seconds))
            (card("moves", report.moves, report.run.seconds))
            (card("gas", report.gas, report.run.seconds))
        }
        (faults(report))
        h2 { "Checked" }
        dl { @for (check, rows, what) in checked_rows(&report.checked) {
            dt { (check.name()) }
            dd { @if checks.contains(&check) { (grouped(rows)) " " (what) } @else { "not asked for" } }
        }
            dt { "unchecked" }
            dd { @let unchecked = unchecked_rows(&report.unchecked);
                @if unchecked.is_empty() { "nothing" } @else { (unchecked.join(", ")) } }
        }
        h2 { "What it rests on" }
        dl {
            dt { "requirements" } dd { (grouped(report.requirements.cells)) " cells, " (grouped(report.requirements.assumed))
                " assumed, " (grouped(report.requirements.windows)) " segments with an earlier history" }
            @if let Some(digest) = report.requirements_digest { dt { "digest" } dd { code { (digest) } } }
            dt { "rules" } dd { code { (report.chain.rules_digest) } }
            dt { "parent" } dd { code { (report.blocks.parent_hash) } }
            dt { "tip" } dd { code { (report.blocks.tip_hash) } }
            dt { "final state" } dd { (grouped(report.final_state.cells)) " cells"
                @if let Some(digest) = report.final_state.digest { ", digest " code { (digest) } } }
            @if let Some(root) = report.final_state.state_root { dt { "state root" } dd { code { (root) } } }
            @if report.state_roots.checked > 0 { dt { "state roots" }
                dd { (report.state_roots.matched) " of " (report.state_roots.checked) " equal the header's" } }
        }
        (time(report))
        h2 { "How" }
        dl {
            dt { "run" } dd { (format!("{:.2}", report.run.seconds)) " s, " (report.run.order) " order, procedure "
                (report.run.procedure) ", " (report.run.threads) " threads" }
            @for (stage, backend) in &report.run.backends { dt { (stage) } dd { (backend) } }
            dt { "versions" } dd { "manaflow " (report.run.versions.manaflow) ", protocol " (report.run.versions.protocol)
                ", block file " (report.run.versions.format) ", revm " (report.run.versions.revm) }
        }
    };
    page(&format!("Manaflow: {}", verdict_in_words(report)), &body)
}

fn card(what: &str, rows: u64, seconds: f64) -> Markup {
    html! { div.card data-rows=(rows) { (what) b { (grouped(rows)) } span.soft { (rate(rows, seconds)) (what) "/s" } } }
}

/// Where the processors' time went.
fn time(report: &Report) -> Markup {
    let most = report.run.cpu_seconds.values().copied().fold(0.0, f64::max);
    let whole: f64 = report.run.cpu_seconds.values().sum();
    html! { @if most > 0.0 {
        h2 { "Where time went" }
        p.soft { "Seconds of processor time of all threads, by stage." }
        @for (stage, seconds) in &report.run.cpu_seconds {
            div.line data-seconds=(seconds) {
                div.what { b { (stage) } span { (format!("{seconds:.3} s")) span.soft { " " (format!("{:.0} %", seconds / whole * 100.0)) } } }
                (bar(seconds / most, true))
            }
        }
    } }
}

fn faults(report: &Report) -> Markup {
    html! { @if report.invalid_total > 0 {
        h2 { (grouped(report.invalid_total)) " faults" }
        @for fault in &report.invalid {
            div.fault {
                div { b { (fault.check.name()) ": " (fault.reason.name()) } " at block " (fault.block) ", transaction " (fault.index)
                    @if let Some(place) = fault.move_index { ", move " (place) } }
                @if let Some(cell) = &fault.cell { div.soft { "cell " (cell) } }
                @if let Some(hash) = fault.transaction { div.soft { "transaction " (hash) } }
                div { "got " code { (fault.got) } ", expected " code { (fault.expected) } }
            }
        }
        @let more = report.invalid_total - report.invalid.len() as u64;
        @if more > 0 { p { "and " (grouped(more)) " more (" code { "--limit" } ")" } }
    } }
}
