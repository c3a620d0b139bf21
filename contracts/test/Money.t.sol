// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {TestToken} from "../src/TestToken.sol";
import {Base} from "./Base.sol";
import {BlockingToken, FalseToken, FeeToken, HookToken, SilentToken} from "./Tokens.sol";

/// @notice Tokens that do not behave, and permits that others hand in.
contract MoneyTest is Base {
    function permitDigest(uint256 value, uint256 deadline) private view returns (bytes32) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                publisher,
                address(pay),
                value,
                token.nonces(publisher),
                deadline
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), hash));
    }

    function test_permitOpensInOneTransaction() public {
        vm.prank(publisher);
        token.approve(address(pay), 0);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PUBLISHER_KEY, permitDigest(1000, T0));
        vm.prank(publisher);
        pay.openWithPermit(order(SALT, 1000), 1000, T0, v, r, s);
        vm.assertEq(token.balanceOf(address(pay)), 1000);
        vm.assertEq(token.allowance(publisher, address(pay)), 0);
    }

    function test_permitFrontRunDoesNoHarm() public {
        vm.prank(publisher);
        token.approve(address(pay), 0);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PUBLISHER_KEY, permitDigest(1000, T0));
        vm.prank(address(0xBAD));
        token.permit(publisher, address(pay), 1000, T0, v, r, s);
        vm.prank(publisher);
        pay.openWithPermit(order(SALT, 1000), 1000, T0, v, r, s);
        vm.assertEq(token.balanceOf(address(pay)), 1000);
    }

    function test_permitTopsUpInOneTransaction() public {
        uint256 id = open(1000);
        vm.prank(publisher);
        token.approve(address(pay), 0);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PUBLISHER_KEY, permitDigest(500, T0));
        vm.prank(publisher);
        pay.topUpWithPermit(owner, id, 500, 500, T0, v, r, s);
        vm.assertEq(leftOf(id), 1500);
    }

    function test_withoutAllowanceNothingOpens() public {
        vm.startPrank(publisher);
        token.approve(address(pay), 0);
        vm.expectRevert();
        pay.openWithPermit(order(SALT, 1000), 1000, T0, 27, 0, 0);
        vm.assertEq(hotOf(pay.idOf(owner, publisher, SALT)), 0);
    }

    function test_feeOnTransferIsRefused() public {
        useToken(new FeeToken());
        vm.prank(publisher);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.open(order(SALT, 1000));
    }

    function test_falseReturningIsRefusedAndRefundsAreKept() public {
        FalseToken liar = new FalseToken();
        useToken(liar);
        uint256 id = open(1000);
        liar.lie(true);
        vm.prank(publisher);
        vm.expectPartialRevert(SafeERC20.SafeERC20FailedOperation.selector);
        pay.topUp(owner, id, 5);
        vm.prank(owner);
        pay.release(refsOf(publisher, SALT));
        vm.assertEq(owedTo(publisher), 1000); // credited, not lost
        vm.expectPartialRevert(SafeERC20.SafeERC20FailedOperation.selector);
        pay.withdraw(publisher);
        liar.lie(false);
        pay.withdraw(publisher);
        vm.assertEq(liar.balanceOf(address(pay)), 0);
    }

    function test_missingReturnValuesAreFine() public {
        SilentToken silent = new SilentToken();
        PodPayments p = new PodPayments(IERC20(address(silent)));
        silent.mint(publisher, 1000);
        vm.startPrank(publisher);
        silent.approve(address(p), 1000);
        p.open(order(SALT, 1000));
        vm.stopPrank();
        vm.prank(owner);
        p.release(refsOf(publisher, SALT));
        vm.assertEq(silent.balanceOf(publisher), 1000);
    }

    function test_aBlockedPublisherSpoilsNoBatch() public {
        BlockingToken blocking = new BlockingToken();
        useToken(blocking);
        open(1000);
        open(bytes32(uint256(6)), 1000);
        blocking.setBlocked(publisher, true);
        IPodPayments.Ref[] memory refs = new IPodPayments.Ref[](2);
        refs[0] = IPodPayments.Ref(publisher, SALT);
        refs[1] = IPodPayments.Ref(publisher, bytes32(uint256(6)));
        vm.prank(owner);
        pay.release(refs);
        vm.assertEq(owedTo(publisher), 2000);
        vm.prank(publisher);
        pay.setPayout(address(0xF1));
        pay.withdraw(publisher);
        vm.assertEq(blocking.balanceOf(address(0xF1)), 2000);
    }

    function test_hooksCannotReenter() public {
        HookToken hook = new HookToken();
        useToken(hook);
        uint256 id = open(1000);
        vm.warp(T0 + 50);
        bytes[6] memory calls = [
            abi.encodeCall(PodPayments.topUp, (owner, id, 1)),
            abi.encodeCall(PodPayments.withdraw, (owner)),
            abi.encodeCall(PodPayments.close, (owner, SALT)),
            abi.encodeCall(PodPayments.release, (refsOf(publisher, SALT))),
            abi.encodeCall(PodPayments.open, (order(bytes32(uint256(9)), 1))),
            abi.encodeCall(PodPayments.submitUsage, (owner, 0, pairOf(id, T0, T0 + 50, 50), noRefs()))
        ];
        for (uint256 i; i < calls.length; ++i) {
            hook.arm(address(pay), calls[i]);
            topUp(id, 1);
        }
        vm.assertEq(hook.refused(), calls.length);
        claim(id, T0, T0 + 50, 50);
        pay.withdraw(owner);
        vm.assertEq(hook.entered(), 0);
        vm.assertEq(hook.balanceOf(owner), 50);
    }

    function test_bothKindsOfDecimals() public {
        vm.assertEq(new TestToken("A", "A", 6).decimals(), 6);
        vm.assertEq(token.decimals(), 18);
    }

    function test_onlyTheDeployerMints() public {
        vm.prank(address(0xBAD));
        vm.expectRevert(TestToken.NotMinter.selector);
        token.mint(address(0xBAD), 1);
    }
}
