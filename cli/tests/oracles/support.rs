//! Running the binary, and reading back what it prints.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256, keccak256};
use manaflow_engine::backend::execution::Backend;
use manaflow_loader::model::{AccountValue, Cell, Location, Mark, Mode, Move, Value, Version};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a run ended, and what it said.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the program.
pub fn manaflow(args: &[&str]) -> Ran {
    let ran = Command::new(env!("CARGO_BIN_EXE_manaflow")).args(args).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Ran { code: ran.status.code().expect("no signal ends it"), out: text(ran.stdout), err: text(ran.stderr) }
}

/// A place for a file that a test writes.
pub fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

pub fn read_json(path: impl AsRef<Path>) -> Json {
    let path = path.as_ref();
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Imports a source to `target/tmp/NAME.mana`; gives the file, the counts and what was said.
pub fn import(name: &str, source: &Path, more: &[&str]) -> (PathBuf, Json, String) {
    let file = place(&format!("oracles-{name}.mana"));
    let ran = manaflow(&[&["import", text(source), "--output", text(&file), "--json"], more].concat());
    assert_eq!(ran.code, 0, "import of {name}: {}", ran.err);
    (file, serde_json::from_str(&ran.out).expect("import prints JSON"), ran.err)
}

/// A report: as it was printed, without `run`, and parsed.
pub struct Report {
    /// All before the key `run`, byte for byte.
    pub fixed: String,
    pub json: Json,
    pub ran: Ran,
}

/// Validates and parses the report; the exit code is the caller's to judge.
pub fn validate(file: &Path, more: &[&str]) -> Report {
    let ran = manaflow(&[&["validate", text(file), "--json"], more].concat());
    let (fixed, _) = ran.out.split_once(",\"run\":{").unwrap_or_else(|| panic!("no report: {}", ran.err));
    Report { fixed: fixed.into(), json: serde_json::from_str(&ran.out).expect("the report is JSON"), ran }
}

/// The same report in every order, on one thread and on two, there by the other executor; gives the first.
pub fn validate_in_every_order(file: &Path, more: &[&str]) -> Report {
    let mut first: Option<Report> = None;
    let other = Backend::fastest().name();
    for order in ["forward", "reverse", "shuffled:1", "shuffled:2", "shuffled:3"] {
        for (threads, executor) in [("1", "plain"), ("2", other)] {
            let backend = format!("execution={executor}");
            let way = ["--order", order, "--threads", threads, "--backend", &backend];
            let report = validate(file, &[&way, more].concat());
            let run = &report.json["run"];
            assert_eq!(run["backends"]["execution"], executor);
            assert_eq!(run["order"], order);
            assert_eq!(run["threads"].to_string(), threads);
            assert_eq!(run["procedure"], if order.starts_with("shuffled") { "shards" } else { order });
            if let Some(first) = &first {
                assert_eq!(first.fixed, report.fixed, "{}: {order} on {threads} threads", file.display());
                assert_eq!(first.ran.code, report.ran.code);
            }
            first.get_or_insert(report);
        }
    }
    first.expect("there are orders")
}

/// What must hold before the blocks: open demands, and cells that were assumed; what is said of windows is looked at here.
pub fn requirements(file: &Path, name: &str) -> Vec<Json> {
    required(file, name, &[]).1
}

/// Report and requirements of each block by itself: what neighbours say of each other would leave less to look at.
pub fn apart(file: &Path, name: &str, numbers: impl IntoIterator<Item = u64>) -> Vec<(Json, Vec<Json>)> {
    let alone = |number: u64| required(file, name, &["--blocks", &format!("{number}..{number}")]);
    numbers.into_iter().map(alone).collect()
}

fn required(file: &Path, name: &str, options: &[&str]) -> (Json, Vec<Json>) {
    let path = place(&format!("oracles-{name}.requirements.jsonl"));
    let report = validate(file, &[&["--requirements", text(&path)], options].concat());
    assert_eq!(report.ran.code, 0, "{}", report.ran.err);
    let lines = std::fs::read_to_string(path).expect("the requirements were written");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("a requirement is JSON"));
    let (windows, cells): (Vec<Json>, Vec<Json>) = lines.partition(|line: &Json| line["window"].is_number());
    // Each segment with an earlier history says what it takes for granted of it besides cells.
    assert_eq!(windows.len() as u64, report.json["requirements"]["windows"].as_u64().expect("a count"));
    for window in windows {
        assert!(window["parent_hash"].is_string() && window["origin"].is_number(), "{window}");
        assert!(window["total_difficulty"].is_string() || window["total_difficulty"].is_null(), "{window}");
    }
    (report.json, cells)
}

