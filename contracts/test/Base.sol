// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {TestToken} from "../src/TestToken.sol";
import {Signing} from "./Signing.sol";

/// @notice A publisher, an owner with an operator, two meters, and the words that they exchange.
abstract contract Base is Signing {
    uint256 internal constant T0 = 1_800_000_000;
    uint256 internal constant DAY = 1 days;
    uint256 internal constant RELEASE = 1 << 255;
    uint256 internal constant VOUCHED = 1 << 254;
    uint256 internal constant WHOLE = 1 << 253;
    uint256 internal constant PUBLISHER_KEY = 7;
    uint256 internal constant METER_KEY = 200;
    uint256 internal constant NEXT_METER_KEY = 201;
    bytes32 internal constant SALT = bytes32(uint256(5));
    uint256 internal constant RATE = 100; // the cap of `terms()`, base units a second

    address internal immutable publisher = vm.addr(PUBLISHER_KEY);
    address internal immutable meter = vm.addr(METER_KEY);
    address internal immutable nextMeter = vm.addr(NEXT_METER_KEY);
    address internal owner = address(0xB1);
    address internal operator = address(0xC1);

    PodPayments internal pay;
    TestToken internal token;

    function setUp() public virtual {
        vm.warp(T0);
        useToken(new TestToken("Test", "T", 18));
    }

    function useToken(TestToken fresh) internal {
        token = fresh;
        pay = new PodPayments(IERC20(address(fresh)));
        fresh.mint(publisher, 1e30);
        vm.prank(publisher);
        fresh.approve(address(pay), type(uint256).max);
        vm.prank(owner);
        pay.setOperator(operator, true);
    }

    // ---- words ----

    /// @notice One base unit a core-ms, the rest free; RATE a second; an hour's notice.
    function terms() internal pure returns (uint256) {
        return termsOf(1, 64, uint24(RATE * DAY), 0, 60);
    }

    function termsOf(uint256 prices, uint256 scale, uint256 mantissa, uint256 exponent, uint256 minutes_)
        internal
        pure
        returns (uint256)
    {
        return minutes_ << 200 | mantissa << 176 | exponent << 168 | scale << 160 | prices;
    }

    function pairOf(uint256 id, uint256 from, uint256 upTo, uint256 quantities)
        internal
        pure
        returns (uint256[] memory words)
    {
        words = new uint256[](2);
        (words[0], words[1]) = (wordOf(id, from, upTo), quantities);
    }

    function wordOf(uint256 id, uint256 from, uint256 upTo) internal pure returns (uint256) {
        return id << 64 | uint256(uint32(from)) << 32 | uint32(upTo);
    }

    function noRefs() internal pure returns (IPodPayments.Ref[] memory) {}

    function refsOf(address who, bytes32 salt) internal pure returns (IPodPayments.Ref[] memory refs) {
        refs = new IPodPayments.Ref[](1);
        refs[0] = IPodPayments.Ref(who, salt);
    }

    // ---- acting ----

    function order(bytes32 salt, uint88 amount) internal view returns (IPodPayments.Open memory) {
        return IPodPayments.Open(owner, meter, salt, terms(), amount);
    }

    function open(uint88 amount) internal returns (uint256) {
        return open(SALT, amount);
    }

    function open(bytes32 salt, uint88 amount) internal returns (uint256) {
        vm.prank(publisher);
        return pay.open(order(salt, amount));
    }

    function claim(uint256 id, uint256 from, uint256 upTo, uint256 quantities) internal returns (uint256) {
        vm.prank(meter);
        return pay.submitUsage(owner, 0, pairOf(id, from, upTo, quantities), noRefs());
    }

    function topUp(uint256 id, uint88 amount) internal {
        vm.prank(publisher);
        pay.topUp(owner, id, amount);
    }

    // ---- looking ----

    function hotOf(uint256 id) internal view returns (uint256) {
        return stateOf(id).hot;
    }

    function stateOf(uint256 id) internal view returns (IPodPayments.Channel memory) {
        uint256[] memory ids = new uint256[](1);
        ids[0] = id;
        return pay.status(owner, ids)[0];
    }

    function leftOf(uint256 id) internal view returns (uint256) {
        return uint88(hotOf(id));
    }

    function upToOf(uint256 id) internal view returns (uint256) {
        return uint32(hotOf(id) >> 88);
    }

    function meterTagOf(uint256 id) internal view returns (uint256) {
        return hotOf(id) >> 136;
    }

    function owedTo(address who) internal view returns (uint256 owed) {
        (, owed) = pay.accounts(who);
    }

    // ---- signing ----

    function signUsage(uint256 key, uint256[] memory words, IPodPayments.Ref[] memory refs)
        internal
        view
        returns (bytes memory)
    {
        return signUsage(pay, key, owner, 0, words, refs);
    }

    function moveOf(uint256 key, address to, uint32 from, uint32 upTo, uint88 amount, uint32 deadline)
        internal
        view
        returns (IPodPayments.Move memory m)
    {
        m.publisher = vm.addr(key);
        m.salt = SALT;
        uint32 asOf = uint32(block.timestamp + 1); // channels here are often opened in the block in which they move
        m.plan = uint256(asOf) << 184 | uint256(deadline) << 152 | uint256(from) << 120 | uint256(upTo) << 88 | amount;
        bytes32 hash = moveHash(owner, SALT, meter, to, from, upTo, amount, asOf, deadline);
        m.signature = sign(key, digestOf(pay, hash));
    }

    /// @notice The publisher's word at a time of its choice, good for ever.
    function moveAsOf(uint32 asOf, uint32 from, uint32 upTo, uint88 amount)
        internal
        view
        returns (IPodPayments.Move memory m)
    {
        (m.publisher, m.salt) = (publisher, SALT);
        uint32 deadline = type(uint32).max;
        m.plan = uint256(asOf) << 184 | uint256(deadline) << 152 | uint256(from) << 120 | uint256(upTo) << 88 | amount;
        bytes32 hash = moveHash(owner, SALT, meter, nextMeter, from, upTo, amount, asOf, deadline);
        m.signature = sign(PUBLISHER_KEY, digestOf(pay, hash));
    }

    function one(IPodPayments.Move memory m) internal pure returns (IPodPayments.Move[] memory moves) {
        moves = new IPodPayments.Move[](1);
        moves[0] = m;
    }

    // ---- flags ----

    /// @notice Flags of the first result in the last UsageSubmitted or Rotated since `vm.recordLogs`.
    function flagsLogged() internal returns (uint256) {
        return resultsLogged()[0] >> 120 & 0xff;
    }

    // ---- vouchers ----

    /// @notice The publisher's word for a period of the channel at SALT.
    function voucherOf(uint256 from, uint256 upTo, uint88 most) internal view returns (IPodPayments.Voucher memory) {
        bytes32 hash = voucherHash(owner, SALT, meter, uint32(from), uint32(upTo), most);
        return IPodPayments.Voucher(publisher, SALT, most, sign(PUBLISHER_KEY, digestOf(pay, hash)));
    }

    function one(IPodPayments.Voucher memory v) internal pure returns (IPodPayments.Voucher[] memory vouchers) {
        vouchers = new IPodPayments.Voucher[](1);
        vouchers[0] = v;
    }

    function redeem(uint256[] memory words, IPodPayments.Voucher[] memory vouchers) internal returns (uint256) {
        return pay.redeem(owner, 0, words, noRefs(), vouchers, signUsage(METER_KEY, words, noRefs()));
    }
}
