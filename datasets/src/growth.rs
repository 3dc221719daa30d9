//! A chain of any length whose state grows by so many accounts a block: withdrawals to addresses that nobody had.
//!
//! What an import has to keep is what it is made for. Its headers link and carry the fork; their roots are zeros, so it can
//! be imported and is not valid. Shanghai's rules from block 0 on, no transaction, no signature.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::{EMPTY_LIST_CODE, Encodable, Header as List};
use std::io::{Result, Write};

/// The genesis file, in go-ethereum's form.
pub const GENESIS: &str = r#"{"config":{"chainId":1337,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
"byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,
"terminalTotalDifficulty":0,"terminalTotalDifficultyPassed":true,"shanghaiTime":0},
"gasLimit":"0x1c9c380","difficulty":"0x0","baseFeePerGas":"0x7","alloc":{}}"#;

/// Writes blocks 1 to `blocks` in RLP, each with so many withdrawals; `genesis` is the hash of block 0.
pub fn write(out: &mut impl Write, genesis: B256, blocks: u64, withdrawals: u64) -> Result<()> {
    let mut parent_hash = genesis;
    let mut bytes = Vec::new();
    for number in 1..=blocks {
        let header = Header {
            parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            number,
            timestamp: 12 * number,
            gas_limit: 30_000_000,
            base_fee_per_gas: Some(7),
            withdrawals_root: Some(B256::ZERO),
            ..Header::default()
        };
        parent_hash = header.hash_slow();
        bytes.clear();
        header.encode(&mut bytes);
        // No transactions, no ommers.
        bytes.extend_from_slice(&[EMPTY_LIST_CODE, EMPTY_LIST_CODE]);
        list(&mut bytes, |list| {
            let first = (number - 1) * withdrawals;
            (first..first + withdrawals).for_each(|index| withdrawal(index, list));
        });
        let mut prefix = Vec::with_capacity(9);
        List { list: true, payload_length: bytes.len() }.encode(&mut prefix);
        out.write_all(&prefix)?;
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Index, validator, address, amount in gwei.
fn withdrawal(index: u64, out: &mut Vec<u8>) {
    let addr = Address::from_word(keccak256(U256::from(index).to_be_bytes::<32>()));
    list(out, |out| {
        index.encode(out);
        index.encode(out);
        addr.encode(out);
        (index + 1).encode(out);
    });
}

fn list(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Vec::new();
    fill(&mut payload);
    List { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(&payload);
}
