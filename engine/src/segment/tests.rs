//! Histories put together from several imports: whatever the cut of each import and the tree of merges, report and summary
//! are those of merging all imports at once, byte for byte. Imports assume accounts, come back after others, bring false
//! headers and totals, name code that is told once; one use may be wrong.

use super::{
    Claim, Closed, Counts, Found, Head, MergeOptions, RootAtEnd, Segment, Validation, Wanted, close, conclude, links,
    merge_summaries, one_waiting, report, wait,
};
use crate::block::Unchecked;
use crate::double_use::SegmentResult;
use crate::double_use::tests::imports::{ADDRESSES, Step, chain, import};
use crate::double_use::tests::{Random, Uses, judge_forward, random::cut, seed};
use crate::reason::{Check, Checks, Fault, Reason};
use crate::report::{Run, StateRoots, Versions};
use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, U256, keccak256};
use manaflow_loader::model::{Location, Version};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::summary::{self, HEADS, Maybe, Summary};
use std::collections::BTreeMap;
use std::mem::discriminant;

/// What an import knows and says besides moves.
struct Import {
    unknown: Vec<Address>,
    total: Option<U256>,
    /// Headers before its origin, oldest first.
    earlier: Vec<Header>,
    checks: Checks,
}

struct World {
    start: u64,
    end: u64,
    rules: ChainRules,
    /// From seven blocks before the start, as far as there are any.
    headers: BTreeMap<u64, Header>,
    imports: BTreeMap<u64, Import>,
    /// (from, to, origin), adjacent, and what is said of all of their blocks.
    spans: Vec<((u64, u64, u64), Uses)>,
    /// Blocks whose transaction names a code that is not what its key says.
    codes: Vec<(u64, u8)>,
}

fn at(block: u64, index: u64) -> Location {
    Location::new(block, index).expect("small")
}

impl World {
    fn new(blocks: u64, is_faulty: bool, random: &mut Random) -> Self {
        let start = [0, 50, 50][random.below(3)];
        let end = start + blocks;
        let steps: Vec<Step> = chain(start..end, random);
        let mut rules = ChainRules::named("mainnet").expect("built in");
        rules.terminal_total_difficulty = Some(U256::from(1000 + random.below(blocks as usize + 2)));
        let mut headers: BTreeMap<u64, Header> = BTreeMap::new();
        for number in start.saturating_sub(HEADS as u64)..end {
            let parent_hash = headers.last_key_value().map(|(_, parent)| parent.hash_slow()).unwrap_or_default();
            let difficulty = U256::from(u64::from(number > 0));
            let header =
                Header { number, parent_hash, difficulty, timestamp: number, gas_limit: 5000, ..Header::default() };
            headers.insert(number, header);
        }
        let mut starts: Vec<u64> =
            (0..random.below(6)).map(|_| start + 1 + random.below(blocks as usize - 1) as u64).collect();
        starts.extend([start, end]);
        starts.sort_unstable();
        starts.dedup();
        let mut world =
            Self { start, end, rules, headers, imports: BTreeMap::new(), spans: Vec::new(), codes: Vec::new() };
        for pair in starts.windows(2) {
            let returns = random.once_in(3) && !world.spans.is_empty();
            let origin = match returns {
                true => world.spans[random.below(world.spans.len())].0.2,
                false if pair[0] == start => start,
                false => pair[0] - random.below(2) as u64,
            };
            let import_of = world.imports.remove(&origin).unwrap_or_else(|| world.import(origin, random));
            let span = (pair[0], pair[1], origin);
            world.spans.push((span, import(&steps, span, &import_of.unknown)));
            world.imports.insert(origin, import_of);
        }
        if is_faulty {
            world.spoil(random);
        }
        world.codes = (0..4).map(|_| (start + random.below(blocks as usize) as u64, random.below(2) as u8)).collect();
        world
    }

