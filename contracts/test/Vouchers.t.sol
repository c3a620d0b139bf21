// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {Base} from "./Base.sol";
import {Wallet} from "./Tokens.sol";

/// @notice A publisher's word against its own cap.
contract VouchersTest is Base {
    uint256 private constant BURST = 50 * RATE * 100; // fifty times what the cap allows in the 100 s of most tests

    function test_aVoucherLiftsTheCapUpToItsCeiling() public {
        uint256 id = open(1e9);
        vm.warp(T0 + 100);
        vm.recordLogs();
        vm.assertEq(redeem(pairOf(id, T0, T0 + 100, VOUCHED | BURST), one(voucherOf(T0, T0 + 100, 30_000))), 30_000);
        vm.assertEq(flagsLogged(), pay.CUT_CAP());
        vm.assertEq(uint16(hotOf(id) >> 120), 0); // what was paid over the cap leaves no allowance
        vm.assertEq(owedTo(owner), 30_000);
    }

    function test_aVoucherEndsAtTheDeposit() public {
        uint256 id = open(20_000);
        vm.warp(T0 + 100);
        vm.recordLogs();
        uint256[] memory words = pairOf(id, T0, T0 + 100, VOUCHED | BURST);
        vm.assertEq(redeem(words, one(voucherOf(T0, T0 + 100, type(uint88).max))), 20_000);
        vm.assertEq(flagsLogged(), pay.CUT_DEPOSIT());
    }

    function test_aVoucherPaysNoMoreThanWasUsed() public {
        uint256 id = open(1e9);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, VOUCHED | 70);
        vm.assertEq(redeem(words, one(voucherOf(T0, T0 + 100, type(uint88).max))), 70);
        vm.assertEq(uint16(hotOf(id) >> 120), (100 * RATE - 70) / RATE / 2); // the allowance is kept as ever
    }

    function test_aLowVoucherNeverLowersTheCap() public {
        uint256 id = open(1e9);
        vm.warp(T0 + 100);
        vm.assertEq(redeem(pairOf(id, T0, T0 + 100, VOUCHED | BURST), one(voucherOf(T0, T0 + 100, 5))), 100 * RATE);
    }

    function test_nobodyCanSendTheBatchWithoutItsVouchers() public {
        uint256 id = open(1e9);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, VOUCHED | BURST);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        vm.recordLogs();
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 0);
        vm.assertEq(flagsLogged(), pay.STALE() | pay.BAD_REF());
        vm.assertEq(redeem(words, new IPodPayments.Voucher[](0)), 0);
        vm.prank(meter);
        vm.assertEq(pay.submitUsage(owner, 0, words, noRefs()), 0);
        vm.assertEq(upToOf(id), T0); // nothing was cut: it is still to be claimed
        vm.assertEq(redeem(words, one(voucherOf(T0, T0 + 100, type(uint88).max))), BURST);
    }

    function test_aVoucherIsGoodOnceAndForItsPeriodOnly() public {
        uint256 id = open(1e9);
        vm.warp(T0 + 200);
        IPodPayments.Voucher[] memory v = one(voucherOf(T0, T0 + 100, type(uint88).max));
        vm.assertEq(redeem(pairOf(id, T0, T0 + 99, VOUCHED | BURST), v), 0);
        vm.assertEq(redeem(pairOf(id, T0, T0 + 100, VOUCHED | BURST), v), BURST);
        vm.assertEq(redeem(pairOf(id, T0, T0 + 100, VOUCHED | BURST), v), 0);
        vm.assertEq(redeem(pairOf(id, T0 + 100, T0 + 200, VOUCHED | BURST), v), 0);
    }

    function test_vouchersOfOthersAreNone() public {
        uint256 id = open(1e9);
        uint256 second = open(bytes32(uint256(6)), 1e9);
        vm.warp(T0 + 100);
        IPodPayments.Voucher memory v = voucherOf(T0, T0 + 100, type(uint88).max);
        vm.assertEq(redeem(pairOf(second, T0, T0 + 100, VOUCHED | BURST), one(v)), 0); // of another channel
        v.most -= 1;
        vm.assertEq(redeem(pairOf(id, T0, T0 + 100, VOUCHED | BURST), one(v)), 0); // another ceiling than signed
        v.most += 1;
        v.signature = sign(99, digestOf(pay, voucherHash(owner, SALT, meter, uint32(T0), uint32(T0 + 100), v.most)));
        vm.assertEq(redeem(pairOf(id, T0, T0 + 100, VOUCHED | BURST), one(v)), 0); // by another key
        v.publisher = vm.addr(99);
        vm.assertEq(redeem(pairOf(id, T0, T0 + 100, VOUCHED | BURST), one(v)), 0); // by another publisher
        v.signature = "";
        v.publisher = publisher;
        vm.assertEq(redeem(pairOf(id, T0, T0 + 100, VOUCHED | BURST), one(v)), 0);
    }

    function test_vouchersAreMatchedInOrder() public {
        uint256 id = open(1e9);
        uint256 second = open(bytes32(uint256(6)), 1e9);
        vm.warp(T0 + 100);
        uint256[] memory words = new uint256[](4);
        (words[0], words[1]) = (wordOf(second, T0, T0 + 100), BURST); // asks for none: cut as ever
        (words[2], words[3]) = (wordOf(id, T0, T0 + 100), VOUCHED | BURST);
        vm.assertEq(redeem(words, one(voucherOf(T0, T0 + 100, type(uint88).max))), 100 * RATE + BURST);
    }

    function test_aVoucherNeedsTheMeter() public {
        uint256 id = open(1e9);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, VOUCHED | BURST);
        IPodPayments.Voucher[] memory v = one(voucherOf(T0, T0 + 100, type(uint88).max));
        bytes memory own = signUsage(PUBLISHER_KEY, words, noRefs());
        vm.assertEq(pay.redeem(owner, 0, words, noRefs(), v, own), 0); // nor can a publisher settle for less alone
        vm.assertEq(upToOf(id), T0);
    }

    function test_aVouchedItemMayRelease() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, RELEASE | VOUCHED | BURST);
        IPodPayments.Ref[] memory refs = refsOf(publisher, SALT);
        bytes memory signature = signUsage(METER_KEY, words, refs);
        vm.assertEq(pay.redeem(owner, 0, words, refs, new IPodPayments.Voucher[](0), signature), 0);
        vm.assertEq(leftOf(id), 1e6); // an item without its voucher does not hold, so it ends nothing
        IPodPayments.Voucher[] memory v = one(voucherOf(T0, T0 + 100, type(uint88).max));
        vm.assertEq(pay.redeem(owner, 0, words, refs, v, signature), BURST);
        vm.assertEq(hotOf(id), 0);
    }

    function test_aContractWalletsWordIsGood() public {
        Wallet wallet = new Wallet(vm.addr(55));
        token.mint(address(wallet), 1e9);
        wallet.run(address(token), abi.encodeCall(token.approve, (address(pay), 1e9)));
        wallet.run(address(pay), abi.encodeCall(PodPayments.open, (order(SALT, 1e9))));
        vm.warp(T0 + 100);
        uint256 id = pay.idOf(owner, address(wallet), SALT);
        uint256[] memory words = pairOf(id, T0, T0 + 100, VOUCHED | BURST);
        bytes32 digest = digestOf(pay, voucherHash(owner, SALT, meter, uint32(T0), uint32(T0 + 100), 1e6));
        vm.assertEq(redeem(words, one(IPodPayments.Voucher(address(wallet), SALT, 1e6, sign(56, digest)))), 0);
        vm.assertEq(redeem(words, one(IPodPayments.Voucher(address(wallet), SALT, 1e6, sign(55, digest)))), BURST);
    }

    function test_wordsMustComeInPairsHereToo() public {
        uint256[] memory words = new uint256[](3);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        vm.expectRevert(IPodPayments.BadLength.selector);
        pay.redeem(owner, 0, words, noRefs(), new IPodPayments.Voucher[](0), signature);
    }
}
