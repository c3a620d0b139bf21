// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {Base} from "./Base.sol";
import {Wallet} from "./Tokens.sol";

/// @notice From one meter to the next.
contract RotationTest is Base {
    uint32 private constant FOREVER = type(uint32).max;

    function test_needsBothThePublishersWordAndTheProvidersHand() public {
        uint256 id = open(1e6);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, FOREVER);
        vm.prank(publisher);
        vm.expectRevert(IPodPayments.Denied.selector);
        pay.rotate(owner, meter, nextMeter, one(m));
        IPodPayments.Move memory forged = moveOf(99, nextMeter, 0, 0, 0, FOREVER);
        forged.publisher = publisher;
        vm.recordLogs();
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(forged));
        vm.assertEq(flagsLogged(), pay.BAD_REF());
        vm.assertEq(meterTagOf(id), uint120(uint160(meter)));
    }

    function test_oldMeterOwnerAndOperatorMayHandItIn() public {
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, FOREVER);
        address[3] memory hands = [meter, owner, operator];
        for (uint256 i; i < 3; ++i) {
            uint256 snapshot = vm.snapshotState();
            uint256 id = open(1e6);
            vm.prank(hands[i]);
            pay.rotate(owner, meter, nextMeter, one(m));
            vm.assertEq(meterTagOf(id), uint120(uint160(nextMeter)));
            vm.revertToState(snapshot);
        }
    }

    function test_theNextMeterGoesOnWhereTheOldOneStopped() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        claim(id, T0, T0 + 60, 50);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, FOREVER);
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.assertEq(claim(id, T0 + 60, T0 + 100, 5), 0); // the old one is out
        vm.prank(nextMeter);
        vm.assertEq(pay.submitUsage(owner, 0, pairOf(id, T0 + 60, T0 + 100, 5), noRefs()), 5);
    }

    function test_settlesWhatThePublisherSigned_once() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, uint32(T0), uint32(T0 + 90), 77, uint32(T0 + 1000));
        vm.startPrank(operator);
        vm.assertEq(pay.rotate(owner, meter, address(0x77), one(m)), 0); // another meter than signed
        m.plan += 1;
        vm.assertEq(pay.rotate(owner, meter, nextMeter, one(m)), 0); // another amount than signed
        m.plan -= 1;
        vm.assertEq(pay.rotate(owner, meter, nextMeter, one(m)), 77);
        vm.assertEq(pay.rotate(owner, meter, nextMeter, one(m)), 0);
        vm.assertEq(upToOf(id), T0 + 90);
        vm.assertEq(owedTo(owner), 77);
    }

    function test_settlementIsLimitedByTheDepositAndTime() public {
        open(50);
        vm.warp(T0 + 100);
        vm.startPrank(operator);
        vm.recordLogs();
        pay.rotate(owner, meter, nextMeter, one(moveOf(PUBLISHER_KEY, nextMeter, uint32(T0), uint32(T0 + 101), 1, FOREVER)));
        vm.assertEq(flagsLogged(), pay.FUTURE());
        pay.rotate(owner, meter, nextMeter, one(moveOf(PUBLISHER_KEY, nextMeter, uint32(T0 + 1), uint32(T0 + 9), 1, FOREVER)));
        vm.assertEq(flagsLogged(), pay.STALE());
        vm.assertEq(
            pay.rotate(owner, meter, nextMeter, one(moveOf(PUBLISHER_KEY, nextMeter, uint32(T0), uint32(T0 + 100), 77, FOREVER))),
            50
        );
        vm.assertEq(flagsLogged(), pay.CUT_DEPOSIT());
    }

    function test_deadlinesPass() public {
        uint256 id = open(1e6);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, uint32(T0 + 10));
        vm.warp(T0 + 11);
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.assertEq(meterTagOf(id), uint120(uint160(meter)));
    }

    function test_unknownChannelsAreNotMade() public {
        vm.startPrank(operator);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, FOREVER);
        vm.expectRevert(IPodPayments.BadTerms.selector);
        pay.rotate(owner, address(0), nextMeter, one(m));
        vm.expectRevert(IPodPayments.BadTerms.selector);
        pay.rotate(owner, meter, owner, one(m));
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.assertEq(hotOf(pay.idOf(owner, publisher, SALT)), 0);
    }

    function test_aContractWalletConsents() public {
        Wallet wallet = new Wallet(vm.addr(55));
        token.mint(address(wallet), 1e6);
        wallet.run(address(token), abi.encodeCall(token.approve, (address(pay), 1e6)));
        wallet.run(address(pay), abi.encodeCall(PodPayments.open, (order(SALT, 1e6))));
        IPodPayments.Move memory m = moveOf(55, nextMeter, 0, 0, 0, FOREVER);
        m.publisher = address(wallet);
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.assertEq(meterTagOf(pay.idOf(owner, address(wallet), SALT)), uint120(uint160(nextMeter)));
    }

    function test_thePublisherAloneMovesOnlyAfterTheNotice() public {
        uint256 id = open(1e6);
        vm.startPrank(publisher);
        vm.expectRevert(IPodPayments.Locked.selector);
        pay.move(owner, SALT, meter, nextMeter);
        pay.unlock(owner, SALT);
        vm.warp(T0 + 3600);
        vm.expectRevert(IPodPayments.Denied.selector);
        pay.move(owner, SALT, nextMeter, meter);
        vm.expectRevert(IPodPayments.Denied.selector);
        pay.move(owner, SALT, meter, owner);
        pay.move(owner, SALT, meter, nextMeter);
        vm.assertEq(meterTagOf(id), uint120(uint160(nextMeter)));
        vm.expectRevert(IPodPayments.Locked.selector); // the move ended the notice
        pay.close(owner, SALT);
    }

    /// @notice A known limit: a move without settlement is no nonce, should a channel ever come back to the old meter.
    function test_limit_aPlainMoveReplaysIfAMeterComesBack() public {
        uint256 id = open(1e6);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, FOREVER);
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.startPrank(publisher);
        pay.unlock(owner, SALT);
        vm.warp(T0 + 3600);
        pay.move(owner, SALT, nextMeter, meter);
        vm.stopPrank();
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.assertEq(meterTagOf(id), uint120(uint160(nextMeter)));
    }
}
