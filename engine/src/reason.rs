//! Why a chain is invalid: one enum of reasons for all three judgements, the five checks that report them, and the
//! fault they make.
//!
//! The order of `Reason` is that in which a sequential node would meet them: form of the transaction, its moves,
//! inclusion, execution, outcome, then what links transactions, then what a whole block says. Reports are sorted by it,
//! so a new reason goes to its place, not to the end. Names are kebab-case and part of the report's format: they are
//! never reused.
//! Source: `engine/PROTOCOL.md` sections 4 to 6; inclusion: `InvalidTransaction` and `InvalidHeader` of revm 43, one to
//! one.

use manaflow_loader::model::{Cell, Location};
use revm::context::result::{InvalidHeader, InvalidTransaction};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::Write as _;
use std::{cmp::Ordering, fmt, str::FromStr};

/// The five checks that can be asked for, in the order in which reports list them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Check {
    /// Solo: signatures of transactions and authorisations.
    Signatures,
    /// Block: roots and hashes; code blobs hash to their keys.
    Hashes,
    /// Solo: moves and outcomes by execution.
    Execution,
    /// Double use.
    Conflicts,
    /// Block: all rules that need no hashing.
    Blocks,
}

impl Check {
    /// All checks in order.
    pub const ALL: [Self; 5] = [Self::Signatures, Self::Hashes, Self::Execution, Self::Conflicts, Self::Blocks];

    /// Name as it is written in reports and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signatures => "signatures",
            Self::Hashes => "hashes",
            Self::Execution => "execution",
            Self::Conflicts => "conflicts",
            Self::Blocks => "blocks",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checks(u8);

impl Checks {
    /// All five.
    pub const ALL: Self = Self(0b1_1111);

    /// From a list.
    pub fn of(checks: &[Check]) -> Self {
        Self(checks.iter().fold(0, |set, check| set | 1 << *check as u8))
    }

    /// From a bit each; others are left out.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// A bit each.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether a check is in the set.
    pub const fn has(self, check: Check) -> bool {
        self.0 >> check as u8 & 1 == 1
    }

    /// Whether it is the one check in the set.
    pub const fn is_only(self, check: Check) -> bool {
        self.0 == 1 << check as u8
    }

    /// What is in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in one of them.
    #[must_use]
    pub const fn either(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A name that no reason, or no check, has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind} {name:?} is not known")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
}

impl FromStr for Check {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|check| check.name() == name);
        found.ok_or_else(|| UnknownName { kind: "check", name: name.into() })
    }
}

/// Declares the reasons once: variant, name, and the sentence that is both its documentation and its summary in tables.
macro_rules! reasons {
    ($($variant:ident $name:literal $summary:literal)*) => {
        /// Why a fault is one.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $summary] $variant,)*
        }

        impl Reason {
            /// All reasons in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Name in kebab-case.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it means, in one sentence.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary),* }
            }
        }
    };
}