/// All moves of a file, in its order, as `inspect` prints them.
pub fn moves(file: &Path) -> Vec<(Location, Move)> {
    let ran = manaflow(&["inspect", text(file), "--moves", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out.lines().map(|line| parse_move(&serde_json::from_str(line).expect("a move is JSON"))).collect()
}

pub fn parse_move(m: &Json) -> (Location, Move) {
    let number = |json: &Json| json.as_u64().unwrap_or_else(|| panic!("no number in {m}"));
    let location = |json: &Json| Location::new(number(&json["block"]), number(&json["index"])).expect("in bounds");
    let mark = match m["mark"].as_str() {
        Some("a") => Mark::Account,
        Some("s") => Mark::Storage,
        Some("h") => Mark::BlockHash,
        _ => panic!("no mark in {m}"),
    };
    let value = |json: &Json| match mark {
        Mark::Account => Value::Account(AccountValue {
            present: json["present"].as_bool().expect("a flag"),
            nonce: quantity(&json["nonce"]).to(),
            balance: quantity(&json["balance"]),
            code_hash: parse(&json["code_hash"]),
            generation: number(&json["generation"]) as u32,
        }),
        _ => Value::Word(U256::from_be_bytes(parse::<B256>(json).0)),
    };
    let slot = match mark {
        Mark::Account => {
            assert!(m["slot"].is_null(), "an account has no slot: {m}");
            U256::ZERO
        }
        _ => U256::from_be_bytes(parse::<B256>(&m["slot"]).0),
    };
    let cell = Cell { mark, addr: parse(&m["addr"]), generation: number(&m["generation"]) as u32, slot };
    let prev = value(&m["prev"]);
    let (mode, next) = match m["mode"].as_str() {
        Some("write") => (Mode::Write, value(&m["next"])),
        Some("read") if m["next"].is_null() => (Mode::Read, prev),
        _ => panic!("no mode, or a read with a value after: {m}"),
    };
    let intx = match &m["intx"] {
        Json::Object(_) => Version::At(location(&m["intx"])),
        Json::String(s) if s == "virgin" => Version::Virgin,
        // The form does not say the bound; no test here needs it.
        Json::String(s) if s == "base" => Version::Base(0),
        Json::String(s) if s == "assumed" => Version::Assumed,
        other => panic!("no version: {other}"),
    };
    (location(m), Move { mask: number(&m["mask"]) as u32, cell, mode, intx, prev, next })
}

/// A hex word of a fixed length, in any case.
pub fn parse<T: std::str::FromStr>(json: &Json) -> T {
    let word = json.as_str().unwrap_or_else(|| panic!("{json} is no string"));
    word.to_lowercase().parse().unwrap_or_else(|_| panic!("{word} is malformed"))
}

/// A 0x quantity, with or without leading zeros.
pub fn quantity(json: &Json) -> U256 {
    let digits = json.as_str().and_then(|s| s.strip_prefix("0x")).unwrap_or_else(|| panic!("{json} is no quantity"));
    U256::from_str_radix(digits, 16).expect("hex digits")
}

/// The value that each cell is left with: of its last move.
pub fn last_values<'a>(moves: impl IntoIterator<Item = &'a (Location, Move)>) -> BTreeMap<Cell, Value> {
    moves.into_iter().map(|(_, m)| (m.cell, m.next)).collect()
}

/// A state as other clients print it: accounts that exist, and words that are listed (zero ones too).
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Nonce, balance, code hash; `None`: listed as absent.
    pub accounts: BTreeMap<Address, Option<(u64, U256, B256)>>,
    pub words: BTreeMap<(Address, U256), U256>,
}