    fn import(&self, origin: u64, random: &mut Random) -> Import {
        let before: Vec<Header> = self.headers.range(..origin).map(|(_, header)| header.clone()).collect();
        let mut earlier = before[before.len() - before.len().min(random.below(HEADS + 1))..].to_vec();
        if random.once_in(3)
            && let Some(header) = earlier.last_mut()
        {
            header.timestamp += 1;
        }
        let total = U256::from(1000 + self.headers.range(self.start..origin).count() + random.below(3) / 2);
        let checks = [&Check::ALL[..], &[Check::Conflicts, Check::Hashes], &[Check::Blocks]];
        let unknown = (0..ADDRESSES).filter(|_| origin > 0 && random.once_in(4)).map(Address::repeat_byte);
        Import {
            unknown: unknown.collect(),
            total: (origin == 0).then_some(U256::ZERO).or(Some(total).filter(|_| random.once_in(2))),
            earlier,
            checks: Checks::of(checks[[0, 1, 1, 2][random.below(4)]]),
        }
    }

    /// Makes one use wrong, most likely.
    fn spoil(&mut self, random: &mut Random) {
        let (start, blocks) = (self.start, (self.end - self.start) as usize);
        let span = random.below(self.spans.len());
        let mut uses: Vec<_> = self.spans[span].1.values_mut().flatten().collect();
        if uses.is_empty() {
            return;
        }
        let i = random.below(uses.len());
        let other = uses[random.below(uses.len())].next;
        let spoilt = &mut uses[i];
        match random.below(3) {
            0 if discriminant(&spoilt.prev) == discriminant(&other) => spoilt.prev = other,
            1 => spoilt.intx = Version::Base(start),
            _ => spoilt.intx = Version::At(at(start + random.below(blocks) as u64, random.below(3) as u64)),
        }
    }

    /// The segment of some blocks of a span, judged by themselves.
    fn piece(&self, (from, to): (u64, u64), random: &mut Random) -> Segment {
        let ((_, _, origin), uses) = self.spans.iter().find(|(s, _)| s.0 <= from && to <= s.1).expect("in one span");
        let import = &self.imports[origin];
        let mut result: SegmentResult = judge_forward((from, to, *origin), &cut(uses, from, to), random);
        let head = |header: &Header| {
            let kept = Bytes::from(alloy_rlp::encode(header));
            Head::earlier(&kept, Some(&Bytes::from_static(&[0xc0]))).expect("a header")
        };
        let difficulty_of = |from: u64, to: u64| self.headers.range(from..to).map(|(_, h)| h.difficulty).sum::<U256>();
        let total = import.total.map(|total| total + difficulty_of(*origin, from));
        let own = self.headers.range(*origin..from).map(|(_, header)| header);
        let before: Vec<Head> = import.earlier.iter().chain(own).map(head).collect();
        let earlier = before[before.len().saturating_sub(HEADS)..].to_vec();
        let all: Vec<Head> = self.headers.range(from..to).map(|(_, header)| head(header)).collect();
        let (mut found, mut waiting, mut unchecked) = (Vec::new(), Vec::new(), Unchecked::default());
        for (i, head) in all.iter().enumerate().skip(HEADS).filter(|_| import.checks.has(Check::Blocks)) {
            let (number, before) = (from + i as u64, difficulty_of(from, from + i as u64));
            let window: Vec<&Head> = all[i - HEADS..i].iter().collect();
            let total = total.map(|total| total + before);
            let mut lacks = links(number, head, &window, total, &self.rules, &mut found);
            if lacks.merge_rules > 0 {
                wait(&mut waiting, one_waiting(number, &head.header, Some(&window[HEADS - 1].header), before));
                lacks.merge_rules = 0;
            }
            unchecked += lacks;
        }
        for code in (0..2).filter(|_| import.checks.has(Check::Hashes)) {
            let named = self.codes.iter().filter(|(block, c)| *c == code && (from..to).contains(block)).min();
            let fault = |block| Fault::new(at(block, 1), Check::Hashes, Reason::WrongCode, code, "another");
            found.extend(named.map(|(block, _)| fault(*block)));
        }
        let heads_end = all.len().min(HEADS);
        let heads = all[..heads_end].iter().enumerate().map(|(i, head)| {
            let mut head = head.clone();
            head.kept.checks = import.checks.bits();
            head.kept.total_difficulty = Maybe(total.map(|total| total + difficulty_of(from, from + i as u64)));
            head
        });
        let heads: Vec<Head> = heads.collect();
        let parent_hash = heads[0].header.parent_hash;
        result.parent_hash = (from > 0).then_some(parent_hash);
        let difficulty = difficulty_of(from, to);
        let mut faults = Found::default();
        faults.extend(found);
        let mut segment = Segment {
            checks: import.checks,
            some_checks: import.checks,
            counts: Counts {
                transactions: to - from,
                signatures: to - from,
                moves: 2 * (to - from),
                gas: (from..to).sum(),
            },
            unchecked,
            state_roots: StateRoots::default(),
            root_at_end: RootAtEnd::No,
            closing: at(to - 1, 2),
            difficulty,
            total_after: total.map(|total| total + difficulty),
            claim: total.filter(|_| from > 0).map(|total_difficulty| Claim {
                first: from,
                origin: *origin,
                parent_hash,
                total_difficulty,
                difficulty_before: U256::ZERO,
                is_judged: import.checks.has(Check::Blocks),
            }),
            earlier,
            tail: all[heads_end.max(all.len().saturating_sub(HEADS))..].to_vec(),
            heads,
            waiting,
            found: faults,
            hashes: BTreeMap::new(),
            result,
        };
        segment.name_transactions(|at| (at.index() == 1).then(|| keccak256(at.bits().to_be_bytes())));
        segment
    }

