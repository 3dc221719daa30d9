//! Results as pages: one file each that needs no network and no script, and reads on a phone and in the dark.

mod bench;
mod verdict;

pub use bench::of as of_bench;
pub use verdict::of as of_verdict;

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --paper: #ffffff; --card: #f4f6f8; --rule: #d5dbe1;
  --one: #2f6fb5; --all: #c2571a; --good: #1f7a3d; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf0; --soft: #9aa5b1; --paper: #14181d; --card: #1e242b;
  --rule: #36404a; --one: #6aa7e8; --all: #f0935a; --good: #63c98a; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; } .card { background: var(--card); border-radius: .5rem;
  padding: .75rem 1rem; flex: 1 1 12rem; } .card b { display: block; font-size: 1.5rem; line-height: 1.3; }
.good { color: var(--good); } .bad { color: var(--bad); } .soft { color: var(--soft); font-size: .85rem; }
.line { margin: .6rem 0; } .line .what { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
.track { background: var(--card); border-radius: .25rem; height: .9rem; } .bar { border-radius: .25rem; height: 100%;
  min-width: 2px; background: var(--all); } .bar.one { background: var(--one); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: .5rem 0; } dt { color: var(--soft); }
dd { margin: 0; } svg { width: 100%; max-width: 30rem; height: auto; display: block; } svg text { fill: var(--soft);
  font: 11px system-ui, sans-serif; } .key::before { content: ''; display: inline-block; width: .8rem; height: .8rem;
  border-radius: .2rem; margin-right: .4rem; background: var(--all); vertical-align: -1px; }
.key.one::before { background: var(--one); } .key { margin-right: 1rem; }
.fault { border-left: 3px solid var(--bad); padding-left: .75rem; margin: .75rem 0; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
";

/// A whole page.
fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// A bar of some share of the whole width.
fn bar(share: f64, is_one: bool) -> Markup {
    html! { div.track { div.bar.one[is_one] style={ "width:" (format!("{:.2}", share * 100.0)) "%" } {} } }
}

#[cfg(test)]
mod tests {
    /// What stands in an attribute, wherever it stands.
    pub fn attributes(page: &str, name: &str) -> Vec<f64> {
        let before = format!("{name}=\"");
        let parts = page.split(&before).skip(1);
        parts.map(|part| part.split('"').next().and_then(|text| text.parse().ok()).expect("a number")).collect()
    }

    /// A page fetches nothing, runs nothing, and shows names as text.
    pub fn assert_self_contained(page: &str) {
        for outside in ["http://", "https://", "src=", "@import", "url(", "<script", "<b>GPU", "onload"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