reasons! {
    // Solo: form and signature.
    BadEncoding "bad-encoding" "The bytes are not a transaction in EIP-2718 form."
    BadSignature "bad-signature" "The signature recovers to nobody."
    HighS "high-s" "The signature's s is above n/2 where Homestead forbids it (EIP-2)."
    WrongChainId "wrong-chain-id" "The transaction is signed for another chain."
    MissingChainId "missing-chain-id" "A typed transaction has no chain id."
    EarlyReplayProtection "early-replay-protection" "The signature names a chain before Spurious Dragon (EIP-155)."
    WrongSender "wrong-sender" "The declared sender is not the one the signature recovers to."
    WrongAuthority "wrong-authority"
        "The declared authority of a set-code tuple is not the one its signature says (EIP-7702)."

    // Solo: form of the moves.
    WrongMask "wrong-mask" "A move says that the sender signed a field that is not signed."
    MovesNotAscending "moves-not-ascending" "The moves are not strictly ascending by cell."
    ModeMismatch "mode-mismatch" "The mode is write where before equals after, or read where they differ."
    ValueNotCanonical "value-not-canonical"
        "An absent account has a nonce, a balance or code, or a value is not of its cell's kind."
    AssumedVersion "assumed-version"
        "A transaction that is not a system transaction assumes a before, or one assumes another value than the default."
    MissingAccountMove "missing-account-move"
        "A storage move has no account move on its address in the same transaction."
    WrongGeneration "wrong-generation" "A storage move's generation is not its account's before."
    MissingHashWrite "missing-hash-write" "The closing does not write its block's hash from virgin."

    // Solo: the EVM refuses to include the transaction.
    PrevrandaoNotSet "prevrandao-not-set" "The block has no prevRandao (EVM: PrevrandaoNotSet)."
    ExcessBlobGasNotSet "excess-blob-gas-not-set" "The block has no excess blob gas (EVM: ExcessBlobGasNotSet)."
    AccessListTransactionTooEarly "access-list-transaction-too-early" "Type 1 before Berlin (EIP-2930)."
    FeeMarketTransactionTooEarly "fee-market-transaction-too-early" "Type 2 before London (EIP-1559)."
    BlobTransactionTooEarly "blob-transaction-too-early" "Type 3 before Cancun (EIP-4844)."
    SetCodeTransactionTooEarly "set-code-transaction-too-early" "Type 4 before Prague (EIP-7702)."
    InitCodeTransactionTooEarly "init-code-transaction-too-early"
        "An initcode transaction where there is none (EIP-7873)."
    InitCodeTransactionCreates "init-code-transaction-creates" "An initcode transaction has no recipient (EIP-7873)."
    AccessListTooEarly "access-list-too-early" "An access list before Berlin."
    BlobFeeTooEarly "blob-fee-too-early" "A maximum fee of blob gas before Cancun."
    BlobHashesTooEarly "blob-hashes-too-early" "Blob hashes before Cancun."
    AuthorizationListTooEarly "authorization-list-too-early" "A list of set-code tuples before Prague."
    InvalidAuthorizationFields "invalid-authorization-fields" "A set-code transaction has fields that it must not have."
    NoAuthorizations "no-authorizations" "A set-code transaction without tuples."
    PriorityFeeAboveMaxFee "priority-fee-above-max-fee" "The tip's maximum is above the fee's."
    FeeBelowBaseFee "fee-below-base-fee" "The fee's maximum is below the block's base fee."
    BlobFeeBelowBaseFee "blob-fee-below-base-fee" "The blob fee's maximum is below the block's."
    NoBlobs "no-blobs" "A blob transaction without blobs."
    BlobTransactionCreates "blob-transaction-creates" "A blob transaction has no recipient."
    WrongBlobVersion "wrong-blob-version" "A blob hash of unknown version."
    TooManyBlobsInTransaction "too-many-blobs-in-transaction" "More blobs than one transaction may have."
    GasLimitAboveBlock "gas-limit-above-block" "The gas limit is above the block's."
    GasLimitAboveCap "gas-limit-above-cap" "The gas limit is above what one transaction may ask for (EIP-7825)."
    InitCodeTooLarge "init-code-too-large" "The creation's code is too large (EIP-3860)."
    IntrinsicGas "intrinsic-gas" "The gas limit is below the intrinsic gas."
    GasBelowFloor "gas-below-floor" "The gas limit is below the floor of its data (EIP-7623)."
    SenderHasCode "sender-has-code" "The sender has code (EIP-3607)."
    NonceOverflow "nonce-overflow" "The sender's nonce is at its maximum (EIP-2681)."
    NonceTooHigh "nonce-too-high" "The nonce is above the sender's."
    NonceTooLow "nonce-too-low" "The nonce is below the sender's."
    PaymentOverflow "payment-overflow" "Value and fee together exceed 256 bits."
    InsufficientFunds "insufficient-funds" "The sender cannot pay value and maximum fee."
    Refused "refused" "The EVM refuses for a reason without a name of its own."

    // Solo: what execution touches and leaves.
    UndeclaredCell "undeclared-cell" "Execution touches a cell that no move declares."
    UnusedMove "unused-move" "A move declares a cell that execution does not touch."
    WrongCode "wrong-code" "A code blob does not hash to its key."
    SystemCallFailed "system-call-failed" "A system call reverts or halts, or its contract has no code."
    MissingOutcome "missing-outcome" "A transaction that can be included declares no outcome."
    UnexpectedOutcome "unexpected-outcome" "A system transaction declares an outcome."
    WrongStatus "wrong-status" "The declared status is not that of the execution."
    WrongGasUsed "wrong-gas-used" "The declared gas used is not that of the execution."
    WrongLogs "wrong-logs" "The declared logs are not those of the execution."
    WrongRequests "wrong-requests" "The declared outputs of the request calls are not those of the execution."
    WrongAfter "wrong-after" "The declared after is not what execution leaves."

    // Double use.
    VersionNotBefore "version-not-before" "The named version is not below the move's own location."
    VirginNotDefault "virgin-not-default" "The cell is said to be virgin with a value that is not the default."
    DoubleUse "double-use" "A write consumes a version that is not the live one."
    StaleRead "stale-read" "A read observes a version that is not the live one."
    WrongBefore "wrong-before" "The before is not the value of the version it names."
    Contradiction "contradiction" "Two demands on a cell before the segment can be met by no version."

    // Block: the header by itself and against its parent.
    WrongNumber "wrong-number" "The header's number is not that of its place."
    WrongGenesisHash "wrong-genesis-hash" "Block 0 is not the one that the rules name."
    GenesisBody "genesis-body" "Block 0 has transactions, ommers, withdrawals or requests."
    WrongParentHash "wrong-parent-hash" "The parent hash is not the hash of the block before."
    WrongTimestamp "wrong-timestamp" "The timestamp is not above the parent's."
    WrongGasLimit "wrong-gas-limit" "The gas limit is out of bounds, or too far from the parent's."
    ExtraDataTooLong "extra-data-too-long" "More than 32 bytes of extra data."
    WrongDaoExtraData "wrong-dao-extra-data"
        "The extra data of the DAO fork's first ten blocks is not as that side demands (EIP-779, EIP-799)."
    WrongDifficulty "wrong-difficulty" "The difficulty does not follow from the parent."
    ProofOfStakeTooEarly "proof-of-stake-too-early" "Difficulty 0 before the terminal total difficulty (EIP-3675)."
    ProofOfWorkTooLate "proof-of-work-too-late" "Difficulty above 0 after the terminal block (EIP-3675)."
    WrongTotalDifficulty "wrong-total-difficulty"
        "The total difficulty stated before the block is not that of the blocks before it."
    WrongNonce "wrong-nonce" "The nonce is not 0 after the merge (EIP-3675)."
    BaseFeePresence "base-fee-presence" "The base fee is missing from London on, or there before."
    WithdrawalsRootPresence "withdrawals-root-presence"
        "The withdrawals root is missing from Shanghai on, or there before."
    BlobGasUsedPresence "blob-gas-used-presence" "The blob gas used is missing from Cancun on, or there before."
    ExcessBlobGasPresence "excess-blob-gas-presence" "The excess blob gas is missing from Cancun on, or there before."
    ParentBeaconRootPresence "parent-beacon-root-presence"
        "The parent beacon root is missing from Cancun on, or there before."
    RequestsHashPresence "requests-hash-presence" "The requests hash is missing from Prague on, or there before."
    UnknownHeaderField "unknown-header-field" "The header has a field of a fork that these rules do not have."
    WrongBaseFee "wrong-base-fee" "The base fee does not follow from the parent (EIP-1559)."
    WrongExcessBlobGas "wrong-excess-blob-gas"
        "The excess blob gas does not follow from the parent (EIP-4844, EIP-7918)."

    // Block: the body against the header.
    WithdrawalsPresence "withdrawals-presence"
        "The list of withdrawals is missing from Shanghai on, or there before; in block 0 the header decides."
    BlockTooLarge "block-too-large" "The block's RLP is above its limit (EIP-7934)."
    GasUsedAboveLimit "gas-used-above-limit" "The header's gas used is above its gas limit."
    WrongTransactionsRoot "wrong-transactions-root" "The transactions root is not that of the transactions."
    WrongOmmersHash "wrong-ommers-hash" "The ommers hash is not that of the ommers."
    WrongWithdrawalsRoot "wrong-withdrawals-root" "The withdrawals root is not that of the withdrawals."
    WrongBlobGasUsed "wrong-blob-gas-used" "The blob gas used is not that of the transactions' blobs."
    TooManyBlobs "too-many-blobs" "More blobs than one block may have."
    UnexpectedOmmers "unexpected-ommers" "Ommers after the merge (EIP-3675)."
    TooManyOmmers "too-many-ommers" "More than two ommers."
    RepeatedOmmer "repeated-ommer" "The ommer is listed twice, here or in one of the blocks before."
    OmmerIsAncestor "ommer-is-ancestor" "The ommer is a block of this chain."
    WrongOmmerDepth "wrong-ommer-depth" "The ommer is not one to six blocks older than the block."
    OmmerParentNotAncestor "ommer-parent-not-ancestor"
        "The ommer's parent is not an ancestor two to seven blocks before."
    InvalidOmmer "invalid-ommer" "The ommer's header breaks a rule against its own parent."

    // Block: the outcomes against the header.
    GasLimitAboveRemaining "gas-limit-above-remaining"
        "The transaction's gas limit is above what those before it left of the block's."
    WrongBlockGasUsed "wrong-block-gas-used" "The header's gas used is not the sum of the outcomes'."
    WrongReceiptForm "wrong-receipt-form"
        "A receipt has a status before Byzantium, or a state root from it on (EIP-658)."
    WrongReceiptsRoot "wrong-receipts-root" "The receipts root is not that of the outcomes."
    WrongLogsBloom "wrong-logs-bloom" "The bloom filter is not that of the outcomes' logs."
    BadDepositLog "bad-deposit-log" "A log of the deposit contract has not the form of a deposit (EIP-6110)."
    WrongRequestCount "wrong-request-count" "The closing declares not one output for each request call of its fork."
    WrongRequestsHash "wrong-requests-hash" "The requests hash is not that of the requests (EIP-7685)."
    WrongStateRoot "wrong-state-root" "The state root is not that of the state."
    WrongHashWrite "wrong-hash-write" "The hash that the closing writes is not the header's."
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Reason {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.iter().copied().find(|reason| reason.name() == name);
        found.ok_or_else(|| UnknownName { kind: "reason", name: name.into() })
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl From<&InvalidTransaction> for Reason {
    fn from(refusal: &InvalidTransaction) -> Self {
        match refusal {
            InvalidTransaction::PriorityFeeGreaterThanMaxFee => Self::PriorityFeeAboveMaxFee,
            InvalidTransaction::GasPriceLessThanBasefee => Self::FeeBelowBaseFee,
            InvalidTransaction::CallerGasLimitMoreThanBlock => Self::GasLimitAboveBlock,
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. } => Self::IntrinsicGas,
            InvalidTransaction::GasFloorMoreThanGasLimit { .. } => Self::GasBelowFloor,
            InvalidTransaction::RejectCallerWithCode => Self::SenderHasCode,
            InvalidTransaction::LackOfFundForMaxFee { .. } => Self::InsufficientFunds,
            InvalidTransaction::OverflowPaymentInTransaction => Self::PaymentOverflow,
            InvalidTransaction::NonceOverflowInTransaction => Self::NonceOverflow,
            InvalidTransaction::NonceTooHigh { .. } => Self::NonceTooHigh,
            InvalidTransaction::NonceTooLow { .. } => Self::NonceTooLow,
            InvalidTransaction::CreateInitCodeSizeLimit => Self::InitCodeTooLarge,
            InvalidTransaction::InvalidChainId => Self::WrongChainId,
            InvalidTransaction::MissingChainId => Self::MissingChainId,
            InvalidTransaction::TxGasLimitGreaterThanCap { .. } => Self::GasLimitAboveCap,
            InvalidTransaction::AccessListNotSupported => Self::AccessListTooEarly,
            InvalidTransaction::MaxFeePerBlobGasNotSupported => Self::BlobFeeTooEarly,
            InvalidTransaction::BlobVersionedHashesNotSupported => Self::BlobHashesTooEarly,
            InvalidTransaction::BlobGasPriceGreaterThanMax { .. } => Self::BlobFeeBelowBaseFee,
            InvalidTransaction::EmptyBlobs => Self::NoBlobs,
            InvalidTransaction::BlobCreateTransaction => Self::BlobTransactionCreates,
            InvalidTransaction::TooManyBlobs { .. } => Self::TooManyBlobsInTransaction,
            InvalidTransaction::BlobVersionNotSupported => Self::WrongBlobVersion,
            InvalidTransaction::AuthorizationListNotSupported => Self::AuthorizationListTooEarly,
            InvalidTransaction::AuthorizationListInvalidFields => Self::InvalidAuthorizationFields,
            InvalidTransaction::EmptyAuthorizationList => Self::NoAuthorizations,
            InvalidTransaction::Eip2930NotSupported => Self::AccessListTransactionTooEarly,
            InvalidTransaction::Eip1559NotSupported => Self::FeeMarketTransactionTooEarly,
            InvalidTransaction::Eip4844NotSupported => Self::BlobTransactionTooEarly,
            InvalidTransaction::Eip7702NotSupported => Self::SetCodeTransactionTooEarly,
            InvalidTransaction::Eip7873NotSupported => Self::InitCodeTransactionTooEarly,
            InvalidTransaction::Eip7873MissingTarget => Self::InitCodeTransactionCreates,
            InvalidTransaction::Str(_) => Self::Refused,
        }
    }
}

impl From<&InvalidHeader> for Reason {
    fn from(refusal: &InvalidHeader) -> Self {
        match refusal {
            InvalidHeader::PrevrandaoNotSet => Self::PrevrandaoNotSet,
            InvalidHeader::ExcessBlobGasNotSet => Self::ExcessBlobGasNotSet,
        }
    }
}

/// Longest text of what was got or expected, in bytes: files decide what is in it, and all faults of a run are kept.
pub const TEXT_BYTES: usize = 1024;

/// A text that is cut off where it is too long; what is left out is not even put together.
fn bounded(of: &impl fmt::Display) -> String {
    let mut text = Bounded(String::new());
    if write!(text, "{of}").is_err() {
        text.0 += "… (cut off)";
    }
    text.0
}

/// Takes what fits.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = TEXT_BYTES - self.0.len();
        let fits = s.floor_char_boundary(room.min(s.len()));
        self.0.push_str(&s[..fits]);
        if fits < s.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// One thing that is wrong with a chain, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The transaction; faults of a header or of a whole body are at the block's opening (index 0).
    pub location: Location,
    /// Place of the move in its transaction, from 0.
    pub move_index: Option<u32>,
    /// The cell, where the fault is about one.
    pub cell: Option<Cell>,
    /// The check that found it.
    pub check: Check,
    /// Why it is one.
    pub reason: Reason,
    /// What was found.
    pub got: String,
    /// What should have been.
    pub expected: String,
}

