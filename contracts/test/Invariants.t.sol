// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {TestToken} from "../src/TestToken.sol";
import {Handler} from "./Handler.sol";
import {PlainPayments} from "./PlainPayments.sol";
import {Test} from "./Test.sol";

/// @notice What must hold after anything that anybody does. Numbers 1 to 15 are those of docs/money.md; where one is
///         about an action and not about what is left behind, the handler saw it and noted its number.
contract InvariantsTest is Test {
    uint256 private constant START = 1_800_000_000;

    Handler private handler;
    PodPayments private pay;
    PlainPayments private plain;
    TestToken private token;

    // ghosts of the last look, by place: claims and times never fall within one life
    mapping(uint256 spot => uint256) private lastLife;
    mapping(uint256 spot => uint256) private lastClaimed;
    mapping(uint256 spot => uint256) private lastUpTo;

    function setUp() public {
        vm.warp(START);
        token = new TestToken("Test", "T", 18);
        pay = new PodPayments(IERC20(address(token)));
        for (uint256 key = 1; key < 4; ++key) {
            token.mint(vm.addr(key), 1e40);
        }
        handler = new Handler(pay, token);
        plain = handler.plain();
    }

    /// @dev How forge is told what to call.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @notice One campaign for all of them: each is cheap to look at, and reaching states is what costs.
    function invariant_all() public {
        uint256 deposits;
        for (uint256 i; i < handler.spots(); ++i) {
            Handler.Spot memory s = handler.spot(i);
            PlainPayments.Channel memory c = plain.channel(s.owner, s.id);
            IPodPayments.Channel memory packed = stateOf(s);
            deposits += uint88(packed.hot);
            inv03_noMoreIsClaimedThanDeposited(packed, c);
            inv04_claimsAndTimesNeverFall(i, c);
            inv05_cappedClaimsStayUnderTheCap(c);
            inv06_noTimeLiesAhead(c);
            inv15_thePackedContractIsThePlainOne(packed, c);
        }
        inv01_theBalanceIsDepositsAndCredits(deposits);
        inv02_nothingAppearsOrVanishes();
        inv07_to_14_seenInActions();
    }

    function inv01_theBalanceIsDepositsAndCredits(uint256 deposits) private view {
        uint256 sum = deposits + owedTo(handler.ownerOf(0)) + owedTo(handler.ownerOf(1));
        for (uint256 key = 1; key < 4; ++key) {
            sum += owedTo(handler.addr(key));
        }
        vm.assertEq(token.balanceOf(address(pay)), sum, "1: balance = deposits - claims + credits");
    }

    function inv02_nothingAppearsOrVanishes() private view {
        uint256 gone = plain.refunded() + plain.paidOut();
        vm.assertEq(plain.pulled(), token.balanceOf(address(pay)) + gone, "2: pulled = balance + refunded + paid out");
    }

    function inv03_noMoreIsClaimedThanDeposited(IPodPayments.Channel memory packed, PlainPayments.Channel memory c)
        private
        pure
    {
        vm.assertLe(c.claimed, c.deposited);
        vm.assertEq(uint88(packed.hot), c.deposited - c.claimed, "3: claimed <= deposited");
    }

    function inv04_claimsAndTimesNeverFall(uint256 spot, PlainPayments.Channel memory c) private {
        if (c.live && c.lives == lastLife[spot]) {
            vm.assertLe(lastClaimed[spot], c.claimed);
            vm.assertLe(lastUpTo[spot], c.upTo);
        }
        (lastLife[spot], lastClaimed[spot], lastUpTo[spot]) = (c.lives, c.claimed, c.upTo);
    }

    /// @dev The cap only rises, so the highest one is the last one.
    function inv05_cappedClaimsStayUnderTheCap(PlainPayments.Channel memory c) private view {
        if (c.live) vm.assertLe(c.underCap * 1 days, c.terms.capPerDay * (block.timestamp - c.openedAt));
    }

    function inv06_noTimeLiesAhead(PlainPayments.Channel memory c) private view {
        vm.assertLe(c.upTo, block.timestamp);
    }

    /// @dev 7 no close before the notice, 8 strangers change nothing, 9 a batch pays once, 10 a batch is its items,
    ///      11 a bad item spoils nothing, 12 foreign vouchers fail (part of 15), 13 only the payout is paid,
    ///      14 an id lives once.
    function inv07_to_14_seenInActions() private view {
        uint256 n = handler.firstBroken();
        vm.assertTrue(n == 0, string.concat("an action broke invariant ", vm.toString(n)));
    }

    function inv15_thePackedContractIsThePlainOne(IPodPayments.Channel memory packed, PlainPayments.Channel memory c)
        private
        pure
    {
        if (!c.live) {
            vm.assertEq(packed.hot | packed.terms, 0, "15: nothing is left of a channel");
            return;
        }
        uint256 hot = uint256(uint120(uint160(c.meter))) << 136 | c.carry << 120 | c.upTo << 88 | (c.deposited - c.claimed);
        vm.assertEq(packed.hot, hot, "15: hot word");
        vm.assertEq(packed.terms >> 216, c.unlockAt, "15: notice");
        vm.assertEq(uint256(uint24(packed.terms >> 176)) << uint8(packed.terms >> 168), c.terms.capPerDay, "15: cap");
    }

    function stateOf(Handler.Spot memory s) private view returns (IPodPayments.Channel memory) {
        uint256[] memory ids = new uint256[](1);
        ids[0] = s.id;
        return pay.status(s.owner, ids)[0];
    }

    function owedTo(address who) private view returns (uint256 owed) {
        (, owed) = pay.accounts(who);
        vm.assertEq(owed, plain.owed(who), "15: credit");
    }

    /// @notice Invariants are worth something only if the handler gets everywhere.
    function test_theHandlerReachesEverything() public {
        uint256 r = 1;
        for (uint256 k; k < 2000; ++k) {
            r = uint256(keccak256(abi.encode(r)));
            act(r % 22, r >> 8, uint256(keccak256(abi.encode(r, 1))), uint256(keccak256(abi.encode(r, 2))));
            if (k % 20 == 0) invariant_all();
        }
        invariant_all();
        string[35] memory all = [
            "open", "open again", "topUp", "topUp refused", "raiseCap", "raiseCap refused", "unlock", "unlock refused",
            "cancelUnlock", "cancelUnlock refused", "close", "close refused", "move", "move refused", "release",
            "release refused", "rotate", "rotate and settle", "move refused by flag", "withdraw", "nothing owed", "attack",
            "paid", "released", "voucher refused", "reference refused", "cut both", "cut deposit", "cut cap", "dry",
            "future", "stale", "foreign", "twice and one by one", "held back"
        ];
        for (uint256 k; k < all.length; ++k) {
            vm.assertTrue(handler.did(all[k]) > 2, string.concat("hardly ever: ", all[k]));
        }
    }

    function act(uint256 what, uint256 a, uint256 b, uint256 c) private {
        if (what < 3) handler.open(a, b, c, b >> 9, uint24(c), a >> 9, b >> 17);
        else if (what < 6) handler.pass(uint32(a));
        else if (what == 6) handler.passLong(uint32(a));
        else if (what < 13) handler.submit(a, b, b >> 9, c, c >> 9, a >> 9);
        else if (what == 13) handler.topUp(a, b);
        else if (what == 14) handler.raiseCap(a, b, uint24(c), c >> 24);
        else if (what == 15) handler.unlock(a, b);
        else if (what == 16) b % 2 == 0 ? handler.cancelUnlock(a, c) : handler.release(a, c);
        else if (what == 17) handler.close(a, b);
        else if (what == 18) handler.move(a, b, c, c >> 9 & 3 != 0);
        else if (what == 19) handler.rotate(a, b, c, a >> 9, b >> 9);
        else if (what == 20) handler.withdraw(a, b);
        else handler.attack(a, b, c);
    }
}
