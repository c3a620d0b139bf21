// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {Words} from "../src/Words.sol";
import {Base} from "./Base.sol";

/// @notice The packed code against plain numbers, over the whole range of terms and quantities.
contract TwinTest is Base {
    struct Plain {
        uint256 left;
        uint256 upTo;
        uint256 carry;
        uint256[5] prices;
        uint256 scale;
        uint256 cap;
    }

    function settlePlain(Plain memory c, uint256 upTo, uint256[5] memory used) private pure returns (uint256 paid) {
        if (upTo <= c.upTo || c.left == 0) return 0;
        for (uint256 k; k < 5; ++k) {
            paid += used[k] * c.prices[k];
        }
        paid = paid * 2 ** 64 / 2 ** c.scale;
        uint256 budget = c.cap * (2 * c.carry + upTo - c.upTo);
        if (paid > budget / 1 days) paid = budget / 1 days;
        if (paid > c.left) paid = c.left;
        c.carry = (budget - paid * 1 days) / c.cap / 2;
        if (c.carry > 1 days / 2) c.carry = 1 days / 2;
        c.left -= paid;
        c.upTo = upTo;
    }

    function testFuzz_packedEqualsPlain(
        uint32[5] memory prices,
        uint8 scale,
        uint24 mantissa,
        uint8 exponent,
        uint88 deposit,
        uint32[3] memory pauses,
        uint48[5][3] memory used
    ) public {
        scale = scale % 129;
        exponent = exponent % 65;
        if (mantissa == 0) mantissa = 1;
        if (deposit == 0) deposit = 1;
        uint256 id = openWith(prices, scale, mantissa, exponent, deposit);
        Plain memory c = Plain(deposit, T0, 0, widen(prices), scale, uint256(mantissa) << exponent);
        uint256 time = T0;
        for (uint256 i; i < 3; ++i) {
            time += pauses[i] % 400 days;
            vm.warp(time);
            uint256 paid = claim(id, c.upTo, time, pack(used[i]));
            uint256[5] memory plainUse;
            for (uint256 k; k < 5; ++k) {
                plainUse[k] = used[i][k];
            }
            vm.assertEq(paid, settlePlain(c, time, plainUse));
            vm.assertEq(hotOf(id), Words.hot(Words.tagOf(meter), c.carry, c.upTo, c.left));
        }
    }

    function openWith(uint32[5] memory prices, uint8 scale, uint24 mantissa, uint8 exponent, uint88 deposit)
        private
        returns (uint256)
    {
        uint256 packed;
        for (uint256 k; k < 5; ++k) {
            packed |= uint256(prices[k]) << 32 * k;
        }
        vm.prank(publisher);
        return pay.open(IPodPayments.Open(owner, meter, SALT, termsOf(packed, scale, mantissa, exponent, 60), deposit));
    }

    function widen(uint32[5] memory prices) private pure returns (uint256[5] memory out) {
        for (uint256 k; k < 5; ++k) {
            out[k] = prices[k];
        }
    }

    function pack(uint48[5] memory used) private pure returns (uint256 word) {
        for (uint256 k; k < 5; ++k) {
            word |= uint256(used[k]) << 48 * k;
        }
    }

    /// @notice Any words at all: never a revert, and no coin appears or vanishes.
    function testFuzz_garbageNeverReverts(uint256[] memory raw, uint64 pause) public {
        uint256 id = open(1e6);
        vm.warp(T0 + pause % 1000 days);
        uint256[] memory words = new uint256[](raw.length / 2 * 2);
        for (uint256 i; i < words.length; ++i) {
            words[i] = i % 2 == 0 && raw[i] % 3 == 0 ? wordOf(id, T0, raw[i] >> 8) : raw[i];
        }
        vm.prank(meter);
        uint256 paid = pay.submitUsage(owner, 0, words, noRefs());
        vm.assertEq(leftOf(id) + paid, 1e6);
    }

    /// @notice A batch pays what its items would pay one by one.
    function testFuzz_batchEqualsSingles(uint32[4] memory used) public {
        uint256[] memory words = new uint256[](8);
        for (uint256 i; i < 4; ++i) {
            uint256 id = open(bytes32(i), 1e6);
            (words[2 * i], words[2 * i + 1]) = (wordOf(id, T0, T0 + 60), used[i]);
        }
        vm.warp(T0 + 60);
        uint256 snapshot = vm.snapshotState();
        vm.prank(meter);
        uint256 together = pay.submitUsage(owner, 0, words, noRefs());
        vm.revertToState(snapshot);
        uint256 apart;
        for (uint256 i; i < 4; ++i) {
            apart += claim(pay.idOf(owner, publisher, bytes32(i)), T0, T0 + 60, used[i]);
        }
        vm.assertEq(together, apart);
    }

    /// @notice Splitting a period never pays more than claiming it at once.
    function testFuzz_splittingGainsNothing(uint32 a, uint32 b, uint16 cut) public {
        uint256 first = open(1e12);
        uint256 second = open(bytes32(uint256(6)), 1e12);
        uint256 middle = T0 + 1 + cut;
        vm.warp(middle + 1000);
        uint256 whole = claim(first, T0, middle + 1000, uint256(a) + b);
        uint256 split = claim(second, T0, middle, a) + claim(second, middle, middle + 1000, b);
        vm.assertLe(split, whole);
    }
}
