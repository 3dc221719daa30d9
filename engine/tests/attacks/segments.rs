//! Chains in segments: cut anywhere, judged apart, put together in any order, at once or in a tree, they get the report of
//! the whole, byte for byte but for `run`; and what must not be put together is refused by name.

use crate::built::{DEAD, REBORN, chain, mortal};
use crate::kit::{ORDERS, Sample, SegmentRecord, decode_header};
use crate::lies::lies_about;
use alloy_primitives::{Address, B256, U256};
use manaflow_engine::REVM_VERSION;
use manaflow_engine::double_use::Demand;
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::report::{Report, Verdict};
use manaflow_engine::segment::{MergeOptions, checks_of, merge_summaries};
use manaflow_engine::validate::{Checks, Options, Order, Parts, Progress, Validation, summarise, validate};
use manaflow_loader::file::BlockFile;
use manaflow_loader::model::{EarlierHeader, Location, Mark, Value, Version};
use manaflow_loader::summary::{Segment, Summary};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

/// SplitMix64; `MANAFLOW_SEED` repeats one.
struct Random(u64);

impl Random {
    fn new(default: u64) -> Self {
        Self(std::env::var("MANAFLOW_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(default))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

fn options(order: Order, blocks: Option<RangeInclusive<u64>>) -> Options {
    Options {
        order,
        checks: Checks::ALL,
        blocks,
        limit: 1000,
        list_requirements: true,
        version: "1".into(),
        ..Options::default()
    }
}

/// What a report says but for `run`, and its lists.
fn said(v: &Validation) -> (Report, Vec<Demand>, String) {
    let mut report = v.report.clone();
    report.run.seconds = 0.0;
    report.run.cpu_seconds.clear();
    report.run = manaflow_engine::report::Run { order: String::new(), procedure: String::new(), ..report.run };
    report.run.backends.clear();
    report.run.valid_from = None;
    (report, v.requirements.concat(), format!("{:?} {:?}", v.assumed, v.windows))
}

fn summary_of(files: &[&BlockFile], segments: Vec<Segment>) -> Summary {
    let rules = files[0].rules().clone();
    let summary = Summary { manaflow: "1".into(), revm: REVM_VERSION.into(), rules, input: None, segments };
    // Over its bytes: what is not in them is not there.
    Summary::decode(&summary.encode()).expect("what is written is read")
}

fn merged(summaries: Vec<(String, Summary)>) -> (Validation, Summary) {
    let options = MergeOptions { gaps: true, limit: 1000, list_requirements: true, version: "1".into() };
    let (validation, summary) = merge_summaries(summaries, &options).expect("they belong together");
    assert_eq!(Summary::decode(&summary.encode()).as_ref(), Ok(&summary));
    (validation, summary)
}

fn opened(sample: &Sample, folder: &Path) -> Option<BlockFile> {
    let path = folder.join("sample.mana");
    sample.write(&path).ok()?;
    BlockFile::open(&path).ok()
}

/// Ranges that begin at these blocks, the last one ends with the last.
fn ranges(starts: &[u64], last: u64) -> Vec<RangeInclusive<u64>> {
    let ends = starts[1..].iter().map(|start| start - 1).chain([last]);
    starts.iter().copied().zip(ends).map(|(from, to)| from..=to).collect()
}

/// Judges ranges apart and puts them together: flat in a random order, and neighbours in random order as a tree.
fn in_pieces(files: &[&BlockFile], ranges: Vec<RangeInclusive<u64>>, random: &mut Random) -> [Validation; 2] {
    let mut tree = Vec::new();
    for (i, range) in ranges.into_iter().enumerate() {
        let order = ORDERS[random.below(3)];
        let options = options(order, Some(range));
        let (_, segments) = summarise(files, &options, &Progress::default(), None).expect("a verdict");
        tree.push((i.to_string(), summary_of(files, segments)));
    }
    let mut flat = tree.clone();
    for i in (1..flat.len()).rev() {
        flat.swap(i, random.below(i + 1));
    }
    let (flat, flat_summary) = merged(flat);
    while tree.len() > 1 {
        let i = random.below(tree.len() - 1);
        let pair = vec![tree.remove(i), tree.remove(i)];
        let name = format!("({}, {})", pair[0].0, pair[1].0);
        tree.insert(i, (name, merged(pair).1));
    }
    let (tree, tree_summary) = merged(tree);
    assert_eq!(flat_summary.segments, tree_summary.segments, "flat and tree are one summary");
    [flat, tree]
}

#[track_caller]
fn is_whole(files: &[&BlockFile], ranges: Vec<RangeInclusive<u64>>, random: &mut Random) -> Validation {
    let told = format!("{ranges:?}");
    let (first, last) = (*ranges[0].start(), *ranges[ranges.len() - 1].end());
    let whole = validate(files, &options(Order::Forward, Some(first..=last)), &Progress::default()).expect("a verdict");
    for pieces in in_pieces(files, ranges, random) {
        assert_eq!(said(&pieces), said(&whole), "{told}");
    }
    whole
}

/// Some blocks at which pieces begin.
fn starts(first: u64, last: u64, pieces: usize, random: &mut Random) -> Vec<u64> {
    let mut starts = vec![first];
    for _ in 1..pieces {
        starts.push(first + 1 + random.below((last - first) as usize) as u64);
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

#[test]
fn every_cut_of_a_chain_in_two_and_three() {
    let (mut random, folder) = (Random::new(1), tempfile::tempdir().expect("a folder"));
    let file = opened(&chain(), folder.path()).expect("opens");
    for i in 1..8 {
        let whole = is_whole(&[&file], ranges(&[0, i], 7), &mut random);
        assert_eq!((whole.report.verdict, whole.report.state_roots.checked), (Verdict::Valid, 1));
        for j in i + 1..8 {
            is_whole(&[&file], ranges(&[0, i, j], 7), &mut random);
            // Not from genesis: a piece of a piece.
            let part = is_whole(&[&file], ranges(&[i, j], 7), &mut random);
            assert!(part.report.conditional && part.report.requirements.windows == 1);
        }
    }
    is_whole(&[&file], ranges(&[0, 1, 2, 3, 4, 5, 6, 7], 7), &mut random);
}

#[test]
fn a_lie_somewhere_and_a_cut_somewhere() {
    let (mut random, folder) = (Random::new(2), tempfile::tempdir().expect("a folder"));
    let mut invalid = 0;
    for sample in [chain(), chain().cut(2..)] {
        let first = sample.segments[0].start.first;
        let lies = lies_about(&sample);
        let skip = random.below(37);
        for lie in lies.into_iter().skip(skip).step_by(37) {
            let Some(file) = opened(&sample.with(|s| (lie.change)(s)), folder.path()) else { continue };
            let all = options(Order::Forward, None);
            let Ok(whole) = validate(&[&file], &all, &Progress::default()) else { continue };
            invalid += usize::from(whole.report.verdict == Verdict::Invalid);
            let pieces = 2 + random.below(4);
            let ranges = ranges(&starts(first, 7, pieces, &mut random), 7);
            for pieces in in_pieces(&[&file], ranges.clone(), &mut random) {
                assert_eq!(said(&pieces), said(&whole), "{}: {ranges:?}", lie.name);
            }
        }
    }
    assert!(invalid > 20, "{invalid}");
}

fn execapis(data: &Path) -> Sample {
    let chain = data.join("chains/execapis");
    Sample::import(&[&chain.join("chain.rlp")], Some(&chain.join("genesis.json")))
}

#[test]
fn a_real_chain_in_up_to_forty_pieces() {
    let Some(data) = manaflow_datasets::data_for("a_real_chain_in_up_to_forty_pieces") else { return };
    let (mut random, folder) = (Random::new(3), tempfile::tempdir().expect("a folder"));
    let sample = execapis(&data);
    let last = sample.segments[0].blocks.len() as u64 - 1;
    let file = opened(&sample, folder.path()).expect("opens");
    for pieces in [2, 9, 40] {
        let ranges = ranges(&starts(3, last, pieces, &mut random), last);
        assert_eq!(is_whole(&[&file], ranges, &mut random).report.verdict, Verdict::Valid);
    }
    let from_genesis = ranges(&starts(0, last, 3, &mut random), last);
    assert!(!is_whole(&[&file], from_genesis, &mut random).report.conditional);
    let lies = lies_about(&sample.cut(3..));
    for _ in 0..6 {
        let lie = &lies[random.below(lies.len())];
        let Some(file) = opened(&sample.with(|s| (lie.change)(s)), folder.path()) else { continue };
        if validate(&[&file], &options(Order::Forward, Some(3..=last)), &Progress::default()).is_ok() {
            let pieces = 2 + random.below(6);
            is_whole(&[&file], ranges(&starts(3, last, pieces, &mut random), last), &mut random);
        }
    }
}

#[test]
fn snapshots_of_neighbouring_blocks() {
    let file = BlockFile::open(manaflow_datasets::sample("mainnet.mana")).expect("opens");
    let mut random = Random::new(4);
    let mut starts: Vec<u64> = file.segments().iter().map(|s| s.start.first).collect();
    starts.sort_unstable();
    let last = starts[starts.len() - 1];
    let adjoining = starts.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count() as u64;
    assert!(adjoining > 0, "the sample holds neighbours");
    let whole = is_whole(&[&file], ranges(&starts, last), &mut random);
    assert_eq!(whole.report.verdict, Verdict::Valid);
    assert_eq!(whole.report.blocks.segments, starts.len() as u64 - adjoining);
}

/// What an import that begins at `origin` says of the blocks from there on: nothing of what was before, and deaths counted
/// from there.
fn imported_from(whole: &Sample, origin: u64) -> Sample {
    let mut deaths: BTreeMap<Address, u32> = BTreeMap::new();
    let [all] = whole.segments.as_slice() else { panic!("a sample of one segment") };
    let before = all.blocks.iter().take((origin - all.start.first) as usize);
    for m in before.flat_map(|block| &block.transactions).flat_map(|t| &t.moves) {
        if let Value::Account(account) = m.next {
            deaths.insert(m.cell.addr, account.generation);
        }
    }
    let deaths_of = |addr: &Address| deaths.get(addr).copied().unwrap_or(0);
    let opening = Location::new(origin, 0).expect("small");
    let mut sample = whole.cut(origin..);
    sample.segments[0].start.origin = origin;
    for t in sample.segments[0].blocks.iter_mut().flat_map(|block| &mut block.transactions) {
        let is_made = |value: &Value| matches!(value, Value::Account(account) if account.present);
        let made: BTreeSet<Address> =
            t.moves.iter().filter(|m| !is_made(&m.prev) && is_made(&m.next)).map(|m| m.cell.addr).collect();
        for m in &mut t.moves {
            let deaths = deaths_of(&m.cell.addr);
            let is_virgin = match m.cell.mark {
                Mark::Account => false,
                Mark::Storage => m.cell.generation > deaths || made.contains(&m.cell.addr),
                Mark::BlockHash => true,
            };
            if m.intx.is_below(opening) && !(m.intx == Version::Virgin && is_virgin) {
                m.intx = Version::Base(origin);
            }
            let deaths_of_word = if m.cell.mark == Mark::Storage { deaths } else { 0 };
            m.cell.generation = m.cell.generation.saturating_sub(deaths_of_word);
            for value in [&mut m.prev, &mut m.next] {
                if let Value::Account(account) = value {
                    account.generation = account.generation.saturating_sub(deaths);
                }
            }
        }
    }
    sample
}

/// The same blocks as imports of their own, which begin at these blocks, in files.
fn imported_apart(whole: &Sample, starts: &[u64], last: u64) -> Option<(Vec<BlockFile>, Vec<tempfile::TempDir>)> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for range in ranges(starts, last) {
        let (start, end) = (*range.start(), range.end() + 1);
        let part = if start == 0 { whole.clone() } else { imported_from(whole, start) };
        folders.push(tempfile::tempdir().expect("a folder"));
        files.push(opened(&until(&part, end), folders[folders.len() - 1].path())?);
    }
    Some((files, folders))
}

/// The first blocks of the one segment.
fn until(sample: &Sample, end: u64) -> Sample {
    sample.with(|s| {
        let segment = &mut s.segments[0];
        segment.blocks.truncate((end - segment.start.first) as usize);
    })
}

#[test]
fn a_contract_that_dies_and_comes_back_in_other_imports() {
    let (mut random, folder) = (Random::new(5), tempfile::tempdir().expect("a folder"));
    let whole = chain();
    let file = opened(&whole, folder.path()).expect("opens");
    let expected = validate(&[&file], &options(Order::Forward, None), &Progress::default()).expect("a verdict");
    // The last import is cut once more: its own pieces meet each other, and the others.
    let (files, folders) = imported_apart(&whole, &[0, DEAD, REBORN], 7).expect("opens");
    let files: Vec<&BlockFile> = files.iter().collect();
    for starts in [vec![0, DEAD, REBORN], vec![0, DEAD, REBORN, 6], vec![0, 2, DEAD, REBORN, 5, 6]] {
        let together = is_whole(&files, ranges(&starts, 7), &mut random);
        let (got, wanted) = (&together.report, &expected.report);
        assert_eq!(got.verdict, Verdict::Valid, "{:?}", got.invalid);
        assert_eq!(got.final_state, wanted.final_state, "one count of generations");
        assert_eq!((got.conditional, &got.blocks, got.unchecked), (false, &wanted.blocks, wanted.unchecked));
    }
    // Three pieces, of which two are one import, both ways round.
    for starts in [[DEAD, REBORN, 6], [0, DEAD - 1, DEAD]] {
        let pieces: Vec<_> = ranges(&starts, if starts[0] == 0 { REBORN - 1 } else { 7 })
            .into_iter()
            .map(|range| {
                let options = options(Order::Forward, Some(range.clone()));
                let (_, segments) = summarise(&files, &options, &Progress::default(), None).expect("a verdict");
                (format!("{range:?}"), summary_of(&files, segments))
            })
            .collect();
        let [a, b, c] = &pieces[..] else { panic!("three pieces") };
        let left = merged(vec![("ab".into(), merged(vec![b.clone(), a.clone()]).1), c.clone()]);
        let right = merged(vec![("bc".into(), merged(vec![c.clone(), b.clone()]).1), a.clone()]);
        assert_eq!((said(&left.0), &left.1), (said(&right.0), &right.1), "{starts:?}");
        assert_eq!(left.1.segments.len(), 2, "the seam between the imports stays open");
        assert_eq!((left.0.report.verdict, left.0.report.blocks.segments), (Verdict::Valid, 1));
    }
    // It cannot have died more often since block 4 than since block 0: that is found wherever the pieces are put together.
    let wrong = imported_from(&whole, REBORN).with(|s| {
        for t in s.segments[0].blocks.iter_mut().flat_map(|block| &mut block.transactions) {
            for m in t.moves.iter_mut().filter(|m| m.cell.addr == mortal()) {
                m.cell.generation += if m.cell.mark == Mark::Storage { 2 } else { 0 };
                for value in [&mut m.prev, &mut m.next] {
                    if let Value::Account(account) = value {
                        account.generation += 2;
                    }
                }
            }
        }
    });
    let wrong = opened(&wrong, folders[2].path()).expect("opens");
    let together = is_whole(&[files[0], files[1], &wrong], ranges(&[0, DEAD, REBORN], 7), &mut random);
    let blamed = together.report.invalid.iter().any(|f| f.block == REBORN && f.reason == Reason::WrongBefore);
    assert!(together.report.verdict == Verdict::Invalid && blamed, "{:?}", together.report.invalid);
}

#[test]
fn a_real_chain_imported_apart() {
    let Some(data) = manaflow_datasets::data_for("a_real_chain_imported_apart") else { return };
    let (mut random, folder) = (Random::new(8), tempfile::tempdir().expect("a folder"));
    let sample = execapis(&data);
    let last = sample.segments[0].blocks.len() as u64 - 1;
    let file = opened(&sample, folder.path()).expect("opens");
    let whole = validate(&[&file], &options(Order::Forward, None), &Progress::default()).expect("a verdict").report;
    for imports in [2, 5, 40] {
        let apart = starts(0, last, imports, &mut random);
        let (files, _folders) = imported_apart(&sample, &apart, last).expect("opens");
        let files: Vec<&BlockFile> = files.iter().collect();
        // Cut once more, so that imports have pieces of their own.
        let mut cuts = [apart.clone(), starts(0, last, 4, &mut random)].concat();
        cuts.sort_unstable();
        cuts.dedup();
        let together = is_whole(&files, ranges(&cuts, last), &mut random).report;
        let said = |r: &Report| (r.verdict, r.conditional, r.final_state.clone(), r.blocks.clone(), r.invalid.clone());
        assert_eq!(said(&together), said(&whole), "{apart:?}");
    }
    let (lies, mut invalid) = (lies_about(&sample.cut(1..)), 0);
    for _ in 0..8 {
        let lie = &lies[random.below(lies.len())];
        let apart = starts(0, last, 4, &mut random);
        let lied = sample.with(|s| (lie.change)(s));
        let Some((files, _folders)) = imported_apart(&lied, &apart, last) else { continue };
        let files: Vec<&BlockFile> = files.iter().collect();
        if validate(&files, &options(Order::Forward, None), &Progress::default()).is_ok() {
            let cuts = starts(0, last, 5, &mut random);
            let together = is_whole(&files, ranges(&cuts, last), &mut random);
            invalid += usize::from(together.report.verdict == Verdict::Invalid);
        }
    }
    assert!(invalid > 0, "a lie is found");
}

#[test]
fn what_is_done_is_gone_on_from() {
    let (folder, mut stopped) = (tempfile::tempdir().expect("a folder"), 0);
    let sample = chain();
    let lies = lies_about(&sample);
    for n in 0..6 {
        let change = |s: &mut Sample| {
            if n > 1 {
                (lies[n * 61 % lies.len()].change)(s)
            }
        };
        let Some(file) = opened(&sample.with(change), folder.path()) else { continue };
        for order in ORDERS {
            let all = options(order, None);
            let Ok(whole) = validate(&[&file], &all, &Progress::default()) else { continue };
            for blocks in 1..4 {
                let mut kept: Vec<Segment> = Vec::new();
                let mut saves_left = 2;
                // As often as it is interrupted: after the second time that something is written down.
                let done = loop {
                    let done = std::mem::take(&mut kept);
                    let mut save = |segments: Vec<Segment>| {
                        kept = summary_of(&[&file], segments).segments;
                        saves_left -= 1;
                        if saves_left > 0 { Ok(()) } else { Err(manaflow_loader::Error::malformed("x", "x", "stop")) }
                    };
                    let parts = Parts { done, blocks, is_due: &mut || true, save: &mut save };
                    match summarise(&[&file], &all, &Progress::default(), Some(parts)) {
                        Ok(done) => break done,
                        Err(_) => (saves_left, stopped) = (3, stopped + 1),
                    }
                };
                assert_eq!(said(&done.0), said(&whole), "{order:?}, {blocks} blocks");
                // What is done needs no work.
                let mut save = |_: Vec<Segment>| panic!("nothing is new");
                let parts = Parts { done: done.1, blocks, is_due: &mut || true, save: &mut save };
                let again = summarise(&[&file], &all, &Progress::default(), Some(parts)).expect("a verdict");
                assert_eq!(said(&again.0), said(&whole), "{order:?}, {blocks} blocks, again");
            }
        }
    }
    assert!(stopped > 50, "{stopped}");
}

/// Summaries of ranges of a sample, by their first blocks.
fn summaries(sample: &Sample, starts: &[u64], last: u64) -> Vec<(String, Summary)> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = opened(sample, folder.path()).expect("opens");
    let of_range = |range: RangeInclusive<u64>| {
        let name = format!("from {}", range.start());
        let (_, segments) =
            summarise(&[&file], &options(Order::Forward, Some(range)), &Progress::default(), None).expect("a verdict");
        (name, summary_of(&[&file], segments))
    };
    ranges(starts, last).into_iter().map(of_range).collect()
}

#[test]
fn what_does_not_belong_together_is_refused_by_name() {
    let strict = MergeOptions { gaps: false, limit: 1000, list_requirements: false, version: "1".into() };
    let refused = |summaries: Vec<(String, Summary)>| {
        merge_summaries(summaries, &strict).expect_err("they do not belong together").to_string()
    };
    let all = summaries(&chain(), &[0, 2, 5], 7);
    assert_eq!(refused(Vec::new()), "no summary to merge");
    let gap = refused(vec![all[2].clone(), all[0].clone()]);
    assert_eq!(gap, "blocks 2 to 4 are missing: from 0 ends before them, from 5 begins after them");
    let lax = MergeOptions { gaps: true, ..strict.clone() };
    let (apart, summary) = merge_summaries(vec![all[2].clone(), all[0].clone()], &lax).expect("with gaps");
    assert_eq!((apart.report.blocks.segments, apart.report.blocks.count), (2, 5));
    // A gap of one summary's own is no news.
    assert!(merge_summaries(vec![("x".into(), summary.clone())], &strict).is_ok());
    let closed = merge_summaries(vec![("x".into(), summary), all[1].clone()], &strict).expect("the gap is closed");
    assert_eq!(closed.0.report.blocks.segments, 1);
    let overlap = refused(vec![all[0].clone(), summaries(&chain(), &[1], 7).remove(0)]);
    assert_eq!(overlap, "blocks 1 to 1 are there twice: in from 0 and in from 1");
    let twice = refused(vec![all[1].clone(), all[1].clone()]);
    assert!(twice.contains("blocks 2 to 4 are there twice"), "{twice}");
    let mut other = all[1].clone();
    other.1.rules.chain_id += 1;
    let chain = refused(vec![all[0].clone(), other]);
    assert_eq!(chain, "from 2: is of another chain than from 0: the digests of their rules differ");
    let mut other = all[1].clone();
    other.1.revm = "42.0.0".into();
    let evm = refused(vec![all[0].clone(), other]);
    assert_eq!(evm, format!("from 2: was judged by revm 42.0.0, from 0 by revm {REVM_VERSION}"));
    let mut other = all[1].clone();
    other.1.segments[0].heads[0].header = vec![0xc0].into();
    let unreadable = refused(vec![all[0].clone(), other]);
    assert!(unreadable.starts_with("from 2: segment 0, header 0: header:"), "{unreadable}");
}

#[test]
fn checks_of_a_whole_are_those_that_all_ran() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = opened(&chain(), folder.path()).expect("opens");
    let mut parts = Vec::new();
    let of = [&Check::ALL[..], &[Check::Signatures, Check::Blocks], &[Check::Blocks, Check::Conflicts]];
    for (i, (checks, range)) in of.into_iter().zip([0..=2, 3..=5, 6..=7]).enumerate() {
        let options = Options { checks: Checks::of(checks), ..options(Order::Forward, Some(range)) };
        let (_, segments) = summarise(&[&file], &options, &Progress::default(), None).expect("a verdict");
        parts.push((i.to_string(), summary_of(&[&file], segments)));
    }
    let (whole, summary) = merged(parts.clone());
    assert_eq!((whole.report.verdict, checks_of(&summary)), (Verdict::Partial, Checks::of(&[Check::Blocks])));
    assert_eq!((whole.report.checked.blocks, whole.report.checked.signatures), (8, 0));
    let last = parts.remove(2);
    let first = merged(parts.clone()).1;
    let second = merged(vec![parts.remove(1), last.clone()]).1;
    assert_eq!(merged(vec![("a".into(), first), last]).1.segments, summary.segments);
    assert_eq!(merged(vec![parts.remove(0), ("b".into(), second)]).1.segments, summary.segments);
}

/// The built chain as a chain of work under a terminal total difficulty, so that the total is asked for at every block. Its
/// blocks are invalid in other ways, which is no matter here.
fn with_terminal(terminal: u64) -> Sample {
    chain().with(|s| s.rules.terminal_total_difficulty = Some(U256::from(terminal)))
}

#[test]
fn a_seam_tells_the_total_difficulty() {
    let mut random = Random::new(6);
    let sample = with_terminal(1);
    let folder = tempfile::tempdir().expect("a folder");
    let file = opened(&sample, folder.path()).expect("opens");
    let whole = validate(&[&file], &options(Order::Forward, None), &Progress::default()).expect("a verdict").report;
    let told: Vec<_> = whole.invalid.iter().filter(|f| f.reason == Reason::ProofOfStakeTooEarly).collect();
    assert_eq!(told.len(), 7, "difficulty 0 before the terminal total: all blocks but genesis");
    // A piece that does not state it waits, and is told at the seam, however the pieces meet.
    let silent = sample.cut(2..).with(|s| s.segments[0].start.total_difficulty = None);
    let later_folder = tempfile::tempdir().expect("a folder");
    let later = opened(&silent, later_folder.path()).expect("opens");
    let alone = validate(&[&later], &options(Order::Forward, None), &Progress::default()).expect("a verdict").report;
    assert_eq!(alone.unchecked.total_difficulties, 6);
    let first = opened(&until(&sample, 2), folder.path()).expect("opens");
    for starts in [vec![0, 2], vec![0, 2, 3], vec![0, 1, 2, 5, 7]] {
        let together = is_whole(&[&first, &later], ranges(&starts, 7), &mut random).report;
        assert_eq!((together.unchecked, &together.invalid), (whole.unchecked, &whole.invalid), "{starts:?}");
    }
    // A false statement is told too.
    let false_total = sample.cut(2..).with(|s| s.segments[0].start.total_difficulty = Some(U256::from(5)));
    let later = opened(&false_total, later_folder.path()).expect("opens");
    for starts in [vec![0, 2], vec![0, 1, 2, 5, 7]] {
        let together = is_whole(&[&first, &later], ranges(&starts, 7), &mut random).report;
        let found: Vec<_> = together.invalid.iter().filter(|f| f.reason == Reason::WrongTotalDifficulty).collect();
        assert_eq!(found.len(), 1, "{:?}", together.invalid);
        assert_eq!((found[0].block, &found[0].got[..], &found[0].expected[..]), (2, "5", "0"));
    }
}

#[test]
fn a_seam_replaces_the_headers_that_a_piece_brought() {
    let mut random = Random::new(7);
    let sample = chain();
    let folders = [0; 2].map(|_| tempfile::tempdir().expect("a folder"));
    let first = opened(&until(&sample, 3), folders[0].path()).expect("opens");
    let lie = |s: &mut Sample| {
        let EarlierHeader { header, .. } = &mut s.segments[0].start.earlier[0];
        let mut changed = decode_header(header);
        changed.timestamp += 1;
        *header = alloy_rlp::encode(&changed).into();
    };
    let later = opened(&sample.cut(3..).with(lie), folders[1].path()).expect("opens");
    let alone = validate(&[&later], &options(Order::Forward, None), &Progress::default()).expect("a verdict").report;
    assert_eq!((alone.verdict, alone.invalid[0].reason), (Verdict::Invalid, Reason::WrongParentHash));
    let together = is_whole(&[&first, &later], ranges(&[0, 3], 7), &mut random).report;
    assert_eq!((together.verdict, together.conditional), (Verdict::Valid, false), "{:?}", together.invalid);
    // A block that does not follow from the one before it in another file does not follow.
    let other = sample.with(|s| s.header(2, |h| h.extra_data = vec![1].into()));
    let first = opened(&until(&other, 3), folders[0].path()).expect("opens");
    let together = is_whole(&[&first, &later], ranges(&[0, 3], 7), &mut random).report;
    let at_seam: Vec<_> = together.invalid.iter().filter(|f| f.block == 3).map(|f| (f.check, f.reason)).collect();
    assert!(at_seam.contains(&(Check::Blocks, Reason::WrongParentHash)), "{at_seam:?}");
}

#[test]
fn blocks_that_are_there_twice_get_no_verdict() {
    let folders = [0; 2].map(|_| tempfile::tempdir().expect("a folder"));
    let (a, b) = (opened(&chain(), folders[0].path()), opened(&chain().cut(5..), folders[1].path()));
    let (a, b) = (a.expect("opens"), b.expect("opens"));
    let plain = validate(&[&a, &b], &options(Order::Forward, None), &Progress::default()).expect_err("twice");
    let error = summarise(&[&a, &b], &options(Order::Forward, None), &Progress::default(), None).expect_err("twice");
    for error in [plain, error] {
        assert!(error.is_input() && error.to_string().starts_with("blocks 5 to 7 are there twice: in "), "{error}");
    }
    let fast = Options { fail_fast: true, ..options(Order::Forward, None) };
    let error = summarise(&[&a], &fast, &Progress::default(), None).expect_err("unjudged blocks");
    assert!(!error.is_input(), "{error}");
}

/// Segments that nobody else uses: keeps the import of the record type in one place.
#[test]
fn one_segment_taken_apart_into_two_is_one_again() {
    let sample = chain();
    let tail = imported_from(&sample, REBORN).segments.remove(0);
    let both = until(&sample, REBORN).with(|s| s.segments.push(SegmentRecord { ..tail }));
    let folder = tempfile::tempdir().expect("a folder");
    let file = opened(&both, folder.path()).expect("opens");
    let whole = validate(&[&file], &options(Order::Forward, None), &Progress::default()).expect("a verdict").report;
    assert_eq!((whole.verdict, whole.blocks.segments, whole.conditional), (Verdict::Valid, 1, false));
    assert_ne!(whole.final_state.digest, Some(B256::ZERO));
}
