//! `manaflow export`: what other programs read, made from a block file.

use crate::exit::{Code, Failure};
use crate::output::{Output, check_output, tell};
use alloy_eips::eip7928::{AccountChanges, BlockAccessList, compute_block_access_list_hash};
use alloy_primitives::{Address, B256, Bytes};
use manaflow_engine::access_list::{access_list, differences, may_be_made};
use manaflow_engine::solo::code::CodeTable;
use manaflow_engine::solo::made::codes_made;
use manaflow_loader::file::BlockFile;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  manaflow export chain.mana --bal -o lists.jsonl                       one block a line
  manaflow export chain.mana --bal --blocks 100..199 -o -
  manaflow export chain.mana --bal --against lists.jsonl                compare item by item with what a client says

Block-level access lists are a draft (EIP-7928): what is written here may be read otherwise by clients of another state of
the draft. Storage reads of an account that the same transaction made are left out. Codes that came to be and never ran,
which a block file does not have, are made once more by their transactions; block 0 is left out where its codes never ran.";

/// Arguments of `export`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A block file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write block-level access lists (EIP-7928, a draft): JSON, one block a line.
    #[arg(long, required = true)]
    bal: bool,
    /// Only these blocks, both included.
    #[arg(long, value_name = "A..B", value_parser = super::validate::parse_range)]
    blocks: Option<RangeInclusive<u64>>,
    /// Where to write; - is standard output.
    #[arg(short, long, value_name = "FILE", required_unless_present = "against")]
    output: Option<PathBuf>,
    /// Compare with lists in this form (`block` and `list` a line, `hash` if it is known) instead of writing; exit code 1 if
    /// an item differs, 3 if a block of the file but block 0 has no list there.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    against: Option<PathBuf>,
    /// Print what a comparison finds as one JSON object.
    #[arg(long, requires = "against")]
    json: bool,
}

/// Runs `export`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    debug_assert!(args.bal, "the one thing that is exported");
    if let Some(output) = &args.output {
        check_output(output, std::slice::from_ref(&args.file))?;
    }
    let file = BlockFile::open(&args.file)?;
    file.verify_all()?;
    let mut lists = Lists::of(&file, args.blocks.clone())?;
    match &args.against {
        Some(path) => compare(path, &mut lists, args.json),
        None => write(args.output.as_deref().unwrap_or("-".as_ref()), &mut lists),
    }
}

/// The lists of a file's blocks, one after the other.
struct Lists<'a> {
    file: &'a BlockFile,
    table: Arc<CodeTable>,
    /// Codes by hash: those of the table, and those that came to be and were made once more.
    made: HashMap<B256, Bytes>,
    places: std::vec::IntoIter<usize>,
    /// Blocks without list, and why the first has none.
    left_out: Vec<(u64, String)>,
}

impl<'a> Lists<'a> {
    fn of(file: &'a BlockFile, blocks: Option<RangeInclusive<u64>>) -> Result<Self, Failure> {
        let mut codes = Vec::new();
        for i in 0..file.code_count() {
            if let (hash, Some(code)) = file.shared_code(i as u32)? {
                codes.push((hash, code));
            }
        }
        let mut places = Vec::new();
        for place in 0..file.block_count() {
            let number = file.block(place)?.number();
            if blocks.as_ref().is_none_or(|blocks| blocks.contains(&number)) {
                places.push(place);
            }
        }
        if let Some(blocks) = blocks {
            let (first, last, path) = (blocks.start(), blocks.end(), file.path().display());
            if places.is_empty() {
                return Err(Failure::Input(format!("{path}: has no block of {first}..{last}")));
            }
            if places.len() as u64 != (last - first).saturating_add(1) {
                tell(&format!("note: {path}: has {} blocks of {first}..{last}", places.len()));
            }
        }
        let made = codes.iter().cloned().collect();
        let table = Arc::new(CodeTable::new(codes));
        Ok(Self { file, table, made, places: places.into_iter(), left_out: Vec::new() })
    }

    /// The next block that has a list, and the accounts that it may have made.
    fn next(&mut self) -> Result<Option<(u64, BlockAccessList, BTreeSet<Address>)>, Failure> {
        for place in self.places.by_ref() {
            let number = self.file.block(place)?.number();
            let record = self.file.record(place)?;
            let mut list = access_list(&record, |hash| self.made.get(&hash).cloned());
            let mut why = None;
            if list.is_err() {
                match codes_made(&record, number, self.file.rules(), self.table.clone()) {
                    Ok(codes) => self.made.extend(codes),
                    Err(words) => why = Some(words),
                }
                list = access_list(&record, |hash| self.made.get(&hash).cloned());
            }
            match list {
                Ok(list) => return Ok(Some((number, list, may_be_made(&record)))),
                Err(hash) => {
                    self.left_out
                        .push((number, why.unwrap_or_else(|| format!("code {hash} came to be and never ran"))));
                }
            }
        }
        if let [(number, why), ..] = &self.left_out[..] {
            tell(&format!("left out: {} blocks; the first is block {number}: {why}", self.left_out.len()));
        }
        Ok(None)
    }
}

