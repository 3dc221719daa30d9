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

/// How long sources will take whose sizes are known: by the bytes read since the first look.
#[derive(Clone, Copy, Default, Debug)]
pub struct TimeLeft {
    first: Option<(Instant, u64)>,
}

impl TimeLeft {
    /// In words, to be added to a state; nothing as long as nothing can be said.
    pub fn note(&mut self, bytes_read: u64, bytes_total: u64) -> String {
        // What an import that goes on passes over says nothing about the rest.
        let (since, before) = *self.first.get_or_insert_with(|| (Instant::now(), bytes_read));
        self::left(since.elapsed(), bytes_read.saturating_sub(before), bytes_read, bytes_total)
    }
}

fn left(elapsed: Duration, bytes_new: u64, bytes_read: u64, bytes_total: u64) -> String {
    if bytes_total == 0 || bytes_new == 0 {
        return String::new();
    }
    let percent = 100.0 * bytes_read as f64 / bytes_total as f64;
    let seconds = elapsed.as_secs_f64() / bytes_new as f64 * bytes_total.saturating_sub(bytes_read) as f64;
    let time = match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    };
    format!(", {percent:.1}% read, about {time} left")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_by_what_was_read_since_the_first_look() {
        let said = |seconds, new, read, total| left(Duration::from_secs(seconds), new, read, total);
        assert_eq!(said(10, 0, 500, 1000), "");
        assert_eq!(said(10, 5, 0, 0), "");
        assert_eq!(said(10, 250, 500, 1000), ", 50.0% read, about 20 s left");
        assert_eq!(said(60, 10, 100, 1000), ", 10.0% read, about 90 min left");
        assert_eq!(said(3600, 10, 10, 30), ", 33.3% read, about 2.0 h left");
        assert_eq!(said(1, 10, 1010, 1000), ", 101.0% read, about 0 s left", "a file that grows while it is read");
    }
}
