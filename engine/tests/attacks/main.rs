//! Attacks on the protocol, end to end: a valid file is taken apart, one thing is changed, and the file that comes of it is
//! judged forward, in reverse and shuffled. Each test fails without the rule it is named for.
//!
//! `sample` takes files apart, `kit` says what is expected of an answer, `built` makes a small chain with a death, a loop and a hash that is asked for, `lies` changes
//! every field there is. The attacks that the protocol answers, and the test that holds each (`d`: engine/src/double_use/
//! tests, `b`: engine/src/block/tests, else here):
//!
//! | attack | test |
//! | --- | --- |
//! | a false header number moves locations | `blocks::a_false_number_is_a_fault_at_its_place_and_moves_nothing` |
//! | a false header number begins another segment | `blocks::a_chain_is_one_segment_whatever_its_headers_say` |
//! | origins of generations differ at a seam | d `imports::generations_of_different_origins_meet`, `imports::fewer_deaths_than_the_later_import_saw_is_wrong_before` |
//! | base loses its bound when a file is cut | d `attacks::base_keeps_its_bound_when_a_file_is_cut` |
//! | base or assumed from genesis | `moves::base_and_assumed_are_malformed_from_genesis_and_base_beyond_the_segment` |
//! | an assumption is forgotten, or its exit is believed | d `attacks::assumed_stays_counted_and_hides_its_exit` |
//! | an ordinary transaction assumes, or more than the default | `moves::only_system_transactions_assume_and_only_the_default` |
//! | ommers kept back | `blocks::ommers_kept_back_leave_the_miner_unknown` |
//! | a second claim that a cell is virgin | `moves::a_second_claim_that_a_slot_is_virgin`, d `attacks` |
//! | a generation without a death, a death without one | `moves::generations_grow_by_death_and_by_nothing_else` |
//! | storage of an earlier generation | `moves::storage_of_an_earlier_generation_is_out_of_reach` |
//! | gas limit above what is left in the block | `blocks::gas_left_in_the_block_bounds_each_gas_limit`, b `attacks` |
//! | cumulative gas | `blocks::gas_shifted_between_transactions_keeps_the_sum_and_not_the_receipts` |
//! | blobs above the block's maximum | `blocks::blobs_of_a_block_are_bounded_by_its_fork`, b `attacks` |
//! | deposits that a closing keeps back | b `attacks::deposits_come_from_the_logs_of_all_transactions` |
//! | ommers, merge and fees without what came before | b `attacks::more_input_never_takes_a_fault_away` |
//! | earlier headers that no hash chain holds | `blocks::earlier_headers_are_evidence_only_along_the_hash_chain` |
//! | total difficulty before genesis | `blocks::nothing_comes_before_block_0` |
//! | an allocation that header 0 does not state | `blocks::the_allocation_is_that_of_header_0` |
//! | a parent hash that contradicts a move | `blocks::a_parent_hash_mid_chain_contradicts_a_hash_that_is_asked_for`, d |
//! | a set-code tuple declared void, or another's | `moves::authorities_are_those_that_signed_one_a_tuple` |
//! | an authority without a tuple | `moves::a_transaction_without_tuples_declares_no_authority` |
//! | the closing's hash write left out, or false | `moves::the_hash_write_is_demanded_by_solo_and_judged_by_block` |
//! | a false gas figure under a huge gas limit | `moves::a_false_gas_figure_costs_no_more_than_what_it_says` |
//! | no outcome, or one that cannot be | `moves::outcomes_belong_to_transactions_that_can_be_included` |
//! | another chain's rules, another genesis | `blocks::rules_and_genesis_are_part_of_the_claim` |
//! | money from nothing at a seam | d `attacks::money_from_nothing` |
//! | code that is not what its key says, or not there | `moves::code_blobs_hash_to_their_keys_and_are_there` |
//! | a number beyond the table, a table with duplicates | loader `file::tests::hostile` |
//! | a seam: another chain's block, false headers or totals brought along, blocks twice or missing | `segments` |
//! | hints of the sum procedure | d `sums::no_hint_confirms_a_lie` |
//!
//! Not here, since what they attack does not exist yet: batches of signatures, native transactions.

mod blocks;
mod built;
mod kit;
mod lies;
mod moves;
// The lie-maker's. By its path, not by its crate: that depends on the engine, which unit tests would have to wait for.
#[allow(dead_code)]
#[path = "../../../datasets/src/lies/sample.rs"]
mod sample;
mod segments;