fn write(path: &Path, lists: &mut Lists<'_>) -> Result<Code, Failure> {
    let mut output = Output::create(path)?;
    while let Some((number, list, _)) = lists.next()? {
        let hash = compute_block_access_list_hash(&list);
        let line = json!({ "version": 1, "draft": "EIP-7928", "block": number, "hash": hash, "list": list });
        writeln!(output, "{line}").map_err(Failure::output(path))?;
    }
    output.finish().map_err(Failure::output(path))?;
    Ok(Code::Success)
}

/// Compares item by item. Block 0 is nobody's but the file's: no client has a list of it.
fn compare(path: &Path, lists: &mut Lists<'_>, is_json: bool) -> Result<Code, Failure> {
    let mut theirs = read(path)?;
    let (mut compared, mut found, mut missing) = (0_u64, Vec::new(), Vec::new());
    while let Some((number, list, made)) = lists.next()? {
        match theirs.remove(&number) {
            Some(theirs) => {
                compared += 1;
                found.extend(differences(&list, &theirs, &made).into_iter().map(|words| (number, words)));
            }
            None if number == 0 => {}
            None => missing.push(number),
        }
    }
    let left_out = lists.left_out.iter().filter(|(number, _)| theirs.remove(number).is_some() || *number > 0).count();
    if compared == 0 {
        return Err(Failure::Input(format!("{}: has no list of a block that could be compared", path.display())));
    }
    if let Some(first) = missing.first() {
        tell(&format!(
            "{}: has no list of {} blocks of the file; the first is block {first}",
            path.display(),
            missing.len()
        ));
    }
    let text = if is_json {
        let rows: Vec<Json> =
            found.iter().map(|(number, words)| json!({ "block": number, "difference": words })).collect();
        let json = json!({
            "version": 1, "draft": "EIP-7928", "compared": compared, "differences": rows, "left_out": left_out,
            "without_list": missing.len(), "not_in_file": theirs.len(),
        });
        format!("{json}\n")
    } else {
        found.iter().for_each(|(number, words)| tell(&format!("block {number}: {words}")));
        let (without, beyond) = (missing.len(), theirs.len());
        format!(
            "{compared} blocks compared, {} items differ; {left_out} left out, {without} without list, {beyond} lists of other blocks\n",
            found.len()
        )
    };
    crate::output::write_to("-".as_ref(), text.as_bytes())?;
    Ok(match (found.is_empty(), missing.is_empty() && left_out == 0) {
        (false, _) => Code::Invalid,
        (true, false) => Code::Input,
        (true, true) => Code::Success,
    })
}

/// Lists by block: `{"block": …, "list": …}` a line, with the list's hash where it is known.
fn read(path: &Path) -> Result<BTreeMap<u64, Vec<AccountChanges>>, Failure> {
    let reader = std::fs::File::open(path).map(BufReader::new).map_err(manaflow_loader::Error::io(path))?;
    let mut lists = BTreeMap::new();
    for (i, line) in reader.lines().enumerate() {
        let bad = |e: String| Failure::Input(format!("{}: line {}: {e}", path.display(), i + 1));
        let line = line.map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => bad("is no UTF-8".into()),
            _ => manaflow_loader::Error::io(path)(e).into(),
        })?;
        if line.trim().is_empty() {
            continue;
        }
        let mut json: Json = serde_json::from_str(&line).map_err(|e| bad(e.to_string()))?;
        let number = json["block"].as_u64().ok_or_else(|| bad("block: expected a number".into()))?;
        let list: BlockAccessList =
            serde_json::from_value(json["list"].take()).map_err(|e| bad(format!("list: {e}")))?;
        if !json["hash"].is_null() {
            let claimed: B256 = serde_json::from_value(json["hash"].take()).map_err(|e| bad(format!("hash: {e}")))?;
            let hash = compute_block_access_list_hash(&list);
            if claimed != hash {
                return Err(bad(format!("hash: got {claimed}, the list hashes to {hash}")));
            }
        }
        if lists.insert(number, list).is_some() {
            return Err(bad(format!("block {number} is there twice")));
        }
    }
    Ok(lists)
}
