// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {TestToken} from "../src/TestToken.sol";
import {PlainPayments} from "./PlainPayments.sol";
import {Signing} from "./Signing.sol";

/// @notice Does anything that anybody may try, to the packed contract and to the plain one, and notes by the number
///         of the invariant where they part or where something happened that must not.
/// @dev Three publishers, two owners, four meters and two salts, so that ids come back and clash.
contract Handler is Signing {
    uint256 private constant PUBLISHERS = 3;
    uint256 private constant METERS = 4;
    uint256 private constant SALTS = 2;
    address private constant OPERATOR = address(0xC1);
    address private constant STRANGER = address(0xE1);

    PodPayments public immutable pay;
    TestToken public immutable token;
    PlainPayments public immutable plain = new PlainPayments();
    PodPayments private immutable other; // the same contract at another address
    address[2] private owners = [address(0xB1), address(0xB2)];

    /// @dev Made once: deriving an address costs more than most calls here.
    mapping(uint256 key => address) private known;
    Spot[] private places;

    /// @notice Invariants that were seen broken inside an action.
    mapping(uint256 invariant => bool) private broken;
    /// @notice How often each action did something, for the test that everything is reached.
    mapping(string action => uint256) public did;

    /// @dev One place where a channel may be.
    struct Spot {
        address owner;
        uint256 publisher; // key
        bytes32 salt;
        uint256 id;
    }

    constructor(PodPayments pay_, TestToken token_) {
        (pay, token) = (pay_, token_);
        other = new PodPayments(pay_.token());
        for (uint256 i; i < PUBLISHERS; ++i) {
            known[1 + i] = vm.addr(1 + i);
            vm.prank(known[1 + i]);
            token_.approve(address(pay_), type(uint256).max);
        }
        for (uint256 m; m <= METERS; ++m) {
            known[200 + m] = vm.addr(200 + m);
        }
        for (uint256 i; i < spots(); ++i) {
            (address owner, uint256 publisher, bytes32 salt) =
                (owners[i % 2], 1 + i / 2 % PUBLISHERS, bytes32(i / 2 / PUBLISHERS));
            places.push(Spot(owner, publisher, salt, pay_.idOf(owner, known[publisher], salt)));
        }
        for (uint256 i; i < 2; ++i) {
            vm.startPrank(owners[i]);
            pay_.setOperator(OPERATOR, true);
            pay_.setPayout(payoutOf(i));
            vm.stopPrank();
        }
    }

    // ---- places and parties ----

    function payoutOf(uint256 i) public pure returns (address) {
        return address(uint160(0xD1 + i));
    }

    function ownerOf(uint256 i) external view returns (address) {
        return owners[i];
    }

    /// @notice All places, so that invariants can look at each.
    function spots() public pure returns (uint256) {
        return 2 * PUBLISHERS * SALTS;
    }

    function spot(uint256 seed) public view returns (Spot memory) {
        return places[seed % spots()];
    }

    function addr(uint256 key) public view returns (address) {
        return known[key];
    }

    function meterKey(uint256 m) private pure returns (uint256) {
        return 200 + m % METERS;
    }

    function booked(Spot memory s) private view returns (PlainPayments.Channel memory) {
        return plain.channel(s.owner, s.id);
    }

    /// @dev The key of the meter that the channel has; any when there is no channel.
    function meterOf(Spot memory s) private view returns (uint256) {
        address meter = booked(s).meter;
        for (uint256 m; m < METERS; ++m) {
            if (addr(meterKey(m)) == meter) return meterKey(m);
        }
        return meterKey(0);
    }

    /// @dev Mostly who may, sometimes another; never another publisher, who would command a channel of its own.
    function callerFor(Spot memory s, uint256 who) private view returns (address) {
        if (who % 4 != 0) return addr(s.publisher);
        return [s.owner, OPERATOR, STRANGER, addr(meterOf(s))][who / 4 % 4];
    }

    // ---- time ----

    function pass(uint32 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 3 days);
    }

    function passLong(uint32 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 20 days);
    }

    // ---- the publisher ----

    function open(uint256 seed, uint256 m, uint256 prices, uint256 scale, uint24 mantissa, uint256 e, uint256 amount)
        external
    {
        Spot memory s = spot(seed);
        PlainPayments.Terms memory t;
        if (mantissa == 0) mantissa = 1;
        (e, t.scale) = (e % 61, scale % 3 == 0 ? scale % 129 : 96 + scale % 33);
        (t.capPerDay, t.notice) = (uint256(mantissa) << e, seed % 10_080 * 1 minutes);
        for (uint256 k; k < 5; ++k) {
            t.prices[k] = uint32(prices >> 32 * k);
        }
        amount = 1 + amount % (amount % 3 == 0 ? 1e6 : 1e24);
        uint256 word = t.notice / 1 minutes << 200 | uint256(mantissa) << 176 | e << 168 | t.scale << 160 | uint160(prices);
        address meter = addr(meterKey(m));
        bool expected = plain.open(addr(s.publisher), s.owner, s.id, meter, t, amount);
        vm.prank(addr(s.publisher));
        try pay.open(IPodPayments.Open(s.owner, meter, s.salt, word, uint88(amount))) returns (uint256 id) {
            if (!expected || id != s.id) broken[14] = true;
            ++did["open"];
        } catch {
            if (expected) broken[15] = true;
            ++did["open again"];
        }
    }

    function topUp(uint256 seed, uint256 amount) external {
        Spot memory s = spot(seed);
        amount = 1 + amount % 1e24;
        bool expected = plain.topUp(s.owner, s.id, amount);
        vm.prank(addr(1 + seed % PUBLISHERS)); // anybody
        try pay.topUp(s.owner, s.id, uint88(amount)) {
            note(expected, "topUp");
        } catch {
            note(!expected, "topUp refused");
        }
    }

    function raiseCap(uint256 seed, uint256 who, uint24 mantissa, uint256 e) external {
        Spot memory s = spot(seed);
        address caller = callerFor(s, who);
        e %= 61;
        bool expected = plain.raiseCap(caller, s.owner, s.id, uint256(mantissa) << e);
        vm.prank(caller);
        try pay.raiseCap(s.owner, s.salt, mantissa, uint8(e)) {
            note(expected, "raiseCap");
        } catch {
            note(!expected, "raiseCap refused");
        }
    }

    function unlock(uint256 seed, uint256 who) external {
        Spot memory s = spot(seed);
        address caller = callerFor(s, who);
        bool expected = plain.unlock(caller, s.owner, s.id);
        vm.prank(caller);
        try pay.unlock(s.owner, s.salt) {
            note(expected, "unlock");
        } catch {
            note(!expected, "unlock refused");
        }
    }

    function cancelUnlock(uint256 seed, uint256 who) external {
        Spot memory s = spot(seed);
        address caller = callerFor(s, who);
        if (who % 3 != 0) return; // else no notice ever passes
        bool expected = plain.cancelUnlock(caller, s.owner, s.id);
        vm.prank(caller);
        try pay.cancelUnlock(s.owner, s.salt) {
            note(expected, "cancelUnlock");
        } catch {
            note(!expected, "cancelUnlock refused");
        }
    }

    function close(uint256 seed, uint256 who) external {
        Spot memory s = spot(seed);
        address caller = callerFor(s, who);
        PlainPayments.Channel memory c = booked(s);
        uint256 before = token.balanceOf(caller);
        bool expected = plain.close(caller, s.owner, s.id);
        vm.prank(caller);
        try pay.close(s.owner, s.salt) {
            // by the books' own clock, not by what the contract stored
            if (c.unlockAt == 0 || block.timestamp < c.unlockAt) broken[7] = true;
            if (token.balanceOf(caller) - before != c.deposited - c.claimed) broken[2] = true;
            note(expected, "close");
        } catch {
            note(!expected, "close refused");
        }
    }

    function move(uint256 seed, uint256 who, uint256 m, bool right) external {
        Spot memory s = spot(seed);
        address caller = callerFor(s, who);
        address from = right ? addr(meterOf(s)) : addr(meterKey(m % METERS + 1));
        address to = m % 5 == 0 ? s.owner : addr(meterKey(m));
        bool expected = plain.move(caller, s.owner, s.id, from, to);
        vm.prank(caller);
        try pay.move(s.owner, s.salt, from, to) {
            note(expected, "move");
        } catch {
            note(!expected, "move refused");
        }
    }

    // ---- the provider ----

    /// @notice Two items of one owner; some bad, some twice the same channel, some asking for release or a voucher.
    function submit(uint256 seedA, uint256 seedB, uint256 a, uint256 b, uint256 m, uint256 mode) external {
        Spot[2] memory s = [spot(seedA), spot(seedB)];
        if (s[1].owner != s[0].owner) s[1] = s[0];
        uint256 key = m % 4 == 0 ? meterKey(m >> 8) : meterOf(s[0]);
        PlainPayments.Item[] memory items = new PlainPayments.Item[](2);
        (items[0], items[1]) = (itemOf(s[0], a), itemOf(s[1], b));
        Batch memory batch = batchOf(s, items, key);
        uint256 snapshot = vm.snapshotState();
        uint256[] memory results = send(batch, key, mode);
        if (mode % 8 == 0) {
            // notes lie in storage, which goes back too: they are written afterwards
            bool twice = paysAgain(batch, key);
            vm.revertToState(snapshot);
            bool apart = paysOtherwiseOneByOne(batch, s, key, results);
            vm.revertToState(snapshot);
            (broken[9], broken[10]) = (broken[9] || twice, broken[10] || apart);
            results = send(batch, key, mode);
            ++did["twice and one by one"];
        }
        PlainPayments.Result[] memory expected = plain.submit(s[0].owner, addr(key), items);
        for (uint256 i; i < 2; ++i) {
            if (results[i] != wordOf(s[i].id, expected[i])) broken[15] = true;
            tell(expected[i].flags);
        }
    }

    function release(uint256 seed, uint256 who) external {
        Spot memory s = spot(seed);
        if (who % 3 != 0) return;
        address caller = who % 2 == 0 ? s.owner : callerFor(s, who);
        bool expected = plain.release(caller, s.owner, s.id);
        IPodPayments.Ref[] memory refs = new IPodPayments.Ref[](1);
        refs[0] = IPodPayments.Ref(addr(s.publisher), s.salt);
        vm.prank(caller);
        try pay.release(refs) {
            note(expected, "release");
        } catch {
            note(!expected, "release refused");
        }
    }

    struct Turn {
        Spot spot;
        address oldMeter;
        address newMeter;
        uint32 from;
        uint32 upTo;
        uint88 amount;
        uint32 asOf;
        bool whole;
        bool consented;
    }

    function rotate(uint256 seed, uint256 m, uint256 amount, uint256 mode, uint256 who) external {
        Turn memory t = turnOf(spot(seed), m, amount, mode);
        address caller = [t.spot.owner, OPERATOR, t.oldMeter, STRANGER, addr(t.spot.publisher)][who % 5];
        IPodPayments.Move[] memory moves = movesOf(t);
        vm.recordLogs();
        vm.prank(caller);
        try pay.rotate(t.spot.owner, t.oldMeter, t.newMeter, moves) {
            if (who % 5 > 2 || t.oldMeter == t.newMeter) broken[8] = true; // neither strangers nor the publisher alone
            PlainPayments.Move memory m_ =
                PlainPayments.Move(t.from, t.upTo, t.amount, t.asOf, t.whole, t.consented);
            PlainPayments.Result memory r = plain.rotate(t.spot.owner, t.spot.id, t.oldMeter, t.newMeter, m_);
            if (resultsLogged()[0] != wordOf(t.spot.id, r)) broken[15] = true;
            ++did[r.flags > 1 ? "move refused by flag" : t.upTo == 0 ? "rotate" : "rotate and settle"];
        } catch {
            if (who % 5 < 3 && t.oldMeter != t.newMeter) broken[15] = true;
        }
    }

    function turnOf(Spot memory s, uint256 m, uint256 amount, uint256 mode) private view returns (Turn memory t) {
        t.spot = s;
        t.oldMeter = addr(mode % 11 == 0 ? meterKey(m % METERS + 1) : meterOf(s));
        t.newMeter = addr(meterKey(m));
        t.consented = mode % 7 != 0;
        t.whole = mode % 5 < 2;
        t.asOf = uint32(mode % 13 == 0 ? booked(s).upTo : block.timestamp + 1);
        if (mode % 2 == 0) return t; // only a move
        uint256 upTo = booked(s).upTo;
        t.from = uint32(mode % 9 == 0 && upTo > 0 ? upTo - 1 : upTo);
        t.upTo = uint32(mode % 23 == 0 ? block.timestamp + 1 : mode % 19 == 0 ? upTo : block.timestamp);
        t.amount = uint88(amount % 1e24);
    }

    function movesOf(Turn memory t) private view returns (IPodPayments.Move[] memory moves) {
        Spot memory s = t.spot;
        bytes32 hash = moveHash(
            s.owner, s.salt, t.oldMeter, t.newMeter, t.from, t.upTo, t.amount, t.asOf, uint32(block.timestamp)
        );
        moves = new IPodPayments.Move[](1);
        (moves[0].publisher, moves[0].salt) = (addr(s.publisher), s.salt);
        moves[0].plan = uint256(t.asOf) << 184 | block.timestamp << 152 | uint256(t.from) << 120 | uint256(t.upTo) << 88;
        moves[0].plan |= t.amount | (t.whole ? 1 << 255 : 0);
        moves[0].signature =
            sign(t.consented ? s.publisher : 1 + s.publisher % PUBLISHERS, digestOf(pay, hash));
    }

    function wordOf(uint256 id, PlainPayments.Result memory r) private pure returns (uint256) {
        return uint256(uint128(id)) << 128 | r.flags << 120 | r.upTo << 88 | r.paid;
    }

    // ---- anybody ----

    function withdraw(uint256 i, uint256 caller) external {
        address who = i % 5 < 3 ? owners[i % 2] : addr(1 + i % PUBLISHERS);
        address to = who == owners[0] ? payoutOf(0) : who == owners[1] ? payoutOf(1) : who;
        uint256 before = token.balanceOf(to);
        uint256 expected = plain.withdraw(who);
        vm.prank(address(uint160(1 << 100 | uint160(caller))));
        try pay.withdraw(who) {
            if (token.balanceOf(to) - before != expected) broken[13] = true;
            note(expected != 0, "withdraw");
        } catch {
            note(expected == 0, "nothing owed");
        }
    }

    /// @notice Everybody but who may tries everything; nothing may change.
    function attack(uint256 seed, uint256 who, uint256 used) external {
        Spot memory s = spot(seed);
        PlainPayments.Channel memory c = booked(s);
        if (!c.live) return;
        uint256 key = meterOf(s);
        address[4] memory attackers = [s.owner, OPERATOR, STRANGER, addr(meterKey(key + 1))];
        address attacker = attackers[who % 4];
        if (attacker == addr(key)) attacker = STRANGER;
        bytes32 before = picture(s);
        uint256[] memory words = new uint256[](2);
        (words[0], words[1]) = (s.id << 64 | c.upTo << 32 | uint32(block.timestamp), 1 << 255 | uint240(used));
        IPodPayments.Ref[] memory refs = new IPodPayments.Ref[](1);
        refs[0] = IPodPayments.Ref(addr(s.publisher), s.salt);
        vm.startPrank(attacker);
        try pay.submitUsage(s.owner, 0, words, refs) {} catch {}
        try pay.submitUsage(attacker, 0, words, refs) {} catch {}
        try pay.unlock(s.owner, s.salt) {} catch {}
        try pay.cancelUnlock(s.owner, s.salt) {} catch {}
        try pay.raiseCap(s.owner, s.salt, type(uint24).max, 64) {} catch {}
        try pay.close(s.owner, s.salt) {} catch {}
        try pay.move(s.owner, s.salt, addr(key), attacker) {} catch {}
        if (attacker != s.owner) try pay.release(refs) {} catch {}
        vm.stopPrank();
        vm.prank(addr(key)); // a meter sets its own payout, not the owner's
        pay.setPayout(STRANGER);
        if (picture(s) != before) broken[8] = true;
        ++did["attack"];
    }

    function picture(Spot memory s) private view returns (bytes32) {
        uint256[] memory ids = new uint256[](1);
        ids[0] = s.id;
        (address to, uint96 owed) = pay.accounts(s.owner);
        return keccak256(abi.encode(pay.status(s.owner, ids), to, owed, token.balanceOf(address(pay))));
    }

    // ---- batches ----

    struct Batch {
        address owner;
        uint256[] words;
        IPodPayments.Ref[] refs;
        IPodPayments.Voucher[] vouchers;
        bytes signature;
    }

    /// @dev Around what the channel would take: sometimes a wrong period, quantities about as large as the cap.
    function itemOf(Spot memory s, uint256 seed) private view returns (PlainPayments.Item memory item) {
        PlainPayments.Channel memory c = booked(s);
        (item.id, item.from, item.upTo) = (s.id, c.upTo, block.timestamp);
        uint256 k = seed % 16;
        if (k == 0 && item.from > 0) --item.from;
        else if (k == 1) ++item.from;
        else if (k == 2) item.upTo += 1 + (seed >> 8) % 100;
        else if (k == 3) item.upTo = item.from;
        else if (k < 8 && item.upTo > item.from) item.upTo = item.from + 1 + (seed >> 8) % (item.upTo - item.from);
        item.used[(seed >> 4) % 5] = uint48(seed >> 16) >> (seed >> 64) % 48;
        if (seed % 5 == 0) item.used[(seed >> 8) % 5] = uint48(seed >> 80);
        item.asksVoucher = seed >> 128 & 3 == 0;
        item.hasVoucher = item.asksVoucher && seed >> 130 & 7 > 2;
        item.most = seed >> 133 & 1 == 0 ? type(uint88).max : uint64(seed >> 140) >> (seed >> 134) % 64;
        item.asksWhole = seed >> 207 & 3 == 0;
        item.asksRelease = seed >> 210 & 7 == 0;
        item.hasRef = item.asksRelease && seed >> 213 & 3 != 0;
    }

    function batchOf(Spot[2] memory s, PlainPayments.Item[] memory items, uint256 key)
        private
        view
        returns (Batch memory b)
    {
        b.owner = s[0].owner;
        b.words = new uint256[](4);
        uint256 refs;
        uint256 vouchers;
        for (uint256 i; i < 2; ++i) {
            (b.words[2 * i], b.words[2 * i + 1]) = wordsOf(items[i]);
            refs += items[i].asksRelease ? 1 : 0;
            vouchers += items[i].asksVoucher ? 1 : 0;
        }
        (b.refs, b.vouchers) = (new IPodPayments.Ref[](refs), new IPodPayments.Voucher[](vouchers));
        (refs, vouchers) = (0, 0);
        for (uint256 i; i < 2; ++i) {
            address publisher = addr(s[i].publisher);
            if (items[i].asksRelease) {
                b.refs[refs++] = IPodPayments.Ref(publisher, items[i].hasRef ? s[i].salt : bytes32(uint256(99)));
            }
            if (items[i].asksVoucher) b.vouchers[vouchers++] = voucherFor(s[i], items[i], key);
        }
        b.signature = signUsage(pay, key, b.owner, 0, b.words, b.refs);
    }

    /// @dev One that does not hold is signed for another chain, contract, owner or channel, by somebody else or for
    ///      another amount: invariant 12 is that the plain contract and the packed one agree about all of them.
    function voucherFor(Spot memory s, PlainPayments.Item memory item, uint256 key)
        private
        view
        returns (IPodPayments.Voucher memory v)
    {
        (v.publisher, v.salt, v.most) = (addr(s.publisher), s.salt, uint88(item.most));
        uint256 wrong = item.hasVoucher ? 6 : item.used[0] % 6;
        bytes32 hash = voucherHash(
            wrong == 0 ? address(0xB3) : s.owner,
            wrong == 1 ? bytes32(uint256(77)) : s.salt,
            addr(wrong == 2 ? key + 1 : key),
            uint32(item.from),
            uint32(item.upTo),
            wrong == 3 ? v.most ^ 1 : v.most
        );
        v.signature = sign(wrong == 4 ? 99 : s.publisher, digestOf(wrong == 5 ? other : pay, hash));
    }

    function wordsOf(PlainPayments.Item memory item) private pure returns (uint256 first, uint256 second) {
        first = item.id << 64 | uint256(uint32(item.from)) << 32 | uint32(item.upTo);
        second = (item.asksRelease ? 1 << 255 : 0) | (item.asksVoucher ? 1 << 254 : 0) | (item.asksWhole ? 1 << 253 : 0);
        for (uint256 k; k < 5; ++k) {
            second |= item.used[k] << 48 * k;
        }
    }

    /// @dev By the meter itself only where no voucher is asked for.
    function send(Batch memory b, uint256 key, uint256 mode) private returns (uint256[] memory) {
        vm.recordLogs();
        if (b.vouchers.length != 0) {
            vm.prank(STRANGER);
            try pay.redeem(b.owner, 0, b.words, b.refs, b.vouchers, b.signature) {}
            catch {
                broken[11] = true;
            }
        } else if (mode % 2 == 0) {
            vm.prank(STRANGER);
            try pay.submitUsageFor(b.owner, 0, b.words, b.refs, b.signature) {}
            catch {
                broken[11] = true;
            }
        } else {
            vm.prank(addr(key));
            try pay.submitUsage(b.owner, 0, b.words, b.refs) {}
            catch {
                broken[11] = true;
            }
        }
        return resultsLogged();
    }

    function paysAgain(Batch memory b, uint256 key) private returns (bool) {
        uint256[] memory results = send(b, key, 0);
        return uint88(results[0]) != 0 || uint88(results[1]) != 0;
    }

    /// @dev With releases the order counts: the second pass of a batch comes after all items.
    function paysOtherwiseOneByOne(Batch memory b, Spot[2] memory s, uint256 key, uint256[] memory together)
        private
        returns (bool otherwise)
    {
        if (b.refs.length != 0) return false;
        uint256 voucher;
        for (uint256 i; i < 2; ++i) {
            Batch memory single;
            single.owner = s[i].owner;
            single.words = new uint256[](2);
            (single.words[0], single.words[1]) = (b.words[2 * i], b.words[2 * i + 1]);
            if (b.words[2 * i + 1] >> 254 & 1 == 1) {
                single.vouchers = new IPodPayments.Voucher[](1);
                single.vouchers[0] = b.vouchers[voucher++];
            }
            single.signature = signUsage(pay, key, b.owner, 0, single.words, single.refs);
            if (send(single, key, 0)[0] != together[i]) otherwise = true;
        }
    }

    // ---- notes ----

    /// @notice The lowest invariant that an action saw broken; 0 for none.
    function firstBroken() external view returns (uint256) {
        for (uint256 n = 1; n <= 15; ++n) {
            if (broken[n]) return n;
        }
        return 0;
    }

    function note(bool asExpected, string memory action) private {
        if (!asExpected) broken[15] = true;
        ++did[action];
    }

    function tell(uint256 flags) private {
        ++did[
            flags == 0
                ? "paid"
                : flags & 64 != 0
                    ? "released"
                    : flags == 144
                        ? "voucher refused"
                        : flags & 128 != 0
                            ? "reference refused"
                            : flags & 4 != 0 && flags != 4
                                ? "held back"
                            : flags & 3 == 3
                                ? "cut both"
                                : flags & 1 != 0
                                    ? "cut deposit"
                                    : flags & 2 != 0
                                        ? "cut cap"
                                        : flags == 4 ? "dry" : flags == 8 ? "future" : flags == 16 ? "stale" : "foreign"
        ];
    }
}
