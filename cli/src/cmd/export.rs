//! `manaflow export`: what other programs read, made from a block file.

use crate::exit::{Code, Failure};
use crate::output::{check_output, tell};
use alloy_eips::eip7928::{AccountChanges, compute_block_access_list_hash};
use alloy_primitives::{B256, Bytes};
use manaflow_engine::access_list::{access_list, differences};
use manaflow_loader::file::BlockFile;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  manaflow export chain.mana --bal -o lists.jsonl                       one block a line
  manaflow export chain.mana --bal --blocks 100..199 -o -
  manaflow export chain.mana --bal --against lists.jsonl                compare item by item with what a client says

Block-level access lists are a draft (EIP-7928): what is written here may be read otherwise by clients of another state of
the draft. Storage reads of an account that the same transaction made are left out, and so are blocks (they are counted)
where a code came to be that never ran: a block file has the codes that ran.";

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
    /// Compare with lists in this form (`block` and `list` a line) instead of writing; exit code 1 if an item differs.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    against: Option<PathBuf>,
}

/// Runs `export`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    debug_assert!(args.bal, "the one thing that is exported");
    if let Some(output) = args.output.as_deref().filter(|output| output.as_os_str() != "-") {
        check_output(output, std::slice::from_ref(&args.file))?;
    }
    let file = BlockFile::open(&args.file)?;
    file.verify_all()?;
    let mut codes: HashMap<B256, Bytes> = HashMap::new();
    for i in 0..file.code_count() {
        if let (hash, Some(code)) = file.shared_code(i as u32)? {
            codes.insert(hash, code);
        }
    }
    let theirs = args.against.as_deref().map(read).transpose()?;
    let (mut lines, mut compared, mut found) = (Vec::new(), 0_u64, Vec::new());
    let mut without_code = 0_u64;
    let mut first_without = None::<(u64, B256)>;
    for place in 0..file.block_count() {
        let number = file.block(place)?.number();
        if args.blocks.as_ref().is_some_and(|blocks| !blocks.contains(&number)) {
            continue;
        }
        let record = file.record(place)?;
        let list = match access_list(&record, |hash| codes.get(&hash).cloned()) {
            Ok(list) => list,
            Err(hash) => {
                without_code += 1;
                first_without.get_or_insert((number, hash));
                continue;
            }
        };
        match &theirs {
            Some(theirs) => {
                if let Some(theirs) = theirs.get(&number) {
                    compared += 1;
                    found
                        .extend(differences(&list, theirs).into_iter().map(|words| format!("block {number}: {words}")));
                }
            }
            None => {
                let hash = compute_block_access_list_hash(&list);
                let line = json!({ "version": 1, "draft": "EIP-7928", "block": number, "hash": hash, "list": list });
                lines.extend_from_slice(format!("{line}\n").as_bytes());
            }
        }
    }
    if let Some((number, hash)) = first_without {
        tell(&format!(
            "left out: {without_code} blocks with a code that came to be and never ran, which the file does not have; the first \
             is block {number}, code {hash}"
        ));
    }
    if let (Some(path), 0) = (&args.against, compared) {
        return Err(Failure::Input(format!("{}: has no list of a block that could be compared", path.display())));
    }
    if theirs.is_some() {
        found.iter().for_each(|words| tell(words));
        let text = format!("{compared} blocks compared, {} items differ, {without_code} left out\n", found.len());
        crate::output::write_to("-".as_ref(), text.as_bytes())?;
        return Ok(if found.is_empty() { Code::Success } else { Code::Invalid });
    }
    crate::output::write_to(args.output.as_deref().unwrap_or("-".as_ref()), &lines)?;
    Ok(Code::Success)
}

/// Lists by block: `{"block": …, "list": …}` a line.
fn read(path: &Path) -> Result<HashMap<u64, Vec<AccountChanges>>, Failure> {
    let reader = std::fs::File::open(path).map(BufReader::new).map_err(manaflow_loader::Error::io(path))?;
    let mut lists = HashMap::new();
    for (i, line) in reader.lines().enumerate() {
        let line = line.map_err(manaflow_loader::Error::io(path))?;
        if line.trim().is_empty() {
            continue;
        }
        let bad = |e: String| Failure::Input(format!("{}: line {}: {e}", path.display(), i + 1));
        let mut json: Json = serde_json::from_str(&line).map_err(|e| bad(e.to_string()))?;
        let number = json["block"].as_u64().ok_or_else(|| bad("block: expected a number".into()))?;
        let list = serde_json::from_value(json["list"].take()).map_err(|e| bad(format!("list: {e}")))?;
        if lists.insert(number, list).is_some() {
            return Err(bad(format!("block {number} is there twice")));
        }
    }
    Ok(lists)
}