    /// Summaries of all blocks, each of some blocks of one span: cut at the spans' borders and at these blocks.
    fn summaries(&self, cuts: &[u64], random: &mut Random) -> Vec<Summary> {
        let mut all: Vec<u64> = self.spans.iter().map(|(span, _)| span.0).chain(cuts.iter().copied()).collect();
        all.push(self.end);
        all.sort_unstable();
        all.dedup();
        let pieces = all.windows(2).map(|pair| (pair[0], pair[1]));
        pieces.map(|piece| read(self.summary(vec![(&self.piece(piece, random)).into()]))).collect()
    }

    fn summary(&self, segments: Vec<summary::Segment>) -> Summary {
        Summary { manaflow: "1".into(), revm: "1".into(), rules: self.rules.clone(), input: None, segments }
    }
}

/// Over its bytes: what is not in them is not there.
fn read(summary: Summary) -> Summary {
    Summary::decode(&summary.encode()).expect("what is written is read")
}

fn merged(summaries: Vec<Summary>) -> (Validation, Summary) {
    let options = MergeOptions { gaps: true, limit: 10_000, list_requirements: true, version: "1".into() };
    let named = summaries.into_iter().enumerate().map(|(i, summary)| (i.to_string(), summary));
    let (validation, summary) = merge_summaries(named.collect(), &options).expect("they belong together");
    (validation, read(summary))
}

/// All that a report says but for `run`, and the bytes of the summary.
fn said((validation, summary): &(Validation, Summary)) -> (String, Vec<u8>) {
    let run = Run { seconds: 0.0, ..validation.report.run.clone() };
    let report = crate::report::Report { run, ..validation.report.clone() };
    let lists = (&validation.requirements, &validation.assumed, &validation.windows);
    (format!("{report:#?} {lists:#?}"), summary.encode())
}

/// Merges any two, adjoining or not, until one is left.
fn as_a_tree(mut summaries: Vec<Summary>, random: &mut Random) -> (Validation, Summary) {
    while summaries.len() > 1 {
        let a = summaries.swap_remove(random.below(summaries.len()));
        let b = summaries.swap_remove(random.below(summaries.len()));
        summaries.push(merged(vec![a, b]).1);
    }
    merged(summaries)
}

