//! A run of the benchmark: bars by stage and backend, and how several threads compare with one.

use super::{bar, page};
use crate::cmd::bench::{Results, also_in_words, rate_in_words, ratios_in_words};
use crate::output::grouped;
use manaflow_engine::bench::Line;
use maud::{Markup, html};

/// The page.
pub fn of(results: &Results) -> String {
    let environment = &results.environment;
    let model = environment.processor["model"].as_str().unwrap_or("a processor that does not tell its name");
    let body = html! {
        h1 { "Manaflow benchmark" }
        p { (model) }
        (scores(results))
        @for lines in results.results.chunk_by(|a, b| a.stage == b.stage) { (stage(lines)) }
        (scaling(&results.results))
        @if !results.skipped.is_empty() {
            h2 { "Not measured" }
            ul { @for skipped in &results.skipped {
                li { (skipped.stage) ": " (skipped.what) " – " (skipped.why) }
            } }
        }
        h2 { "Where" }
        dl {
            dt { "Command" } dd { code { "manaflow " (environment.command) } }
            dt { "Blocks" } dd { (environment.input) }
            dt { "Digest" } dd { code { (environment.input_digest) } }
            dt { "Program" } dd { "manaflow " (environment.manaflow) " at " (environment.commit) ", " (environment.compiler) }
            dt { "Processor" } dd { (model) ", " (environment.processor["cores"]) " cores, " (environment.system) }
            @if let Some(cores) = environment.cores_given {
                dt { "Given" } dd { (format!("{cores:.2}")) " cores to " (environment.threads) " busy threads" }
            }
            dt { "Memory" } dd { (format!("{:.1}", environment.memory_bandwidth * 1e-9)) " GB/s read by one thread" }
            @for adapter in &environment.adapters {
                dt { "GPU" } dd { (adapter["name"].as_str().unwrap_or_default()) ", " (adapter["driver"].as_str().unwrap_or_default()) }
            }
        }
        p.soft { "Every kernel gave the right results before it was timed. Rates are medians; ± is half of what lies between
            the quarters of the samples. A ratio is to a peer in the same run, a core each (sequential: the whole client),
            and above 1 where Manaflow is faster." }
    };
    page(&format!("Manaflow benchmark: {model}"), &body)
}

fn scores(results: &Results) -> Markup {
    html! {
        @if let Some(why) = results.without_score() { p.soft { "No score: " (why) "." } }
        div.cards { @for score in &results.scores {
            div.card data-score=(score.score) {
                (score.device) b { (format!("{:.0}", score.score)) }
                span.soft { @for (i, (stage, score)) in score.stages.iter().enumerate() {
                    @if i > 0 { ", " } (stage) " " (format!("{score:.0}"))
                } }
            }
        } }
    }
}

fn stage(lines: &[Line]) -> Markup {
    // Rates of one unit share a scale.
    let most = |unit: &str| lines.iter().filter(|l| l.unit == unit).map(|l| l.per_second).fold(0.0, f64::max);
    html! {
        h2 { (lines[0].stage) }
        p.soft { span.key.one { "one thread" } span.key { "several threads" } }
        @for line in lines {
            div.line data-per-second=(line.per_second) {
                div.what {
                    span { b { (line.kernel) } " " (line.backend) @if line.threads > 1 { ", " (line.threads) " threads" }
                        span.soft { " " (grouped(line.rows)) " " (line.unit) ", " (line.input) } }
                    span { (rate_in_words(line)) span.soft { " ± " (format!("{:.1} %", line.spread() * 100.0)) } }
                }
                (bar(line.per_second / most(&line.unit), line.threads == 1))
                span.soft { @if !line.ratio.is_empty() { "times " (ratios_in_words(line)) }
                    @if !line.ratio.is_empty() && !also_in_words(line).is_empty() { "; " } (also_in_words(line)) }
            }
        }
    }
}

/// How much faster several threads are than one, a kernel a curve: of each stage the one that gains most.
fn scaling(lines: &[Line]) -> Markup {
    let curves: Vec<(&Line, Vec<(usize, f64)>)> = lines
        .iter()
        .filter(|line| line.threads == 1)
        .map(|one| {
            let is_same = |line: &&Line| {
                let name = |l: &Line| [l.stage.clone(), l.kernel.clone(), l.backend.clone(), l.input.clone()];
                name(line) == name(one) && line.rows == one.rows
            };
            let points = lines.iter().filter(is_same).map(|l| (l.threads, l.per_second / one.per_second));
            (one, points.collect::<Vec<_>>())
        })
        .filter(|(_, points)| points.len() > 1)
        .collect();
    let gain = |points: &[(usize, f64)]| points.iter().map(|(_, speedup)| *speedup).fold(0.0, f64::max);
    let best = curves
        .chunk_by(|a, b| a.0.stage == b.0.stage)
        .filter_map(|of_stage| of_stage.iter().max_by(|a, b| f64::total_cmp(&gain(&a.1), &gain(&b.1))));
    let best: Vec<_> = best.collect();
    let threads = best.iter().flat_map(|(_, points)| points).map(|(threads, _)| *threads).max().unwrap_or(1);
    let most = best.iter().map(|(_, points)| gain(points)).fold(threads as f64, f64::max);
    let at = |(n, speedup): (f64, f64)| {
        let across = if threads > 1 { (n - 1.0) / (threads - 1) as f64 } else { 0.0 };
        (40.0 + 300.0 * across, 190.0 - 170.0 * (speedup - 1.0).max(0.0) / (most - 1.0).max(1.0))
    };
    let path = |points: &[(usize, f64)]| {
        let point = |(n, speedup): &(usize, f64)| {
            let (x, y) = at((*n as f64, *speedup));
            format!("{x:.1},{y:.1}")
        };
        points.iter().map(point).collect::<Vec<_>>().join(" ")
    };
    html! { @if !best.is_empty() {
        h2 { "Several threads beside one" }
        svg viewBox="0 0 480 215" role="img" aria-label="How many times as fast as one thread" {
            line x1="40" y1="190" x2="340" y2="190" stroke="var(--rule)" {}
            line x1="40" y1="20" x2="40" y2="190" stroke="var(--rule)" {}
            polyline points=(path(&[(1, 1.0), (threads, threads as f64)])) fill="none" stroke="var(--rule)" stroke-dasharray="4 3" {}
            text x="40" y="207" text-anchor="middle" { "1" }
            text x="340" y="207" text-anchor="middle" { (threads) " threads" }
            text x="34" y="194" text-anchor="end" { "1" }
            text x="34" y="24" text-anchor="end" { (format!("{most:.1}")) }
            @for (one, points) in &best {
                polyline points=(path(points)) fill="none" stroke="var(--all)" stroke-width="2" {}
                @let (_, y) = at((threads as f64, gain(points)));
                text x="346" y=(format!("{:.1}", y + 4.0)) { (one.stage) }
            }
        }
        dl { @for (one, points) in &best {
            dt { (one.stage) " " (one.kernel) }
            dd { @for (i, (n, speedup)) in points.iter().enumerate() {
                @if i > 0 { ", " } (n) ": " (format!("{speedup:.2}"))
            } }
        } }
    } }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_self_contained, attributes};
    use super::*;
    use crate::cmd::bench::Environment;
    use manaflow_engine::bench::{Effort, Score, Skipped};
    use serde_json::Value;
    use std::collections::BTreeMap;

    fn line(stage: &str, threads: usize, per_second: f64) -> Line {
        Line {
            stage: stage.into(),
            kernel: "kernel".into(),
            backend: "cpu".into(),
            threads,
            rows: 1000,
            unit: "rows".into(),
            input: "<script>alert(1)</script>".into(),
            signers: None,
            hints: None,
            per_second,
            bytes_per_second: Some(1e9),
            gas_per_second: Some(1.5e9),
            of_bandwidth: Some(0.25),
            samples: vec![1.0, 1.1, 1.2],
            ratio: BTreeMap::from([("peer".to_owned(), 2.5)]),
        }
    }

    fn results() -> Results {
        let environment = Environment {
            processor: serde_json::json!({ "model": "A & B", "cores": 2 }),
            adapters: vec![serde_json::json!({ "name": "<b>GPU</b>", "driver": "d" })],
            system: "linux",
            manaflow: "0",
            commit: "c",
            compiler: "r",
            time: 1,
            command: "bench --report \"x\"".into(),
            input: "mainnet.mana".into(),
            input_digest: "0x00".into(),
            threads: 2,
            cores_given: Some(1.5),
            memory_bandwidth: 1e10,
        };
        let lines = vec![
            line("hashes", 1, 1234.5),
            line("hashes", 2, 2222.25),
            line("pipeline", 1, 0.1),
            line("pipeline", 2, 0.15),
        ];
        let skipped = vec![Skipped { stage: "hashes", what: "avx512".into(), why: "cannot run here" }];
        let stages = BTreeMap::from([("hashes".to_owned(), 999.6)]);
        let scores = vec![Score { device: "one core", threads: 1, score: 1234.4, stages }];
        Results::new(environment, Effort::Default, lines, skipped, scores)
    }

    #[test]
    fn figures_are_those_of_the_json() {
        let results = results();
        let page = of(&results);
        let json: Value = serde_json::from_str(&results.json()).expect("JSON");
        let figures = |list: &str, key: &str| -> Vec<f64> {
            json[list].as_array().expect("a list").iter().map(|line| line[key].as_f64().expect("a number")).collect()
        };
        assert_eq!(attributes(&page, "data-per-second"), figures("results", "per_second"));
        assert_eq!(attributes(&page, "data-score"), figures("scores", "score"));
        for words in
            ["1.23 krows/s", "peer 2.50", "1500 Mgas/s", "25 % of memory bandwidth", "1234", "hashes 1000", "avx512"]
        {
            assert!(page.contains(words), "{words}");
        }
        // The longest bar of a unit is whole, the others by their share.
        assert!(page.contains("width:100.00%") && page.contains("width:55.55%"), "{page}");
        assert!(page.contains("1: 1.00, 2: 1.80") && page.contains("1: 1.00, 2: 1.50"));
    }

    #[test]
    fn names_are_text_and_nothing_is_fetched() {
        let page = of(&results());
        assert_self_contained(&page);
        assert!(page.contains("A &amp; B") && page.contains("&lt;script&gt;"));
    }
}
