//! Lies about what a file claims besides its blocks: chain rules, what is said of a segment before its blocks, code.

use super::{Draw, Foretold, Lie, Sample, Scene, Told, What, envelope};
use alloy_consensus::{Header, Transaction};
use alloy_primitives::{Address, B256, Bytes, U256};
use manaflow_engine::reason::{Check, Reason};
use manaflow_loader::model::{Location, Value};
use manaflow_loader::rules::ChainRules;

/// Lies about a whole sample.
pub fn about(scene: &Scene<'_>, draw: &mut Draw, lies: &mut Vec<Lie>) {
    rules(scene, lies);
    segments(scene, lies);
    codes(scene, draw, lies);
}

type Edit = fn(&mut ChainRules);

/// A field that holds the first block or time of a fork: later by one, and never or from the beginning.
macro_rules! activation {
    ($field:ident, $name:literal) => {
        [
            (concat!("rules: ", $name, " + 1"), (|r| r.$field = r.$field.map(|at| at + 1)) as Edit),
            (concat!("rules: ", $name, " never or always"), (|r| r.$field = r.$field.xor(Some(0))) as Edit),
        ]
    };
}

fn rules(scene: &Scene<'_>, lies: &mut Vec<Lie>) {
    let rules = &scene.sample.rules;
    let mut add = |kind, told: Told, edit: Edit| {
        let mut changed = rules.clone();
        edit(&mut changed);
        if changed != *rules {
            let change = Box::new(move |s: &mut Sample| edit(&mut s.rules));
            lies.push(Lie { kind, place: "rules".into(), under: None, change, foretold: told.into() });
        }
    };
    let activations = [
        activation!(homestead, "homestead"),
        activation!(dao, "dao"),
        activation!(tangerine_whistle, "tangerine whistle"),
        activation!(spurious_dragon, "spurious dragon"),
        activation!(byzantium, "byzantium"),
        activation!(constantinople, "constantinople"),
        activation!(petersburg, "petersburg"),
        activation!(istanbul, "istanbul"),
        activation!(muir_glacier, "muir glacier"),
        activation!(berlin, "berlin"),
        activation!(london, "london"),
        activation!(arrow_glacier, "arrow glacier"),
        activation!(gray_glacier, "gray glacier"),
        activation!(shanghai, "shanghai"),
        activation!(cancun, "cancun"),
        activation!(prague, "prague"),
        activation!(osaka, "osaka"),
    ];
    for (kind, edit) in activations.into_iter().flatten() {
        add(kind, told_of(scene, edit), edit);
    }
    let others: [(&'static str, Edit); 5] = [
        ("rules: dao support", |r| r.dao_support = !r.dao_support),
        ("rules: blob target", |r| r.blobs.iter_mut().for_each(|b| b.target += 1)),
        ("rules: blob maximum", |r| r.blobs.iter_mut().for_each(|b| b.max += 1)),
        ("rules: blob fraction", |r| r.blobs.iter_mut().for_each(|b| b.base_fee_update_fraction += 1)),
        ("rules: blob times", |r| r.blobs.iter_mut().for_each(|b| b.time += 1)),
    ];
    for (kind, edit) in others {
        add(kind, told_of(scene, edit), edit);
    }
    // Proof of work and of stake are asked for by it, and nothing else.
    let merge: &[Reason] = &[Reason::ProofOfStakeTooEarly, Reason::ProofOfWorkTooLate];
    let told = Told::exactly().may(0..=u64::MAX, Some(0), Check::Blocks, What::Reasons(merge));
    let edit: Edit = |r| r.terminal_total_difficulty = r.terminal_total_difficulty.map(|total| total + U256::ONE);
    add("rules: terminal total difficulty + 1", told.clone(), edit);
    let edit: Edit = |r| r.terminal_total_difficulty = r.terminal_total_difficulty.xor(Some(U256::ZERO));
    add("rules: terminal total difficulty never or 0", told, edit);
    let deposits = Told::exactly()
        .may(0..=u64::MAX, Some(0), Check::Hashes, What::Reasons(&[Reason::WrongRequestsHash]))
        .may(0..=u64::MAX, None, Check::Blocks, What::Reasons(&[Reason::BadDepositLog]));
    add("rules: deposit contract", deposits, |r| r.deposit_contract = Address::repeat_byte(0xdd));
    // The books know block 0.
    add("rules: genesis", Told::exactly(), |r| r.genesis = Some(B256::repeat_byte(8)));
    add("rules: no genesis", Told::exactly(), |r| r.genesis = r.genesis.xor(Some(B256::repeat_byte(8))));
    let mut told = Told::exactly().may_run_in(0..=u64::MAX);
    for place in scene.places().iter().filter(|p| !p.is_system()) {
        if envelope(scene.row(place)).is_some_and(|e| e.chain_id().is_some()) {
            told = told.must(place.location(), Check::Signatures, Reason::WrongChainId, None);
        }
    }
    add("rules: chain id", told, |r| r.chain_id += 1);
}

/// Nothing, if no header of the sample is under other rules than before; else anything.
fn told_of(scene: &Scene<'_>, edit: Edit) -> Told {
    let rules = &scene.sample.rules;
    let mut changed = rules.clone();
    edit(&mut changed);
    let earlier = scene.sample.segments.iter().flat_map(|s| &s.start.earlier);
    let earlier = earlier.filter_map(|earlier| super::sample::decode_header(&earlier.header));
    let headers: Vec<Header> = scene.headers.iter().flatten().cloned().chain(earlier).collect();
    let near_dao = |rules: &ChainRules, number: u64| {
        rules.dao.is_some_and(|dao| (dao..dao + 10).contains(&number)).then_some((rules.dao, rules.dao_support))
    };
    let is_other = |h: &Header| {
        let merged = h.difficulty.is_zero();
        let of = |rules: &ChainRules| {
            // Ommers are judged by proof of work, whatever the block.
            let forks = [merged, false].map(|merged| rules.fork_at(h.number, h.timestamp, merged));
            let blobs = forks[0] >= manaflow_loader::rules::Fork::Cancun;
            (forks, rules.blobs_at(h.timestamp).copied().filter(|_| blobs), near_dao(rules, h.number))
        };
        of(rules) != of(&changed)
    };
    if headers.iter().any(is_other) { Told::exactly().anything() } else { Told::exactly() }
}

fn segments(scene: &Scene<'_>, lies: &mut Vec<Lie>) {
    for (segment, record) in scene.sample.segments.iter().enumerate() {
        let (start, first) = (&record.start, record.start.first);
        let end = first + record.blocks.len() as u64;
        let mut add = |kind, foretold: Foretold, change: fn(&mut manaflow_loader::model::SegmentStart)| {
            let mut changed = start.clone();
            change(&mut changed);
            if changed != *start {
                let change: super::Change = Box::new(move |s: &mut Sample| change(&mut s.segments[segment].start));
                lies.push(Lie { kind, place: format!("segment {segment}"), under: None, change, foretold });
            }
        };
        let merge: &[Reason] = &[Reason::ProofOfStakeTooEarly, Reason::ProofOfWorkTooLate];
        let total = Told::exactly().may(first..=end, Some(0), Check::Blocks, What::Reasons(merge));
        let refused = || Foretold::Malformed("out of bounds");
        if first == 0 {
            let refused = Foretold::Malformed("total difficulty");
            add("segment: total difficulty before genesis", refused, |s| s.total_difficulty = Some(U256::ONE));
            continue;
        }
        add("segment: origin above its first block", refused(), |s| s.origin = s.first + 1);
        add("segment: an earlier origin", Told::exactly().into(), |s| s.origin = s.origin.saturating_sub(1));
        add("segment: total difficulty + 1", total.clone().into(), |s| {
            s.total_difficulty = Some(s.total_difficulty.map_or(U256::ONE, |total| total + U256::ONE));
        });
        add("segment: total difficulty 2^256 - 1", total.into(), |s| s.total_difficulty = Some(U256::MAX));
        add("segment: no total difficulty", Told::exactly().into(), |s| s.total_difficulty = None);
        // Every location moves, and with it every hash that is written.
        add("segment: number of its first block", Told::exactly().anything().into(), |s| s.first += 1);
        if start.earlier.is_empty() {
            continue;
        }
        let rules = Told::exactly().may(first..=first + 7, Some(0), Check::Blocks, What::Anything);
        add("segment: an earlier header", rules.into(), |s| {
            let mut header = super::sample::decode_header(&s.earlier[0].header).expect("a header");
            header.timestamp += 1;
            s.earlier[0].header = alloy_rlp::encode(&header).into();
        });
        let ommers =
            Told::exactly().may(first..=first + 7, Some(0), Check::Blocks, What::Reasons(&[Reason::RepeatedOmmer]));
        add("segment: ommers of an earlier header", ommers.into(), |s| {
            let headers = vec![Header { extra_data: Bytes::from_static(b"no ommer"), ..Header::default() }];
            s.earlier[0].ommers = Some(alloy_rlp::encode(&headers).into());
        });
        if start.earlier.len() > 1 {
            // Every rule loses its parent, so less is checked of the first block.
            let kept = Told { withheld: true, ..Told::exactly() };
            add("segment: earlier headers kept back", kept.into(), |s| s.earlier.clear());
        }
    }
}

fn codes(scene: &Scene<'_>, draw: &mut Draw, lies: &mut Vec<Lie>) {
    let named: Vec<(B256, Bytes)> = scene.sample.codes.iter().map(|(hash, code)| (*hash, code.clone())).collect();
    let mut pieces: Vec<usize> = (0..scene.sample.segments.len()).collect();
    pieces.sort_by_key(|&i| (scene.sample.segments[i].start.first, i));
    for (hash, code) in draw.some(named, 8) {
        let found = pieces.iter().find_map(|&segment| {
            let blocks = scene.sample.segments[segment].blocks.iter().enumerate();
            let mut rows =
                blocks.flat_map(|(block, b)| b.transactions.iter().enumerate().map(move |(i, t)| (block, i, t)));
            rows.find_map(|(block, index, row)| {
                let names = |value: Value| matches!(value, Value::Account(account) if account.code_hash == hash);
                let m = row.moves.iter().find(|m| names(m.prev) || names(m.next))?;
                Some((first_of(scene, segment, block, index), m.cell))
            })
        });
        let Some((location, cell)) = found else { continue };
        let told: Told = Told::exactly().must(location, Check::Hashes, Reason::WrongCode, Some(cell));
        let told = told.may_run_in(0..=u64::MAX);
        let mut changes: Vec<(&'static str, Bytes)> =
            vec![("code: a byte more", [code.as_ref(), &[0]].concat().into())];
        if !code.is_empty() {
            let mut bytes = code.to_vec();
            let at = draw.number() as usize % bytes.len();
            bytes[at] ^= 1 << (draw.number() % 8);
            changes.push(("code: a bit", bytes.into()));
            changes.push(("code: a byte less", code.slice(..code.len() - 1)));
        }
        for (kind, blob) in changes {
            let change: super::Change = Box::new(move |s: &mut Sample| _ = s.codes.insert(hash, blob.clone()));
            lies.push(Lie { kind, place: hash.to_string(), under: None, change, foretold: told.clone().into() });
        }
    }
}

fn first_of(scene: &Scene<'_>, segment: usize, block: usize, index: usize) -> Location {
    let number = scene.sample.segments[segment].start.first + block as u64;
    Location::new(number, index as u64).expect("of a sample")
}
