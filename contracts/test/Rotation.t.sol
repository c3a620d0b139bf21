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

    /// @notice What a publisher moves by itself begins anew, like an opening: what it signed before is void.
    function test_whatThePublisherMovesBackVoidsEarlierMoves() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 10);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, FOREVER);
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.startPrank(publisher);
        pay.unlock(owner, SALT);
        vm.warp(T0 + 3700);
        pay.move(owner, SALT, nextMeter, meter);
        vm.stopPrank();
        vm.assertEq(upToOf(id), T0 + 3700);
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.assertEq(meterTagOf(id), uint120(uint160(meter)));
    }

    /// @notice A known limit: a move without settlement is no nonce, should two parties move a channel there and back
    ///         before anything is claimed.
    function test_limit_aPlainMoveReplaysIfAMeterComesBackWithNothingClaimed() public {
        uint256 id = open(1e6);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, FOREVER);
        vm.prank(operator);
        pay.rotate(owner, meter, nextMeter, one(m));
        bytes32 hash = moveHash(owner, SALT, nextMeter, meter, 0, 0, 0, uint32(T0 + 1), FOREVER);
        IPodPayments.Move memory back = m;
        back = IPodPayments.Move(publisher, SALT, m.plan, sign(PUBLISHER_KEY, digestOf(pay, hash)));
        vm.startPrank(operator);
        pay.rotate(owner, nextMeter, meter, one(back));
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.assertEq(meterTagOf(id), uint120(uint160(nextMeter)));
    }

    function test_aSettlementNeedsAPeriod() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        vm.startPrank(operator);
        uint32[2][4] memory periods =
            [[uint32(T0), uint32(T0)], [uint32(T0), 0], [0, uint32(T0 + 50)], [uint32(T0 + 50), uint32(T0)]];
        for (uint256 i; i < 4; ++i) {
            for (uint88 amount; amount < 2; ++amount) {
                vm.recordLogs();
                pay.rotate(
                    owner, meter, nextMeter, one(moveOf(PUBLISHER_KEY, nextMeter, periods[i][0], periods[i][1], amount, FOREVER))
                );
                vm.assertEq(flagsLogged(), pay.STALE());
            }
        }
        vm.recordLogs();
        pay.rotate(owner, meter, nextMeter, one(moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 5, FOREVER)));
        vm.assertEq(flagsLogged(), pay.STALE()); // pay without any period
        vm.assertEq(leftOf(id), 1e6);
    }

    function test_aSettlementMayBeHeldBackUntilItCanBePaidWhole() public {
        uint256 id = open(50);
        vm.warp(T0 + 100);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, uint32(T0), uint32(T0 + 90), 77, FOREVER);
        m.plan |= 1 << 255;
        uint256 before = hotOf(id);
        vm.recordLogs();
        vm.prank(operator);
        vm.assertEq(pay.rotate(owner, meter, nextMeter, one(m)), 0);
        vm.assertEq(flagsLogged(), pay.DRY() | pay.CUT_DEPOSIT());
        vm.assertEq(hotOf(id), before);
        topUp(id, 27);
        vm.prank(operator);
        vm.assertEq(pay.rotate(owner, meter, nextMeter, one(m)), 77);
    }

    function test_bitsThatMeanNothingAreNoMove() public {
        open(1e6);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, FOREVER);
        uint256 plan = m.plan;
        vm.startPrank(operator);
        for (uint256 bit = 216; bit < 255; ++bit) {
            m.plan = plan | 1 << bit;
            vm.recordLogs();
            pay.rotate(owner, meter, nextMeter, one(m));
            vm.assertEq(flagsLogged(), pay.BAD_REF());
        }
    }
}