impl Fault {
    /// A fault of a header or a whole transaction: without a move and a cell.
    pub fn new(
        location: Location,
        check: Check,
        reason: Reason,
        got: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> Self {
        let (got, expected) = (bounded(&got), bounded(&expected));
        Self { location, move_index: None, cell: None, check, reason, got, expected }
    }

    /// The same fault, said of a move and its cell.
    pub fn at_move(self, move_index: u32, cell: Cell) -> Self {
        Self { move_index: Some(move_index), cell: Some(cell), ..self }
    }
}

impl Ord for Fault {
    /// By (block, index, check, reason, cell); the rest only makes the order total.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |f: &Self| (f.location, f.check, f.reason, f.cell, f.move_index);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.got.cmp(&other.got))
            .then_with(|| self.expected.cmp(&other.expected))
    }
}

impl PartialOrd for Fault {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.location)?;
        if let Some(cell) = &self.cell {
            write!(f, " {cell}")?;
        }
        write!(f, ": {}: got {}, expected {}", self.reason, self.got, self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, U256};
    use std::collections::HashSet;

    #[test]
    fn names_are_distinct_kebab_case_and_parse_back() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for &reason in Reason::ALL {
            let from_variant: String = format!("{reason:?}").chars().fold(String::new(), |mut name, c| {
                if c.is_ascii_uppercase() && !name.is_empty() {
                    name.push('-');
                }
                name.push(c.to_ascii_lowercase());
                name
            });
            assert_eq!(reason.to_string(), from_variant);
            assert_eq!(reason.name().parse(), Ok(reason));
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{reason}\""));
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason);
            assert!(reason.summary().ends_with('.'));
        }
        assert_eq!("no-such".parse::<Reason>().unwrap_err().to_string(), "reason \"no-such\" is not known");
        for check in Check::ALL {
            assert_eq!(check.name().parse(), Ok(check));
            assert_eq!(serde_json::to_string(&check).unwrap(), format!("\"{check}\""));
        }
        assert!("".parse::<Check>().is_err());
        assert!(Check::ALL.is_sorted() && Reason::ALL.is_sorted());
    }

    #[test]
    fn refusals_of_the_evm_map_to_distinct_reasons() {
        let zero = || Box::new(U256::ZERO);
        let refusals = [
            InvalidTransaction::PriorityFeeGreaterThanMaxFee,
            InvalidTransaction::GasPriceLessThanBasefee,
            InvalidTransaction::CallerGasLimitMoreThanBlock,
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas: 0, gas_limit: 0 },
            InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor: 0, gas_limit: 0 },
            InvalidTransaction::RejectCallerWithCode,
            InvalidTransaction::LackOfFundForMaxFee { fee: zero(), balance: zero() },
            InvalidTransaction::OverflowPaymentInTransaction,
            InvalidTransaction::NonceOverflowInTransaction,
            InvalidTransaction::NonceTooHigh { tx: 0, state: 0 },
            InvalidTransaction::NonceTooLow { tx: 0, state: 0 },
            InvalidTransaction::CreateInitCodeSizeLimit,
            InvalidTransaction::InvalidChainId,
            InvalidTransaction::MissingChainId,
            InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit: 0, cap: 0 },
            InvalidTransaction::AccessListNotSupported,
            InvalidTransaction::MaxFeePerBlobGasNotSupported,
            InvalidTransaction::BlobVersionedHashesNotSupported,
            InvalidTransaction::BlobGasPriceGreaterThanMax { block_blob_gas_price: 0, tx_max_fee_per_blob_gas: 0 },
            InvalidTransaction::EmptyBlobs,
            InvalidTransaction::BlobCreateTransaction,
            InvalidTransaction::TooManyBlobs { max: 0, have: 0 },
            InvalidTransaction::BlobVersionNotSupported,
            InvalidTransaction::AuthorizationListNotSupported,
            InvalidTransaction::AuthorizationListInvalidFields,
            InvalidTransaction::EmptyAuthorizationList,
            InvalidTransaction::Eip2930NotSupported,
            InvalidTransaction::Eip1559NotSupported,
            InvalidTransaction::Eip4844NotSupported,
            InvalidTransaction::Eip7702NotSupported,
            InvalidTransaction::Eip7873NotSupported,
            InvalidTransaction::Eip7873MissingTarget,
            InvalidTransaction::Str("".into()),
        ];
        let mut reasons: HashSet<_> = refusals.iter().map(Reason::from).collect();
        reasons.extend([InvalidHeader::PrevrandaoNotSet, InvalidHeader::ExcessBlobGasNotSet].iter().map(Reason::from));
        assert_eq!(reasons.len(), refusals.len() + 2);
    }

    #[test]
    fn faults_sort_by_block_index_check_reason_cell() {
        let at = |block, index| Location::new(block, index).unwrap();
        let fault = |location, check, reason| Fault::new(location, check, reason, 1, 2);
        let cell = |byte| Cell::account(Address::repeat_byte(byte));
        let sorted = [
            fault(at(1, 2), Check::Blocks, Reason::WrongHashWrite),
            fault(at(2, 0), Check::Signatures, Reason::HighS),
            fault(at(2, 0), Check::Hashes, Reason::BadSignature),
            fault(at(2, 0), Check::Hashes, Reason::HighS),
            fault(at(2, 0), Check::Hashes, Reason::HighS).at_move(9, cell(1)),
            fault(at(2, 0), Check::Hashes, Reason::HighS).at_move(3, cell(2)),
            fault(at(2, 1), Check::Signatures, Reason::BadSignature),
        ];
        assert!(sorted.is_sorted_by(|a, b| a < b));
        assert_eq!(sorted[1].to_string(), "2:0: high-s: got 1, expected 2");
    }
}