#[test]
fn several_imports_any_cut_any_tree() {
    let mut random = Random(seed(21));
    let (mut sound, mut wrong, mut assumed, mut returned) = (0, 0, 0, 0);
    for round in 0..400 {
        let world = World::new(20, round % 2 == 0, &mut random);
        let whole = merged(world.summaries(&[], &mut random));
        let is_wrong = whole.0.report.invalid.iter().any(|f| f.check == Check::Conflicts);
        (sound, wrong) = (sound + usize::from(!is_wrong), wrong + usize::from(is_wrong));
        assumed += usize::from(whole.0.assumed.iter().any(|(a, _)| !a.declared));
        returned += usize::from(world.imports.len() < world.spans.len());
        for _ in 0..4 {
            let cuts: Vec<u64> = (0..random.below(8)).map(|_| world.start + random.below(20) as u64).collect();
            let mut summaries = world.summaries(&cuts, &mut random);
            random.shuffle(&mut summaries);
            let tree = as_a_tree(summaries.clone(), &mut random);
            assert_eq!(said(&tree), said(&whole), "round {round}, cuts {cuts:?}, as a tree");
            assert_eq!(said(&merged(summaries)), said(&whole), "round {round}, cuts {cuts:?}, at once");
        }
    }
    let seen = format!("{sound} without a culprit, {wrong} with one, {assumed} where a demand became an assumption");
    assert!(
        sound > 100 && wrong > 100 && assumed > 50 && returned > 100,
        "{seen}, {returned} where an import came back"
    );
}

#[test]
fn every_cut_of_several_imports() {
    let mut random = Random(seed(22));
    for round in 0..6 {
        let world = World::new(8, round % 2 == 0, &mut random);
        let whole = merged(world.summaries(&[], &mut random));
        for bits in 0..1_u64 << 7 {
            let cuts: Vec<u64> = (0..7).filter(|i| bits >> i & 1 == 1).map(|i| world.start + 1 + i).collect();
            let tree = as_a_tree(world.summaries(&cuts, &mut random), &mut random);
            assert_eq!(said(&tree), said(&whole), "round {round}, cuts {cuts:?}");
        }
    }
}

/// Why seams stay open: closed early, in a tree, they change who is blamed, what is required, and even the verdict.
#[test]
fn a_seam_closed_early_would_show() {
    let mut random = Random(seed(23));
    let versions = Versions { manaflow: String::new(), protocol: 1, format: 1, revm: String::new() };
    let run = Run {
        seconds: 0.0,
        order: String::new(),
        procedure: String::new(),
        threads: 1,
        cpu_seconds: BTreeMap::new(),
        backends: BTreeMap::new(),
        versions,
        valid_from: None,
        stopped_early: false,
    };
    let (mut verdicts, mut culprits, mut requirements) = (0, 0, 0);
    for _ in 0..1_500 {
        let world = World::new(8, true, &mut random);
        let cuts = [0; 3].map(|_| world.start + random.below(8) as u64);
        let pieces = world.summaries(&cuts, &mut random).into_iter().flat_map(|summary| summary.segments);
        let pieces: Vec<Segment> = pieces.map(|segment| segment.try_into().expect("a segment")).collect();
        let said = |closed: Segment| {
            let wanted = Wanted { limit: 1000, requirements: true };
            let mut closed = Closed(closed);
            let mut exits = closed.take_exits();
            let concluded =
                conclude(closed, &mut exits, &world.rules, wanted, &mut |_| false, |_| None).expect("no state root");
            let Validation { report, requirements, assumed, .. } =
                report(vec![concluded], &world.rules, 1000, run.clone());
            let conflicts: Vec<_> = report.invalid.into_iter().filter(|f| f.check == Check::Conflicts).collect();
            (conflicts, requirements, assumed)
        };
        let mut early = pieces.clone();
        while early.len() > 1 {
            let i = random.below(early.len() - 1);
            let later = early.remove(i + 1);
            early[i] = early[i].clone().merge(later, &world.rules).expect("adjacent");
        }
        let whole = close(pieces, &world.rules).expect("adjacent").remove(0).0;
        let (early, whole) = (said(early.remove(0)), said(whole));
        verdicts += usize::from(early.0.is_empty() != whole.0.is_empty());
        culprits += usize::from(early.0 != whole.0);
        requirements += usize::from((early.1, early.2) != (whole.1, whole.2));
    }
    let seen = format!("other verdicts {verdicts}, culprits {culprits}, requirements {requirements}");
    assert!(verdicts > 0 && culprits > 10 && requirements > 10, "{seen}");
    println!("1500 trees that close seams early: {seen}");
}
