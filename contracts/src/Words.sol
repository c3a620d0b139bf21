// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPodPayments} from "./IPodPayments.sol";

/// @title The two storage words of a payment channel, and the arithmetic on them
/// @notice hot word, the only one that a claim writes (high bits first):
///           meter tag u120 | carry u16 (units of 2 s) | upTo u32 | left u88
///         terms word, which a claim reads:
///           unlockAt u40 | unlockMinutes u16 | cap mantissa u24 | cap exponent u8 | scale u8 | 5 x price u32
///         The five prices and quantities stand in the order CPU core-ms, memory MiB-s, storage MiB-s,
///         egress KiB, ingress KiB, the first in the lowest bits. One unit costs price * 2^64 / 2^scale
///         base units of the token. The cap is mantissa * 2^exponent base units per day.
library Words {
    /// @notice The longest notice that terms may ask for.
    uint256 internal constant MAX_UNLOCK_MINUTES = 30 days / 1 minutes;
    /// @notice At most a day of unused allowance is carried, in units of two seconds.
    uint256 internal constant MAX_CARRY = 1 days / 2;
    /// @notice Exponents above this would let a cap exceed every deposit, and overflow the budget.
    uint256 internal constant MAX_CAP_EXPONENT = 64;
    /// @notice Flag of a settlement: paid less than due, the deposit is used up.
    uint256 internal constant CUT_DEPOSIT = 1;
    /// @notice Flag of a settlement: paid less than due, the allowance is used up.
    uint256 internal constant CUT_CAP = 2;
    /// @notice Flag of a settlement: nothing was written; with a flag of a cut: as the item asks to be paid whole.
    uint256 internal constant DRY = 4;
    /// @notice Bits of an item's second word: the channel is to end; the item counts with a voucher only; it is to be
    ///         paid whole or not at all. An item that ends its channel is its last and is paid as far as can be.
    uint256 internal constant RELEASE = 1 << 255;
    uint256 internal constant VOUCHED = 1 << 254;
    uint256 internal constant WHOLE = 1 << 253;
    /// @notice Scales above this round every price to nothing.
    uint256 internal constant MAX_SCALE = 128;

    /// @notice Where a hot word keeps its upTo, and a result too.
    uint256 internal constant UP_TO = uint256(type(uint32).max) << 88;
    uint256 private constant UNLOCK_AT = uint256(type(uint40).max) << 216;
    uint256 private constant CAP = uint256(type(uint32).max) << 168;

    /// @notice The 120 bits of a meter's address that a channel keeps.
    function tagOf(address meter) internal pure returns (uint256) {
        return uint120(uint160(meter));
    }

    /// @notice Packs a hot word; callers hold every field within its width, `dated` the times.
    function hot(uint256 tag, uint256 carry, uint256 upTo, uint256 left) internal pure returns (uint256) {
        return tag << 136 | carry << 120 | upTo << 88 | left;
    }

    /// @notice A block's time, where it fits the 32 bits in which times of periods are kept (until 2106).
    function dated(uint256 time) internal pure returns (uint256) {
        if (time > type(uint32).max) revert IPodPayments.TooLate();
        return time;
    }

    /// @notice Meter tag of a hot word.
    function tagIn(uint256 h) internal pure returns (uint256) {
        return h >> 136;
    }

    /// @notice Unused allowance of a hot word, in units of two seconds of the cap.
    function carryIn(uint256 h) internal pure returns (uint256) {
        return uint16(h >> 120);
    }

    /// @notice End of the last settled period of a hot word.
    function upToIn(uint256 h) internal pure returns (uint256) {
        return uint32(h >> 88);
    }

    /// @notice Deposit of a hot word that is neither paid nor refunded.
    function leftIn(uint256 h) internal pure returns (uint256) {
        return uint88(h);
    }

    /// @notice When a notice ends; 0 when none runs.
    function unlockAtIn(uint256 t) internal pure returns (uint256) {
        return t >> 216;
    }

    /// @notice The same terms with a notice that ends at `when`; 0 takes it back. 40 bits, so that channels can be left
    ///         after 2106 too; `ending` holds it within them.
    function withUnlockAt(uint256 t, uint256 when) internal pure returns (uint256) {
        return t & ~UNLOCK_AT | when << 216;
    }

    /// @notice When a notice ends that is given at `time`.
    function ending(uint256 t, uint256 time) internal pure returns (uint256 when) {
        unchecked {
            when = time + uint256(uint16(t >> 200)) * 1 minutes; // below 2^22, and a block's time
        }
        if (when > type(uint40).max) revert IPodPayments.TooLate();
    }

    /// @notice Cap in base units per day; below 2^88.
    function capIn(uint256 t) internal pure returns (uint256) {
        return uint256(uint24(t >> 176)) << uint8(t >> 168);
    }

    /// @notice The same terms with another cap.
    function withCap(uint256 t, uint256 mantissa, uint256 exponent) internal pure returns (uint256) {
        return t & ~CAP | mantissa << 176 | exponent << 168;
    }

    /// @notice Whether a publisher may open a channel with these terms.
    function acceptable(uint256 t) internal pure returns (bool) {
        return unlockAtIn(t) == 0 && uint16(t >> 200) <= MAX_UNLOCK_MINUTES && uint24(t >> 176) != 0
            && uint8(t >> 168) <= MAX_CAP_EXPONENT && uint8(t >> 160) <= MAX_SCALE;
    }

    /// @notice Price of five quantities of 48 bits, rounded down.
    /// @dev The sum is below 5 * 2^80, so the product stays below 2^147 and nothing overflows.
    function due(uint256 t, uint256 quantities) internal pure returns (uint256 amount) {
        assembly ("memory-safe") {
            let q := 0xffffffffffff
            let p := 0xffffffff
            amount := mul(and(quantities, q), and(t, p))
            amount := add(amount, mul(and(shr(48, quantities), q), and(shr(32, t), p)))
            amount := add(amount, mul(and(shr(96, quantities), q), and(shr(64, t), p)))
            amount := add(amount, mul(and(shr(144, quantities), q), and(shr(96, t), p)))
            amount := add(amount, mul(and(shr(192, quantities), q), and(shr(128, t), p)))
            amount := shr(and(shr(160, t), 0xff), shl(64, amount))
        }
    }

    /// @notice Settles one period: what is paid for five quantities, and the hot word after it.
    /// @dev Called with upTo > upToIn(h) only. cap < 2^88 and seconds < 2^33, so the budget stays below 2^121;
    ///      paid * 1 day stays below 2^105.
    /// @param most what a voucher lets through whatever the allowance is; 0 without one
    /// @return paid what the deposit and the allowance let through
    /// @return flags CUT_CAP and CUT_DEPOSIT, where they did not let everything through; with DRY, where nothing is
    ///         paid as the item asks for all or nothing
    /// @return next the hot word to store
    function settle(uint256 h, uint256 t, uint256 upTo, uint256 quantities, uint256 most)
        internal
        pure
        returns (uint256 paid, uint256 flags, uint256 next)
    {
        unchecked {
            uint256 cap = uint256(uint24(t >> 176)) << uint8(t >> 168);
            uint256 budget = cap * (2 * uint256(uint16(h >> 120)) + upTo - uint32(h >> 88));
            uint256 left = uint88(h);
            paid = due(t, quantities);
            uint256 limit = budget / 1 days;
            if (paid > limit) {
                if (limit < most) limit = most;
                if (paid > limit) {
                    if (_onlyWhole(quantities)) return (0, DRY | CUT_CAP | (limit > left ? CUT_DEPOSIT : 0), h);
                    paid = limit;
                    flags = CUT_CAP;
                }
            }
            if (paid > left) {
                if (_onlyWhole(quantities)) return (0, DRY | CUT_DEPOSIT, h);
                paid = left;
                flags |= CUT_DEPOSIT;
            }
            next = h >> 136 << 136 | upTo << 88 | (left - paid);
            uint256 spent = paid * 1 days;
            if (spent < budget) {
                uint256 carry = (budget - spent) / (2 * cap);
                next |= (carry < MAX_CARRY ? carry : MAX_CARRY) << 120;
            }
        }
    }

    function _onlyWhole(uint256 quantities) private pure returns (bool) {
        return quantities & (WHOLE | RELEASE) == WHOLE;
    }
}
