//! What counts as observed: a test for each row of the table in `PROTOCOL.md` section 3, named as the row is.
//!
//! Each test records a small block by hand and claims the exact list of moves; then the same list must satisfy the checker,
//! and must not with any one move taken away or another added. Recording and checking ask one EVM, so what is claimed here is
//! written out by hand from the rules: values too, but for the gas used.
//!
//! `compared` says each comparison of a claim with what execution gave, fault by fault; `declared` what is looked up and left.

mod accounts;
mod code;
mod compared;
mod contracts;
mod declared;
mod forks;
mod system;
mod world;

/// Names of the tests of a file, in order.
fn tests_of(source: &'static str) -> impl Iterator<Item = &'static str> {
    source.split("#[test]\nfn ").skip(1).map(|rest| &rest[..rest.find('(').unwrap()])
}

#[test]
fn table_has_these_rows() {
    let text = include_str!("../../PROTOCOL.md");
    let section = text.split("### What counts as observed").nth(1).unwrap();
    let section = section.split("\n#").next().unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix("` |")?.rsplit('`').next());
    let mut in_table: Vec<&str> = names.collect();
    let sources = [include_str!("accounts.rs"), include_str!("contracts.rs"), include_str!("system.rs")];
    let mut in_tests: Vec<&str> = sources.into_iter().flat_map(tests_of).collect();
    in_table.sort_unstable();
    in_tests.sort_unstable();
    assert_eq!(in_table, in_tests);
}
