//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use crate::output::{grouped, rate, tell};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Rows done so far.
#[derive(Clone, Copy, Default, Debug)]
pub struct Done {
    /// Blocks.
    pub blocks: u64,
    /// Signed transactions.
    pub transactions: u64,
    /// Moves.
    pub moves: u64,
    /// Gas.
    pub gas: u64,
}

/// Shows how far a command has come.
#[derive(Debug)]
pub struct Display {
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
    verb: &'static str,
}

const LINE_EVERY: Duration = Duration::from_secs(10);

impl Display {
    /// `blocks_total`: 0 if not known.
    pub fn new(verb: &'static str, blocks_total: u64) -> Self {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = match blocks_total {
                0 => ProgressBar::new_spinner(),
                n => ProgressBar::new(n),
            };
            bar.set_draw_target(ProgressDrawTarget::stderr());
            let template = match blocks_total {
                0 => "{spinner} {elapsed_precise} {msg}",
                _ => "{wide_bar} {pos}/{len} blocks, {eta} left, {msg}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, started: now, last_line: now, verb }
    }

    /// Shows a state; `note` is added to it.
    pub fn show(&mut self, done: Done, blocks_total: u64, note: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let rates = format!(
            "{}blocks/s, {}tx/s, {}gas/s, {}moves/s{note}",
            rate(done.blocks, seconds),
            rate(done.transactions, seconds),
            rate(done.gas, seconds),
            rate(done.moves, seconds)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(done.blocks);
                bar.set_message(rates);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                let total = if blocks_total > 0 { format!("/{}", grouped(blocks_total)) } else { String::new() };
                let left = match blocks_total.saturating_sub(done.blocks) {
                    n if n > 0 && done.blocks > 0 => {
                        format!(", {:.0} s left", seconds / done.blocks as f64 * n as f64)
                    }
                    _ => String::new(),
                };
                tell(&format!("{}: {}{total} blocks, {rates}{left}", self.verb, grouped(done.blocks)));
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
