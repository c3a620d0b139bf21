// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {Base} from "./Base.sol";

/// @notice Opening, funding and leaving.
contract ChannelsTest is Base {
    function test_openStoresEverythingAndPullsTheDeposit() public {
        uint256 id = open(1e6);
        IPodPayments.Channel memory c = stateOf(id);
        vm.assertEq(id, uint192(uint256(keccak256(abi.encode(owner, publisher, SALT)))));
        vm.assertEq(c.hot, uint256(uint120(uint160(meter))) << 136 | T0 << 88 | 1e6);
        vm.assertEq(c.terms, terms());
        vm.assertEq(token.balanceOf(address(pay)), 1e6);
    }

    function test_aSecondOpenMeetsTheFirst() public {
        open(1e6);
        vm.prank(publisher);
        vm.expectRevert(IPodPayments.Live.selector);
        pay.open(IPodPayments.Open(owner, nextMeter, SALT, terms(), 5));
    }

    function test_openManyPullsOnce() public {
        IPodPayments.Open[] memory orders = new IPodPayments.Open[](3);
        for (uint256 i; i < 3; ++i) {
            orders[i] = order(bytes32(i), uint88(i + 1));
        }
        vm.prank(publisher);
        pay.openMany(orders);
        vm.assertEq(token.balanceOf(address(pay)), 6);
        vm.assertEq(leftOf(pay.idOf(owner, publisher, bytes32(uint256(2)))), 3);
    }

    function test_termsOutOfRangeAreRefused() public {
        uint256[7] memory bad = [
            terms() | 1 << 216, // a notice that runs already
            terms() | 1 << 248,
            termsOf(1, 129, 1, 0, 60),
            termsOf(1, 64, 1, 65, 60),
            termsOf(1, 64, 0, 5, 60),
            termsOf(1, 64, 1, 0, 30 * 24 * 60 + 1),
            0
        ];
        vm.startPrank(publisher);
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(IPodPayments.BadTerms.selector);
            pay.open(IPodPayments.Open(owner, meter, SALT, bad[i], 5));
        }
    }

    function test_partiesOutOfRangeAreRefused() public {
        vm.startPrank(publisher);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.open(order(SALT, 0));
        vm.expectRevert(IPodPayments.BadTerms.selector);
        pay.open(IPodPayments.Open(address(0), meter, SALT, terms(), 5));
        vm.expectRevert(IPodPayments.BadTerms.selector);
        pay.open(IPodPayments.Open(owner, address(0), SALT, terms(), 5));
        vm.expectRevert(IPodPayments.BadTerms.selector); // else the owner could claim
        pay.open(IPodPayments.Open(owner, owner, SALT, terms(), 5));
    }

    function test_anybodyTopsUpALiveChannel() public {
        uint256 id = open(1e6);
        address friend = address(0xF);
        token.mint(friend, 50);
        vm.startPrank(friend);
        token.approve(address(pay), 50);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.topUp(owner, id, 0);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.topUp(owner, id, type(uint88).max);
        vm.expectRevert(IPodPayments.Unknown.selector);
        pay.topUp(owner, id + 1, 50);
        pay.topUp(owner, id, 50);
        vm.assertEq(leftOf(id), 1e6 + 50);
    }

    function test_topUpDoesNotCancelANotice() public {
        uint256 id = open(1e6);
        vm.prank(publisher);
        pay.unlock(owner, SALT);
        uint256 running = stateOf(id).terms;
        topUp(id, 1);
        vm.assertEq(stateOf(id).terms, running);
    }

    function test_leavingTakesTheWholeNotice() public {
        uint256 id = open(1e6);
        vm.startPrank(publisher);
        vm.expectRevert(IPodPayments.Locked.selector);
        pay.close(owner, SALT);
        pay.unlock(owner, SALT);
        vm.assertEq(stateOf(id).terms >> 216, T0 + 3600);
        vm.warp(T0 + 1800);
        vm.expectRevert(IPodPayments.Locked.selector); // a second call must not push the first
        pay.unlock(owner, SALT);
        vm.warp(T0 + 3599);
        vm.expectRevert(IPodPayments.Locked.selector);
        pay.close(owner, SALT);
        vm.warp(T0 + 3600);
        uint256 before = token.balanceOf(publisher);
        pay.close(owner, SALT);
        vm.assertEq(token.balanceOf(publisher) - before, 1e6);
        vm.assertEq(hotOf(id), 0);
    }

    function test_aCancelledNoticeStartsAnew() public {
        open(1e6);
        vm.startPrank(publisher);
        pay.unlock(owner, SALT);
        vm.warp(T0 + 3600);
        pay.cancelUnlock(owner, SALT);
        vm.expectRevert(IPodPayments.Locked.selector);
        pay.close(owner, SALT);
        pay.unlock(owner, SALT);
        vm.expectRevert(IPodPayments.Locked.selector);
        pay.close(owner, SALT);
    }

    function test_noticeIsNotInheritedByTheNextLife() public {
        open(1e6);
        vm.startPrank(publisher);
        pay.unlock(owner, SALT);
        vm.warp(T0 + 3600);
        pay.close(owner, SALT);
        vm.stopPrank();
        open(1e6);
        vm.prank(publisher);
        vm.expectRevert(IPodPayments.Locked.selector);
        pay.close(owner, SALT);
    }

    function test_strangersCommandNothing() public {
        uint256 id = open(1e6);
        IPodPayments.Channel memory before = stateOf(id);
        address[3] memory strangers = [address(0xBAD), owner, operator];
        for (uint256 i; i < 3; ++i) {
            vm.startPrank(strangers[i]);
            vm.expectRevert(IPodPayments.Unknown.selector);
            pay.unlock(owner, SALT);
            vm.expectRevert(IPodPayments.Unknown.selector);
            pay.cancelUnlock(owner, SALT);
            vm.expectRevert(IPodPayments.Unknown.selector);
            pay.close(owner, SALT);
            vm.expectRevert(IPodPayments.Unknown.selector);
            pay.raiseCap(owner, SALT, type(uint24).max, 64);
            vm.expectRevert(IPodPayments.Unknown.selector);
            pay.move(owner, SALT, meter, nextMeter);
            vm.stopPrank();
        }
        vm.prank(operator);
        vm.expectRevert(IPodPayments.Unknown.selector);
        pay.release(refsOf(publisher, SALT));
        vm.assertEq(stateOf(id).hot, before.hot);
        vm.assertEq(stateOf(id).terms, before.terms);
    }

    function test_theOwnerReleasesAtOnce() public {
        open(1e6);
        uint256 before = token.balanceOf(publisher);
        vm.startPrank(owner);
        pay.release(refsOf(publisher, SALT));
        vm.assertEq(token.balanceOf(publisher) - before, 1e6);
        vm.expectRevert(IPodPayments.Unknown.selector);
        pay.release(refsOf(publisher, SALT));
    }

    function test_aCapOnlyRises() public {
        uint256 id = open(1e6);
        vm.startPrank(publisher);
        vm.expectRevert(IPodPayments.BadTerms.selector);
        pay.raiseCap(owner, SALT, uint24(RATE * DAY), 0);
        vm.expectRevert(IPodPayments.BadTerms.selector);
        pay.raiseCap(owner, SALT, 1, 65);
        pay.raiseCap(owner, SALT, uint24(RATE * DAY), 1);
        vm.stopPrank();
        vm.assertEq(stateOf(id).terms, termsOf(1, 64, RATE * DAY, 1, 60));
        vm.warp(T0 + 100);
        vm.assertEq(claim(id, T0, T0 + 100, 1e5), 2 * RATE * 100);
    }

    function test_withdrawPaysOnlyThePayout() public {
        uint256 id = open(1e6);
        address target = address(0x7A);
        vm.warp(T0 + 100);
        claim(id, T0, T0 + 100, 50);
        vm.prank(meter);
        pay.setPayout(meter); // sets its own, not the owner's
        vm.prank(owner);
        pay.setPayout(target);
        vm.prank(address(0xBAD));
        pay.withdraw(owner);
        vm.assertEq(token.balanceOf(target), 50);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.withdraw(owner);
    }
}
