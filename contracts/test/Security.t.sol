// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {Words} from "../src/Words.sol";
import {Base} from "./Base.sol";
import {
    BlockingToken,
    FallbackToken,
    FalseToken,
    FeeToken,
    HookToken,
    RebasingToken,
    SilentToken,
    BadWallet,
    Wallet
} from "./Tokens.sol";

/// @notice The fifteen checks that an auditor asks for first, by number: one test each, or several where a check has
///         several sides. Other tests go deeper into some of them; these say where to look.
contract SecurityTest is Base {
    // ---- 1: tokens that take a fee ----

    function test_check01_feeOnTransferIsRefusedWhereverMoneyComesIn() public {
        uint256 id = open(1000);
        FeeToken fee = new FeeToken();
        useToken(fee);
        IPodPayments.Open[] memory orders = new IPodPayments.Open[](1);
        orders[0] = order(SALT, 1000);
        vm.startPrank(publisher);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.open(orders[0]);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.openMany(orders);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.openWithPermit(orders[0], 0, 0, 0, 0, 0);
        fee.setFee(0);
        pay.open(orders[0]);
        fee.setFee(1);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.topUp(owner, id, 1000);
        vm.assertEq(fee.balanceOf(address(pay)), 1000);
    }

    // ---- 2: tokens whose balances move by themselves ----

    function test_check02_rebasingUpEnrichesNobodyAndDownIsSeen() public {
        RebasingToken moody = new RebasingToken();
        useToken(moody);
        uint256 id = open(1000);
        vm.warp(T0 + 50);
        claim(id, T0, T0 + 50, 600);
        moody.rebase(address(pay), 5000); // a gift to the contract, which nobody can take
        pay.withdraw(owner);
        vm.assertEq(moody.balanceOf(owner), 600);
        vm.prank(owner);
        pay.release(refsOf(publisher, SALT));
        vm.assertEq(moody.balanceOf(address(pay)), 4000);
        id = open(1000);
        vm.warp(T0 + 100);
        claim(id, T0 + 50, T0 + 100, 600);
        moody.rebase(address(pay), 100);
        vm.expectRevert(); // short: the credit stays where it is
        pay.withdraw(owner);
        vm.assertEq(owedTo(owner), 600);
    }

    // ---- 3: tokens that return false, or nothing ----

    function test_check03_falseIsAFailureAndSilenceIsNot() public {
        FalseToken liar = new FalseToken();
        useToken(liar);
        liar.lie(true);
        vm.prank(publisher);
        vm.expectPartialRevert(SafeERC20.SafeERC20FailedOperation.selector);
        pay.open(order(SALT, 1000));
        liar.lie(false);
        uint256 id = open(1000);
        vm.warp(T0 + 50);
        claim(id, T0, T0 + 50, 600);
        liar.lie(true);
        vm.expectPartialRevert(SafeERC20.SafeERC20FailedOperation.selector);
        pay.withdraw(owner);
        vm.assertEq(owedTo(owner), 600);

        SilentToken silent = new SilentToken();
        PodPayments other = new PodPayments(IERC20(address(silent)));
        silent.mint(publisher, 1000);
        vm.startPrank(publisher);
        silent.approve(address(other), 1000);
        other.open(order(SALT, 1000));
        vm.stopPrank();
        vm.prank(owner);
        other.release(refsOf(publisher, SALT));
        vm.assertEq(silent.balanceOf(publisher), 1000);
    }

    // ---- 4: tokens that call back ----

    function test_check04_noFunctionIsEnteredFromInsideATransfer() public {
        HookToken hook = new HookToken();
        useToken(hook);
        uint256 id = open(1000);
        vm.warp(T0 + 50);
        uint256[] memory words = pairOf(id, T0, T0 + 50, 50);
        IPodPayments.Open[] memory orders = new IPodPayments.Open[](1);
        orders[0] = order(bytes32(uint256(9)), 1);
        IPodPayments.Voucher[] memory none;
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        bytes[11] memory calls = [
            abi.encodeCall(PodPayments.open, (orders[0])),
            abi.encodeCall(PodPayments.openMany, (orders)),
            abi.encodeCall(PodPayments.openWithPermit, (orders[0], 1, 1, 27, 0, 0)),
            abi.encodeCall(PodPayments.topUp, (owner, id, 1)),
            abi.encodeCall(PodPayments.topUpWithPermit, (owner, id, 1, 1, 1, 27, 0, 0)),
            abi.encodeCall(PodPayments.close, (owner, SALT)),
            abi.encodeCall(PodPayments.release, (refsOf(publisher, SALT))),
            abi.encodeCall(PodPayments.submitUsage, (owner, 0, words, noRefs())),
            abi.encodeCall(PodPayments.submitUsageFor, (owner, 0, words, noRefs(), signature)),
            abi.encodeCall(PodPayments.redeem, (owner, 0, words, noRefs(), none, signature)),
            abi.encodeCall(PodPayments.withdraw, (owner))
        ];
        for (uint256 i; i < calls.length; ++i) {
            hook.arm(address(pay), calls[i]);
            topUp(id, 1); // on the way in
        }
        claim(id, T0, T0 + 50, 50);
        for (uint256 i; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            hook.arm(address(pay), calls[i]);
            pay.withdraw(owner); // on the way out
            vm.assertEq(hook.entered(), 0);
            vm.assertEq(hook.refused(), calls.length + 1);
            vm.assertEq(owedTo(owner), 0);
            vm.revertToState(snapshot);
        }
    }

    // ---- 5: tokens with a list of the blocked ----

    function test_check05_oneBlockedPartyFreezesNobodyElse() public {
        BlockingToken blocking = new BlockingToken();
        useToken(blocking);
        uint256 id = open(1000);
        open(bytes32(uint256(6)), 1000);
        vm.warp(T0 + 50);
        blocking.setBlocked(publisher, true);
        uint256[] memory words = pairOf(id, T0, T0 + 50, RELEASE | 600);
        vm.prank(meter);
        vm.assertEq(pay.submitUsage(owner, 0, words, refsOf(publisher, SALT)), 600); // its refund is credited
        vm.assertEq(owedTo(publisher), 400);
        blocking.setBlocked(owner, true);
        vm.expectRevert();
        pay.withdraw(owner); // alone, and nothing is lost
        vm.prank(owner);
        pay.setPayout(address(0xF1));
        pay.withdraw(owner);
        vm.assertEq(blocking.balanceOf(address(0xF1)), 600);
    }

    // ---- 6: rounding ----

    function testFuzz_check06_roundingNeverFavoursTheClaimant(uint32 a, uint32 b, uint16 cut, uint32 price, uint8 scale)
        public
    {
        scale %= 129;
        uint256 middle = T0 + 1 + cut;
        uint256 whole = openAt(price, scale, SALT);
        uint256 split = openAt(price, scale, bytes32(uint256(6)));
        vm.warp(middle + 1000);
        uint256 together = claim(whole, T0, middle + 1000, uint256(a) + b);
        uint256 apart = claim(split, T0, middle, a) + claim(split, middle, middle + 1000, b);
        vm.assertLe(apart, together); // no dust by splitting
        vm.assertLe(together * 2 ** scale, (uint256(a) + b) * price * 2 ** 64); // rounded down
        vm.assertLe(together * 1 days, RATE * DAY * 16 * (middle + 1000 - T0)); // the cap too
    }

    function openAt(uint256 price, uint256 scale, bytes32 salt) private returns (uint256) {
        uint256 word = termsOf(price, scale, RATE * DAY, 4, 60);
        vm.prank(publisher);
        return pay.open(IPodPayments.Open(owner, meter, salt, word, 1e18));
    }

    // ---- 7: time ----

    function test_check07_noPeriodLiesAheadAndTimeLastsTo2106() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 10);
        vm.assertEq(claim(id, T0, T0 + 11, 5), 0);
        vm.assertEq(claim(id, T0, T0 + 10, 5), 5);
        vm.warp(type(uint32).max);
        vm.assertEq(claim(id, T0 + 10, type(uint32).max, 5), 5);
        vm.assertEq(upToOf(id), type(uint32).max);
        vm.assertEq(leftOf(id), 1e6 - 10); // no neighbour of the field was touched
        vm.assertEq(meterTagOf(id), uint120(uint160(meter)));
    }

    /// @notice Whatever writes a time refuses one that is wider than its field; leaving works for ever.
    function testFuzz_check07_afterTimesWidthNothingIsWrittenButTheExit(uint64 late) public {
        uint256 id = open(1e6);
        vm.warp(uint256(type(uint32).max) + 1 + late % 500 * 365 days);
        vm.startPrank(publisher);
        vm.expectRevert(IPodPayments.TooLate.selector);
        pay.open(order(bytes32(uint256(6)), 5));
        IPodPayments.Open[] memory orders = new IPodPayments.Open[](1);
        orders[0] = order(bytes32(uint256(6)), 5);
        vm.expectRevert(IPodPayments.TooLate.selector);
        pay.openMany(orders);
        vm.expectRevert(IPodPayments.TooLate.selector);
        pay.openWithPermit(orders[0], 5, block.timestamp, 27, 0, 0);
        uint256 before = stateOf(id).terms;
        pay.unlock(owner, SALT);
        vm.assertEq(Words.unlockAtIn(stateOf(id).terms), block.timestamp + 3600);
        pay.cancelUnlock(owner, SALT);
        vm.assertEq(stateOf(id).terms, before);
        pay.unlock(owner, SALT);
        vm.warp(block.timestamp + 3600);
        vm.expectRevert(IPodPayments.TooLate.selector);
        pay.move(owner, SALT, meter, nextMeter);
        vm.assertEq(meterTagOf(id), uint120(uint160(meter)));
        pay.close(owner, SALT);
        vm.assertEq(hotOf(id), 0);
        vm.stopPrank();
    }

    function test_check07_aNoticeThatNoFieldHoldsIsRefused() public {
        open(1e6);
        vm.warp(uint256(type(uint40).max) - 3599);
        vm.startPrank(publisher);
        vm.expectRevert(IPodPayments.TooLate.selector);
        pay.unlock(owner, SALT);
    }

    // ---- 8: the domain ----

    function test_check08_theDomainFollowsTheChain() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, 50);
        bytes memory before = signUsage(METER_KEY, words, noRefs());
        vm.chainId(99); // a fork
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), before), 0);
        bytes memory there = signUsage(METER_KEY, words, noRefs());
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), there), 50);
        (, string memory name, string memory version, uint256 chainId, address contract_,,) = pay.eip712Domain();
        vm.assertEq(keccak256(abi.encode(name, version)), keccak256(abi.encode("PodPayments", "1")));
        vm.assertEq(chainId, 99);
        vm.assertEq(contract_, address(pay));
    }

    // ---- 9: replay ----

    function test_check09_noSignatureIsGoodTwiceOrElsewhere() public {
        uint256 id = open(1e9);
        address elsewhere = address(0xB2);
        PodPayments twin = new PodPayments(IERC20(address(token)));
        vm.startPrank(publisher);
        token.approve(address(twin), 1e9);
        twin.open(order(SALT, 1e9));
        pay.open(IPodPayments.Open(elsewhere, meter, SALT, terms(), 1e9));
        vm.stopPrank();
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, VOUCHED | 1e6);
        IPodPayments.Voucher[] memory v = one(voucherOf(T0, T0 + 100, type(uint88).max));
        bytes memory claimed = signUsage(METER_KEY, words, noRefs());
        vm.assertEq(twin.redeem(owner, 0, words, noRefs(), v, claimed), 0); // contract
        vm.assertEq(pay.redeem(elsewhere, 0, words, noRefs(), v, claimed), 0); // provider
        vm.chainId(99);
        vm.assertEq(pay.redeem(owner, 0, words, noRefs(), v, claimed), 0); // chain: claim
        bytes memory there = signUsage(METER_KEY, words, noRefs());
        vm.assertEq(pay.redeem(owner, 0, words, noRefs(), v, there), 0); // chain: voucher
        vm.chainId(31337);
        uint256 second = open(bytes32(uint256(6)), 1e9);
        uint256[] memory others = pairOf(second, T0 + 100, T0 + 100, VOUCHED | 1e6);
        vm.assertEq(redeem(others, v), 0); // channel
        vm.assertEq(pay.redeem(owner, 0, words, noRefs(), v, claimed), 1e6);
        vm.assertEq(pay.redeem(owner, 0, words, noRefs(), v, claimed), 0); // twice
        vm.prank(owner);
        pay.release(refsOf(publisher, SALT));
        vm.assertEq(open(1e9), id);
        vm.assertEq(pay.redeem(owner, 0, words, noRefs(), v, claimed), 0); // another life
    }

    function test_check09_movesAreBoundToo() public {
        open(1e6);
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, nextMeter, 0, 0, 0, type(uint32).max);
        PodPayments twin = new PodPayments(IERC20(address(token)));
        vm.startPrank(publisher);
        token.approve(address(twin), 1e9);
        uint256 id = twin.open(order(SALT, 1e6));
        vm.stopPrank();
        vm.prank(owner);
        twin.rotate(owner, meter, nextMeter, one(m));
        uint256[] memory ids = new uint256[](1);
        ids[0] = id;
        vm.assertEq(twin.status(owner, ids)[0].hot >> 136, uint120(uint160(meter)));
        vm.chainId(99);
        vm.prank(owner);
        pay.rotate(owner, meter, nextMeter, one(m));
        vm.assertEq(meterTagOf(id), uint120(uint160(meter)));
    }

    /// @notice A move of an earlier life is none in a later one, whatever it settles and however soon the later one begins.
    function testFuzz_check09_aMoveIsGoodInOneLifeOnly(
        uint32 lived,
        uint32 pause,
        uint32 asOf,
        uint32 from,
        uint32 upTo,
        uint88 amount,
        bool byPublisher
    ) public {
        uint256 id = open(1e6);
        vm.warp(T0 + lived % 300 days);
        uint256 signedAt = T0 + asOf % (block.timestamp - T0 + 1); // a publisher names a time that has been
        (from, upTo) = asOf % 2 == 0
            ? (uint32(0), uint32(0))
            : (uint32(signedAt + from % 300 days), uint32(signedAt + upTo % 600 days));
        amount = asOf % 2 == 0 ? 0 : amount;
        IPodPayments.Move memory m = moveAsOf(uint32(signedAt), from, upTo, amount);
        if (byPublisher) {
            vm.startPrank(publisher);
            pay.unlock(owner, SALT);
            vm.warp(block.timestamp + 3600 + pause % 300 days);
            pay.close(owner, SALT);
            vm.stopPrank();
        } else {
            vm.prank(owner);
            pay.release(refsOf(publisher, SALT)); // in the block of the opening, where `lived` is 0
        }
        vm.assertEq(open(1e6), id);
        vm.warp(block.timestamp + pause % 600 days);
        uint256 before = hotOf(id);
        vm.startPrank(operator);
        vm.recordLogs();
        vm.assertEq(pay.rotate(owner, meter, nextMeter, one(m)), 0);
        vm.assertEq(flagsLogged(), pay.STALE());
        vm.assertEq(hotOf(id), before);
    }

    /// @notice Nothing that `rotate` takes can be handed in again to be paid again.
    function testFuzz_check09_aMoveToTheSameMeterIsNone(uint32 from, uint32 upTo, uint88 amount, uint96 high) public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        address again = high % 2 == 0 ? meter : address(uint160(meter) ^ uint160(high) << 120); // same tag
        IPodPayments.Move memory m = moveOf(PUBLISHER_KEY, again, from, upTo, amount, type(uint32).max);
        vm.prank(operator);
        vm.expectRevert(IPodPayments.BadTerms.selector);
        pay.rotate(owner, meter, again, one(m));
        vm.startPrank(publisher);
        pay.unlock(owner, SALT);
        vm.warp(T0 + 3700);
        vm.expectRevert(IPodPayments.Denied.selector);
        pay.move(owner, SALT, meter, again);
        vm.assertEq(leftOf(id), 1e6);
    }

    // ---- 10: signatures ----

    function test_check10_signaturesHaveOneFormAndASigner() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, 50);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(METER_KEY, digestOf(pay, usageHash(owner, 0, words, noRefs())));
        bytes32 high = bytes32(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 - uint256(s));
        vm.expectPartialRevert(ECDSA.ECDSAInvalidSignatureS.selector);
        pay.submitUsageFor(owner, 0, words, noRefs(), abi.encodePacked(r, high, v == 27 ? 28 : 27));
        vm.expectRevert(ECDSA.ECDSAInvalidSignature.selector); // nobody, not the zero address
        pay.submitUsageFor(owner, 0, words, noRefs(), abi.encodePacked(r, s, uint8(0)));
        vm.expectPartialRevert(ECDSA.ECDSAInvalidSignatureLength.selector);
        pay.submitUsageFor(owner, 0, words, noRefs(), abi.encodePacked(r, s, v, v));
        vm.expectRevert(IPodPayments.BadTerms.selector); // so no channel has the zero address as its meter
        vm.prank(publisher);
        pay.open(IPodPayments.Open(owner, address(0), bytes32(uint256(6)), terms(), 5));
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), abi.encodePacked(r, s, v)), 50);
    }

    function test_check10_aWalletThatMisbehavesIsNoConsent() public {
        Wallet wallet = new Wallet(vm.addr(55));
        token.mint(address(wallet), 1e6);
        wallet.run(address(token), abi.encodeCall(token.approve, (address(pay), 1e6)));
        wallet.run(address(pay), abi.encodeCall(PodPayments.open, (order(SALT, 1e6))));
        IPodPayments.Move memory m = moveOf(56, nextMeter, 0, 0, 0, type(uint32).max);
        m.publisher = address(wallet);
        vm.startPrank(operator);
        vm.recordLogs();
        pay.rotate(owner, meter, nextMeter, one(m)); // another signer
        vm.assertEq(flagsLogged(), pay.BAD_REF());
        m.signature = "";
        pay.rotate(owner, meter, nextMeter, one(m)); // the wallet reverts
        vm.assertEq(flagsLogged(), pay.BAD_REF());
    }

    /// forge-config: default.fuzz.runs = 40
    /// @notice Fifty vouchers of which any number are of wallets that burn all gas, or answer with much or little: the
    ///         others are paid, with 5 million gas.
    function testFuzz_check13_walletsCannotSpoilABatch(uint64 which, uint8 how) public {
        uint256 n = 50;
        vm.etch(address(0xBAD1), address(new BadWallet()).code);
        BadWallet(address(0xBAD1)).behave(how % 5);
        uint256[] memory words = new uint256[](2 * n);
        IPodPayments.Voucher[] memory vouchers = new IPodPayments.Voucher[](n);
        uint256 good;
        for (uint256 i; i < n; ++i) {
            bool bad = which >> i & 1 == 1 || (i == 7);
            bytes32 salt = bytes32(1000 + i);
            address who = bad ? address(0xBAD1) : publisher;
            token.mint(who, 1e6);
            vm.startPrank(who);
            token.approve(address(pay), type(uint256).max);
            uint256 id = pay.open(order(salt, 1e6));
            vm.stopPrank();
            (words[2 * i], words[2 * i + 1]) = (wordOf(id, T0, T0 + 1), VOUCHED | 500);
            bytes32 hash = voucherHash(owner, salt, meter, uint32(T0), uint32(T0 + 1), 500);
            vouchers[i] = IPodPayments.Voucher(who, salt, 500, bad ? bytes("x") : sign(PUBLISHER_KEY, digestOf(pay, hash)));
            good += bad ? 0 : 500;
        }
        vm.warp(T0 + 1);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        vm.assertEq(pay.redeem{gas: 5_000_000}(owner, 0, words, noRefs(), vouchers, signature), good);
    }

    function test_check13_aWalletGetsItsGasOrNothingIsDone() public {
        Wallet wallet = new Wallet(vm.addr(55));
        token.mint(address(wallet), 1e6);
        wallet.run(address(token), abi.encodeCall(token.approve, (address(pay), 1e6)));
        wallet.run(address(pay), abi.encodeCall(PodPayments.open, (order(SALT, 1e6))));
        IPodPayments.Move memory m = moveOf(55, nextMeter, 0, 0, 0, type(uint32).max);
        m.publisher = address(wallet);
        uint256 id = pay.idOf(owner, address(wallet), SALT);
        vm.startPrank(operator);
        vm.expectRevert(IPodPayments.TooLittleGas.selector);
        pay.rotate{gas: 70_000}(owner, meter, nextMeter, one(m));
        vm.assertEq(meterTagOf(id), uint120(uint160(meter)));
        pay.rotate{gas: 130_000}(owner, meter, nextMeter, one(m));
        vm.assertEq(meterTagOf(id), uint120(uint160(nextMeter)));
    }

    // ---- 11: permits ----

    function test_check11_aPermitHandedInFirstDoesNoHarm() public {
        vm.prank(publisher);
        token.approve(address(pay), 0);
        bytes32 hash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                publisher,
                address(pay),
                1000,
                token.nonces(publisher),
                T0
            )
        );
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), hash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PUBLISHER_KEY, digest);
        vm.prank(address(0xBAD));
        token.permit(publisher, address(pay), 1000, T0, v, r, s);
        vm.prank(publisher);
        pay.openWithPermit(order(SALT, 1000), 1000, T0, v, r, s);
        vm.assertEq(token.balanceOf(address(pay)), 1000);
    }

    function test_check11_aTokenThatSwallowsPermitsStillNeedsAnAllowance() public {
        FallbackToken quiet = new FallbackToken();
        quiet.mint(publisher, 1000);
        PodPayments p = new PodPayments(IERC20(address(quiet)));
        vm.startPrank(publisher);
        vm.expectRevert();
        p.openWithPermit(order(SALT, 1000), 1000, T0, 27, 0, 0);
        quiet.approve(address(p), 1000);
        p.openWithPermit(order(SALT, 1000), 1000, T0, 27, 0, 0);
        vm.assertEq(quiet.balanceOf(address(p)), 1000);
    }

    // ---- 12: casts and packing ----

    function test_check12_everyFieldHoldsItsGreatestValue() public {
        token.mint(publisher, 2 ** 90);
        uint256 id = open(type(uint88).max - 1);
        topUp(id, 1);
        vm.prank(publisher);
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.topUp(owner, id, 1);
        vm.assertEq(hotOf(id), Words.hot(Words.tagOf(meter), 0, T0, type(uint88).max));
        uint256 all = termsOf(type(uint160).max, 128, type(uint24).max, 64, 43_200);
        vm.prank(publisher);
        uint256 second = pay.open(IPodPayments.Open(owner, meter, bytes32(uint256(6)), all, 5));
        vm.assertEq(stateOf(second).terms, all);
        uint256 most = type(uint240).max; // five quantities of 48 bits, five prices of 32, scale 0: no overflow
        vm.assertEq(Words.due(type(uint160).max, most), 5 * (2 ** 48 - 1) * (2 ** 32 - 1) * 2 ** 64);
    }

    function test_check12_creditNeverWraps() public {
        useToken(token);
        token.mint(publisher, 2 ** 100);
        uint256 credited;
        uint256 word = termsOf(type(uint32).max, 0, type(uint24).max, 64, 60);
        for (uint256 i; i < 257; ++i) {
            vm.prank(publisher);
            uint256 id = pay.open(IPodPayments.Open(owner, meter, bytes32(i), word, type(uint88).max));
            vm.warp(block.timestamp + 30 days);
            if (i == 256) vm.expectRevert(IPodPayments.BadAmount.selector); // 2^96 is passed
            credited += claim(id, block.timestamp - 30 days, block.timestamp, type(uint48).max);
        }
        vm.assertEq(owedTo(owner), 256 * uint256(type(uint88).max));
        pay.withdraw(owner); // and claims go on
    }

    // ---- 13: griefing ----

    function test_check13_strangersCannotHoldUpOrSpoilAnything() public {
        uint256 id = open(1e6);
        uint256 second = open(bytes32(uint256(6)), 1e6);
        vm.prank(publisher);
        pay.unlock(owner, SALT);
        token.mint(address(this), 100);
        token.approve(address(pay), 100);
        for (uint256 i; i < 100; ++i) {
            pay.topUp(owner, id, 1); // extends nothing
        }
        vm.warp(T0 + 3600);
        vm.prank(publisher);
        pay.close(owner, SALT);
        uint256[] memory words = new uint256[](4); // a closed channel in the batch
        (words[0], words[1]) = (wordOf(id, T0, T0 + 3600), 50);
        (words[2], words[3]) = (wordOf(second, T0, T0 + 3600), 50);
        bytes memory signature = signUsage(METER_KEY, words, noRefs());
        vm.assertEq(pay.submitUsageFor(owner, 0, words, noRefs(), signature), 50);
    }

    // ---- 14: who may do what ----

    function test_check14_everyRightIsOnePartys() public {
        uint256 id = open(1e6);
        address[5] memory all = [publisher, owner, operator, meter, address(0xBAD)];
        bytes[7] memory calls = [
            abi.encodeCall(PodPayments.unlock, (owner, SALT)),
            abi.encodeCall(PodPayments.cancelUnlock, (owner, SALT)),
            abi.encodeCall(PodPayments.raiseCap, (owner, SALT, type(uint24).max, 20)),
            abi.encodeCall(PodPayments.close, (owner, SALT)),
            abi.encodeCall(PodPayments.move, (owner, SALT, meter, nextMeter)),
            abi.encodeCall(PodPayments.release, (refsOf(publisher, SALT))),
            abi.encodeCall(PodPayments.rotate, (owner, meter, nextMeter, new IPodPayments.Move[](0)))
        ];
        // who may, as a bit mask over `all`; close and move after the notice, which the first line gives
        uint256[7] memory may = [uint256(1), 1, 1, 1, 1, 2, 2 | 4 | 8];
        for (uint256 c; c < calls.length; ++c) {
            for (uint256 p; p < all.length; ++p) {
                uint256 snapshot = vm.snapshotState();
                if (c == 3 || c == 4) {
                    vm.prank(publisher);
                    pay.unlock(owner, SALT);
                    vm.warp(T0 + 3600);
                }
                bytes32 before = keccak256(abi.encode(stateOf(id)));
                vm.prank(all[p]);
                (bool done,) = address(pay).call(calls[c]);
                vm.assertTrue(done == (may[c] >> p & 1 == 1), vm.toString(c * 10 + p));
                if (!done) vm.assertEq(keccak256(abi.encode(stateOf(id))), before);
                vm.revertToState(snapshot);
            }
        }
    }

    function test_check14_operatorsAreAnOwnersOwn() public {
        address thief = address(0xBAD);
        vm.prank(thief);
        pay.setOperator(thief, true); // of itself
        vm.prank(thief);
        vm.expectRevert(IPodPayments.Denied.selector);
        pay.rotate(owner, meter, nextMeter, new IPodPayments.Move[](0));
        vm.prank(owner);
        pay.setOperator(operator, false);
        vm.prank(operator);
        vm.expectRevert(IPodPayments.Denied.selector);
        pay.rotate(owner, meter, nextMeter, new IPodPayments.Move[](0));
    }

    function test_check14_theOwnersKeyAloneCannotOverstate() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        uint256[] memory words = pairOf(id, T0, T0 + 100, 1e4);
        uint256 ownerKey = 0x0B1;
        address cold = vm.addr(ownerKey);
        vm.prank(publisher);
        uint256 own = pay.open(IPodPayments.Open(cold, meter, SALT, terms(), 1e6));
        uint256[] memory mine = pairOf(own, T0, T0 + 100, 1e4);
        vm.startPrank(cold);
        pay.setOperator(cold, true);
        vm.assertEq(pay.submitUsage(cold, 0, mine, noRefs()), 0);
        bytes memory signature = sign(ownerKey, digestOf(pay, usageHash(cold, 0, mine, noRefs())));
        vm.assertEq(pay.submitUsageFor(cold, 0, mine, noRefs(), signature), 0);
        uint32 LATE = type(uint32).max;
        IPodPayments.Move memory m; // to a meter of its own, settling what it likes, signed by itself
        (m.publisher, m.salt) = (publisher, SALT);
        m.plan = uint256(type(uint64).max) << 152 | T0 << 120 | T0 + 100 << 88 | 1e6;
        bytes32 hash =
            moveHash(cold, SALT, meter, nextMeter, uint32(T0), uint32(T0 + 100), 1e6, LATE, LATE);
        m.signature = sign(ownerKey, digestOf(pay, hash));
        vm.assertEq(pay.rotate(cold, meter, nextMeter, one(m)), 0);
        vm.expectRevert(IPodPayments.BadTerms.selector);
        pay.rotate(cold, meter, cold, one(m));
        vm.expectRevert(IPodPayments.Unknown.selector);
        pay.raiseCap(cold, SALT, type(uint24).max, 64);
        vm.stopPrank();
        vm.assertEq(owedTo(cold), 0);
        vm.assertEq(words[0] >> 64, id);
    }

    function test_check14_theMetersKeyAloneCannotRedirect() public {
        uint256 id = open(1e6);
        vm.warp(T0 + 100);
        claim(id, T0, T0 + 50, 1e3);
        address thief = address(0xBAD);
        vm.startPrank(meter);
        pay.setPayout(thief); // its own account's
        pay.setOperator(thief, true);
        pay.submitUsage(meter, 0, pairOf(id, T0 + 50, T0 + 100, 1e3), noRefs());
        vm.expectRevert(IPodPayments.Unknown.selector);
        pay.release(refsOf(publisher, SALT));
        vm.expectRevert(IPodPayments.BadAmount.selector);
        pay.withdraw(meter);
        pay.withdraw(owner);
        // a release by it pays the publisher, and the rest the owner: nothing else
        pay.submitUsage(owner, 0, pairOf(id, T0 + 50, T0 + 100, RELEASE | 1e3), refsOf(publisher, SALT));
        pay.withdraw(owner);
        vm.stopPrank();
        vm.assertEq(token.balanceOf(meter) + token.balanceOf(thief), 0);
        vm.assertEq(token.balanceOf(owner), 2e3);
        vm.assertEq(token.balanceOf(address(pay)), 0);
    }

    // ---- 15: nobody is in charge ----

    function test_check15_noAdminNoUpgradeNoEther() public {
        bytes memory code = address(pay).code;
        uint256 end = code.length - 2 - (uint256(uint8(code[code.length - 2])) << 8 | uint8(code[code.length - 1]));
        for (uint256 i; i < end; ++i) {
            uint8 op = uint8(code[i]);
            vm.assertTrue(op != 0xf2 && op != 0xf4 && op != 0xff, "callcode, delegatecall or selfdestruct");
            if (op >= 0x60 && op < 0x80) i += op - 0x5f; // what a push carries is no operation
        }
        (bool paid,) = address(pay).call{value: 1}("");
        vm.assertTrue(!paid, "takes ether");
        token.mint(address(pay), 500); // sent by mistake: nobody can take it out
        open(1e6);
        vm.prank(owner);
        pay.release(refsOf(publisher, SALT));
        vm.assertEq(token.balanceOf(address(pay)), 500);
        vm.assertEq(address(pay.token()), address(token));
    }
}
