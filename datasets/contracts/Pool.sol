// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

interface IToken {
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// A pool of two tokens whose product stays: whoever gives one gets the other, less 0.3 %. Every swap writes both reserves.
contract Pool {
    // Slots 0 and 1: the tokens; slot 2: both reserves. What the genesis writes.
    IToken public token0;
    IToken public token1;
    uint128 public reserve0;
    uint128 public reserve1;

    event Swap(address indexed sender, bool zeroForOne, uint256 given, uint256 got);

    /// Gives `given` of one token for at least `least` of the other.
    function swap(bool zeroForOne, uint256 given, uint256 least) external returns (uint256 got) {
        (uint256 reserveIn, uint256 reserveOut) = zeroForOne ? (reserve0, reserve1) : (reserve1, reserve0);
        (IToken tokenIn, IToken tokenOut) = zeroForOne ? (token0, token1) : (token1, token0);
        uint256 counted = given * 997;
        got = (counted * reserveOut) / (reserveIn * 1000 + counted);
        require(got >= least, "too little");
        (uint256 nowIn, uint256 nowOut) = (reserveIn + given, reserveOut - got);
        (reserve0, reserve1) =
            zeroForOne ? (uint128(nowIn), uint128(nowOut)) : (uint128(nowOut), uint128(nowIn));
        require(tokenIn.transferFrom(msg.sender, address(this), given));
        require(tokenOut.transfer(msg.sender, got));
        emit Swap(msg.sender, zeroForOne, given, got);
    }
}
