// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Test.sol";

/// @notice What a meter may claim, and what it may not.
contract ClaimsTest is Base {
    function test_usageIsPaidAtTheAgreedPrices() public {
        uint256 prices = 3 | uint256(5) << 32 | uint256(7) << 64 | uint256(11) << 96 | uint256(13) << 128;
        vm.prank(publisher);
        uint256 id = pay.open(IPodPayments.Open(owner, meter, SALT, termsOf(prices, 65, 1 << 20, 20, 60), 1e6));
        vm.warp(T0 + 100);
        uint256 quantities = 1 | uint256(10) << 48 | uint256(100) << 96 | uint256(1000) << 144 | uint256(10000) << 192;
        uint256 due = uint256(3 + 50 + 700 + 11000 + 130000) / 2; // scale 65 halves
        vm.assertEq(claim(id, T0, T0 + 100, quantities), due);
        vm.assertEq(leftOf(id), 1e6 - due);
        vm.assertEq(owedTo(owner), due);
    }

    function test_replay_resentBatchesPayOnce() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, 50);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        vm.prank(address(9));
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 50);
        vm.recordLogs();
        vm.prank(owner);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 0);
        vm.assertEq(flagsLogged(), pay.STALE());
        vm.prank(meter);
        vm.assertEq(pay.submitUsage(owner, 0, words, noRefs()), 0);
        vm.assertEq(leftOf(id), 1e6 - 50);
    }

    function test_replay_otherContractChainAndOwner() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, 50);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        PodPayments twin = new PodPayments(IERC20(address(token)));
        vm.startPrank(publisher);
        token.approve(address(twin), 1e6);
        twin.open(order(SALT, 1e6));
        pay.open(IPodPayments.Open(address(0xBAD), meter, SALT, terms(), 1e6));
        vm.stopPrank();
        vm.assertEq(twin.submitUsageFor(owner, 0, words, noRefs(), signature), 0);
        vm.assertEq(pay.submitUsageFor(address(0xBAD), 0, words, noRefs(), signature), 0);
        vm.prank(meter); // even by the meter itself: ids hold the owner
        vm.assertEq(pay.submitUsage(address(0xBAD), 0, words, noRefs()), 0);
        vm.chainId(99);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 0);
        vm.chainId(31337);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 50);
    }

    function test_replay_anotherLifeOfTheChannel() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, 50);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        vm.prank(owner);
        pay.release(refsOf(publisher, SALT));
        vm.assertEq(open(1e6), id);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 0);
        vm.assertEq(leftOf(id), 1e6);
    }

    function test_stale_gapsOverlapsAndEmptyPeriods() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 1000);
        vm.assertEq(claim(id, T0 + 1, T0 + 100, 5), 0); // a gap
        vm.assertEq(claim(id, T0, T0, 5), 0); // empty
        vm.assertEq(claim(id, T0, T0 - 1, 5), 0); // backwards
        vm.assertEq(claim(id, T0, T0 + 400, 40), 40);
        vm.assertEq(claim(id, T0, T0 + 1000, 90), 0); // overlaps
        vm.assertEq(claim(id, T0 + 400, T0 + 1000, 60), 60);
    }

    function test_future_isSkippedNotClampedAndTheRestPays() public {
        uint256 a = open(1e6);
        uint256 b = open(bytes32(uint256(6)), 1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = new uint256[](4);
        (words[0], words[1]) = (wordOf(a, T0, T0 + 101), 50);
        (words[2], words[3]) = (wordOf(b, T0, T0 + 100), 60);
        vm.recordLogs();
        vm.prank(meter);
        vm.assertEq(pay.submitUsage(owner, 0, words, noRefs()), 60);
        vm.assertEq(flagsLogged(), pay.FUTURE());
        vm.assertEq(upToOf(a), T0);
        vm.warp(T0 + 101); // the same batch a second later: the skipped item pays, the paid one is stale
        vm.prank(meter);
        vm.assertEq(pay.submitUsage(owner, 0, words, noRefs()), 50);
    }

    function test_dry_keepsTheArrearsUntilATopUp() public {
        uint256 id = open(100);
        vm.warp(T0 + 100);
        vm.recordLogs();
        vm.assertEq(claim(id, T0, T0 + 50, 150), 100);
        vm.assertEq(flagsLogged(), pay.CUT_DEPOSIT());
        vm.assertEq(claim(id, T0 + 50, T0 + 100, 70), 0);
        vm.assertEq(flagsLogged(), pay.DRY());
        vm.assertEq(upToOf(id), T0 + 50);
        topUp(id, 500);
        vm.assertEq(claim(id, T0 + 50, T0 + 100, 70), 70);
    }

    function test_cap_isTheRateFromTheFirstSecond() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 10);
        vm.recordLogs();
        vm.assertEq(claim(id, T0, T0 + 10, 1e6), 10 * RATE); // empty at open
        vm.assertEq(flagsLogged(), pay.CUT_CAP());
    }

    function test_cap_unusedAllowanceIsCarriedForADay() public {
        uint256 id = open(1e8);
        uint256 time = T0;
        for (uint256 hour; hour < 5 * 24; ++hour) {
            vm.warp(time + 1 hours);
            claim(id, time, time + 1 hours, 0);
            time += 1 hours;
        }
        vm.warp(time + 2 hours);
        vm.assertEq(claim(id, time, time + 1 hours, 1e9), 25 * 1 hours * RATE);
        vm.assertEq(claim(id, time + 1 hours, time + 2 hours, 1e9), 1 hours * RATE); // the bucket is empty
    }

    function test_cap_claimsForfeitUnderTwoSecondsEach() public {
        uint256 id = open(1e6);
        uint256 paid;
        for (uint256 i; i < 60; ++i) {
            vm.warp(T0 + 61 * (i + 1));
            paid += claim(id, T0 + 61 * i, T0 + 61 * (i + 1), 61 * RATE - 1);
        }
        vm.assertLe(60 * (61 * RATE - 1) - paid, 60 * 2 * RATE);
    }

    function test_ownerAndOperatorCannotClaim() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, 50);
        vm.recordLogs();
        vm.prank(owner);
        vm.assertEq(pay.submitUsage(owner, 0, words, noRefs()), 0);
        vm.assertEq(flagsLogged(), pay.FOREIGN());
        vm.prank(operator);
        vm.assertEq(pay.submitUsage(owner, 0, words, noRefs()), 0);
        bytes memory own = signUsage(77, words, noRefs());
        vm.prank(owner);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), own), 0);
    }

    function test_releaseNeedsAnItemThatHolds() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256 asked = RELEASE | 50;
        IPodPayments.Ref[] memory refs = refsOf(publisher, SALT);
        vm.startPrank(meter);
        pay.submitUsage(owner, 0, pairOf(id, T0 + 1, T0 + 100, asked), refs); // stale
        pay.submitUsage(owner, 0, pairOf(id, T0, T0 + 101, asked), refs); // future
        pay.submitUsage(owner, 0, pairOf(id + 1, T0, T0 + 100, asked), refs); // foreign
        vm.assertEq(hotOf(id) == 0 ? 1 : 0, 0);
        pay.submitUsage(owner, 0, pairOf(id, T0, T0 + 50, 50), refs); // not asked for
        vm.assertEq(leftOf(id), 1e6 - 50);
        uint256 before = token.balanceOf(publisher);
        vm.recordLogs();
        vm.assertEq(pay.submitUsage(owner, 0, pairOf(id, T0 + 50, T0 + 100, asked), refs), 50);
        vm.assertEq(flagsLogged(), pay.RELEASED());
        vm.assertEq(hotOf(id), 0);
        vm.assertEq(token.balanceOf(publisher) - before, 1e6 - 100);
        vm.assertEq(token.balanceOf(address(pay)), 100);
    }

    function test_releaseWithAWrongReferenceOnlyPays() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        vm.recordLogs();
        vm.prank(meter);
        vm.assertEq(pay.submitUsage(owner, 0, pairOf(id, T0, T0 + 100, RELEASE | 50), refsOf(meter, SALT)), 50);
        vm.assertEq(flagsLogged(), pay.BAD_REF());
        vm.assertEq(leftOf(id), 1e6 - 50);
    }

    function test_twoReleasesOfOneChannelEndItOnce() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = new uint256[](4);
        (words[0], words[2]) = (wordOf(id, T0, T0 + 50), wordOf(id, T0 + 50, T0 + 100));
        words[1] = words[3] = RELEASE | 5;
        IPodPayments.Ref[] memory refs = new IPodPayments.Ref[](2);
        refs[0] = refs[1] = IPodPayments.Ref(publisher, SALT);
        vm.recordLogs();
        vm.prank(meter);
        vm.assertEq(pay.submitUsage(owner, 0, words, refs), 10);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 closed;
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] == IPodPayments.Closed.selector) ++closed;
        }
        vm.assertEq(closed, 1);
        vm.assertEq(token.balanceOf(address(pay)), 10);
    }

    function test_aRelayerCannotStripOrChangeARelease() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, RELEASE | 50);
        IPodPayments.Ref[] memory refs = refsOf(publisher, SALT);
        bytes memory signature = signUsage(METER_KEY, words, refs);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 0);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, refsOf(publisher, 0), signature), 0);
        vm.assertEq(upToOf(id), T0);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, refs, signature), 50);
        vm.assertEq(hotOf(id), 0);
    }

    function test_malformedSignaturesRevert() public {
        uint256[] memory words = pairOf(open(1e6), T0, T0 + 1, 5);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        signature[64] = 0x1d;
        vm.expectRevert();
        pay.submitUsageFor(owner, 0, words, noRefs(), signature);
        vm.expectRevert();
        pay.submitUsageFor(owner, 0, words, noRefs(), "");
        vm.expectRevert(IPodPayments.BadLength.selector);
        vm.prank(meter);
        pay.submitUsage(owner, 0, new uint256[](3), noRefs());
    }

    function test_whatADeadMeterSignedIsStillPaid() public {
        uint256 id = open(1e6);
        bytes[] memory signatures = new bytes[](5);
        uint256[][] memory batches = new uint256[][](5);
        for (uint256 i; i < 5; ++i) {
            vm.warp(T0 + 300 * (i + 1));
            batches[i] = pairOf(id, T0, T0 + 300 * (i + 1), 100 * (i + 1));
            signatures[i] = signUsage(METER_KEY, batches[i], noRefs());
        }
        vm.assertEq(pay.submitUsageFor(owner, 0, batches[4], noRefs(), signatures[4]), 500);
        for (uint256 i; i < 5; ++i) {
            vm.assertEq(pay.submitUsageFor(owner, 0, batches[i], noRefs(), signatures[i]), 0);
        }
    }

    function test_reorg_reopenedAtAnotherTime() public {
        uint256 snapshot = vm.snapshotState();
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, 50);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 50);
        vm.revertToState(snapshot);
        vm.warp(T0 + 7);
        vm.assertEq(open(1e6), id);
        vm.warp(T0 + 110);
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 0); // flagged, not wedged
        vm.assertEq(claim(id, T0 + 7, T0 + 110, 50), 50);
    }

    /// @notice A known limit: the channel keeps 120 bits of the meter, so an address that agrees in them may claim.
    function test_limit_theTagIsNotTheWholeAddress() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        vm.prank(address(uint160(meter) ^ (1 << 130)));
        vm.assertEq(pay.submitUsage(owner, 0, pairOf(id, T0, T0 + 100, 50), noRefs()), 50);
    }

    /// @notice A known limit: who does not claim for five days may take five days of allowance in one item.
    function test_limit_longPeriodsCarryMoreThanADay() public {
        uint256 id = open(1e8);
        vm.warp(T0 + 5 days);
        vm.assertEq(claim(id, T0, T0 + 5 days, 1e9), 5 days * RATE);
    }

    // ---- all or nothing ----

    /// @notice Whatever would be cut: with the whole bit nothing is written, and the same period is paid in full later.
    function testFuzz_whatIsPaidWholeIsNeverCut(uint32 deposit, uint40 used, uint16 seconds_, uint32 more) public {
        deposit = deposit % 1e9 + 1;
        uint256 upTo = T0 + 1 + seconds_;
        uint256 id = open(deposit);
        vm.warp(upTo);
        uint256 before = hotOf(id);
        bool fits = used <= deposit && used <= RATE * (upTo - T0);
        vm.recordLogs();
        vm.assertEq(claim(id, T0, upTo, WHOLE | used), fits ? used : 0);
        uint256 flags = flagsLogged();
        if (fits) {
            vm.assertEq(flags, 0);
            return;
        }
        vm.assertEq(flags & pay.DRY(), pay.DRY());
        vm.assertTrue(flags & (pay.CUT_CAP() | pay.CUT_DEPOSIT()) != 0);
        vm.assertEq(hotOf(id), before);
        topUp(id, uint88(more) + 1); // a stranger's unit changes nothing, enough does
        if (used > RATE * (upTo - T0)) return;
        if (uint256(deposit) + more + 1 < used) topUp(id, uint88(used));
        vm.assertEq(claim(id, T0, upTo, WHOLE | used), used);
    }

    function test_aLastItemIsPaidAsFarAsItCanBe() public {
        uint256 id = open(50);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, RELEASE | WHOLE | 77);
        vm.recordLogs();
        vm.prank(meter);
        vm.assertEq(pay.submitUsage(owner, 0, words, refsOf(publisher, SALT)), 50);
        vm.assertEq(flagsLogged(), pay.CUT_DEPOSIT() | pay.RELEASED());
    }
}