impl Listed {
    /// From `{address: {balance, nonce, code_hash?, storage: {slot: value}} | null}`.
    pub fn read(path: impl AsRef<Path>) -> Self {
        let mut listed = Self::default();
        let json = read_json(path);
        for (address, account) in json.as_object().expect("accounts by address") {
            let address: Address = address.parse().expect("an address");
            if account.is_null() {
                listed.accounts.insert(address, None);
                continue;
            }
            let nonce = account["nonce"].as_u64().expect("a nonce");
            let code_hash = account.get("code_hash").map_or(KECCAK256_EMPTY, parse);
            listed.accounts.insert(address, Some((nonce, quantity(&account["balance"]), code_hash)));
            for (slot, word) in account["storage"].as_object().into_iter().flatten() {
                let slot = U256::from_str_radix(&slot[2..], 16).expect("a slot");
                assert!(listed.words.insert((address, slot), quantity(word)).is_none());
            }
        }
        listed
    }

    /// What cells say, words of each account's last generation only: those of earlier ones are gone.
    pub fn of(cells: &BTreeMap<Cell, Value>) -> Self {
        let mut listed = Self::default();
        let mut generations = BTreeMap::new();
        for (cell, value) in cells {
            match (cell.mark, value) {
                (Mark::Account, Value::Account(a)) => {
                    assert!(a.is_canonical(), "{cell}: {a:?}");
                    generations.insert(cell.addr, a.generation);
                    let fields = a.present.then_some((a.nonce, a.balance, a.code_hash));
                    listed.accounts.insert(cell.addr, fields);
                }
                (Mark::Storage, Value::Word(word)) => {
                    // Accounts sort before words, and who has a word's move has the account's.
                    let generation = generations.get(&cell.addr).expect("the account has a move");
                    if cell.generation == *generation {
                        listed.words.insert((cell.addr, cell.slot), *word);
                    }
                }
                _ => {}
            }
        }
        listed
    }
}

/// The final state digest, as the protocol defines it, over the last writes of each segment.
///
/// `assumed` holds (first block of the segment, cell) of what was assumed: such cells, and words of such accounts, are
/// left out.
pub fn digest(moves: &[(Location, Move)], segments: &[(u64, u64)], assumed: &BTreeSet<(u64, String)>) -> (usize, B256) {
    let mut all = Vec::new();
    let mut cells = 0;
    for &(first, last) in segments {
        let mut exits = BTreeMap::new();
        for (location, m) in moves {
            if (first..=last).contains(&location.block()) && m.mode == Mode::Write {
                exits.insert(m.cell, (*location, m.next));
            }
        }
        let is_assumed = |cell: Cell| assumed.contains(&(first, cell.to_string()));
        let mut bytes = Vec::new();
        for (cell, (location, value)) in exits {
            let is_word = cell.mark == Mark::Storage;
            if is_assumed(Cell { generation: 0, ..cell }) || (is_word && is_assumed(Cell::account(cell.addr))) {
                continue;
            }
            cells += 1;
            bytes.push(match cell.mark {
                Mark::Account => 0,
                Mark::Storage => 1,
                Mark::BlockHash => 2,
            });
            bytes.extend(cell.addr);
            bytes.extend(cell.generation.to_be_bytes());
            bytes.extend(cell.slot.to_be_bytes::<32>());
            bytes.extend((location.block() << 24 | location.index()).to_be_bytes());
            match value {
                Value::Account(a) => {
                    bytes.push(u8::from(a.present));
                    bytes.extend(a.nonce.to_be_bytes());
                    bytes.extend(a.generation.to_be_bytes());
                    bytes.extend(a.balance.to_be_bytes::<32>());
                    bytes.extend(a.code_hash);
                }
                Value::Word(word) => {
                    bytes.extend([0; 45]);
                    bytes.extend(word.to_be_bytes::<32>());
                }
            }
        }
        all.extend(first.to_be_bytes());
        all.extend(last.to_be_bytes());
        // 142 bytes an exit, 64 exits a hash.
        let hashes: Vec<u8> = bytes.chunks(64 * 142).flat_map(keccak256).collect();
        all.extend(keccak256(hashes));
    }
    (cells, keccak256(all))
}
