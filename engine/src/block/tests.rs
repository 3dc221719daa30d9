//! Tests of the judgement Block.
