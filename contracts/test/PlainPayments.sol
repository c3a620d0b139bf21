// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What PodPayments does, in plain structs and without a token: the reference that fuzzing holds the packed
///         contract against. Nothing here is packed, clever or shared with it. Functions answer false where the
///         contract reverts, and money is only written down.
contract PlainPayments {
    struct Terms {
        uint256[5] prices;
        uint256 scale;
        uint256 capPerDay;
        uint256 notice;
    }

    struct Channel {
        bool live;
        address publisher;
        address meter;
        Terms terms;
        uint256 deposited;
        uint256 claimed;
        uint256 upTo;
        uint256 carry;
        uint256 unlockAt;
        uint256 openedAt;
        uint256 underCap; // of `claimed`, what the rate cap let through
        uint256 lives;
    }

    struct Item {
        uint256 id;
        uint256 from;
        uint256 upTo;
        uint256[5] used;
        bool asksVoucher;
        bool hasVoucher;
        uint256 most;
        bool asksWhole;
        bool asksRelease;
        bool hasRef;
    }

    struct Result {
        uint256 flags;
        uint256 upTo;
        uint256 paid;
    }

    mapping(address owner => mapping(uint256 id => Channel)) private channels;
    mapping(address who => uint256) public owed;
    uint256 public pulled;
    uint256 public refunded;
    uint256 public paidOut;

    function channel(address owner, uint256 id) external view returns (Channel memory) {
        return channels[owner][id];
    }

    function left(address owner, uint256 id) public view returns (uint256) {
        return channels[owner][id].deposited - channels[owner][id].claimed;
    }

    // ---- the publisher ----

    function open(address publisher, address owner, uint256 id, address meter, Terms calldata terms, uint256 amount)
        external
        returns (bool)
    {
        Channel storage c = channels[owner][id];
        if (c.live) return false;
        (c.live, c.publisher, c.meter, c.terms) = (true, publisher, meter, terms);
        (c.deposited, c.upTo, c.openedAt) = (amount, block.timestamp, block.timestamp);
        ++c.lives;
        pulled += amount;
        return true;
    }

    function topUp(address owner, uint256 id, uint256 amount) external returns (bool) {
        if (!channels[owner][id].live || left(owner, id) + amount >= 2 ** 88) return false;
        channels[owner][id].deposited += amount;
        pulled += amount;
        return true;
    }

    function raiseCap(address caller, address owner, uint256 id, uint256 capPerDay) external returns (bool) {
        Channel storage c = channels[owner][id];
        if (!_commands(caller, c) || capPerDay <= c.terms.capPerDay) return false;
        c.terms.capPerDay = capPerDay;
        return true;
    }

    function unlock(address caller, address owner, uint256 id) external returns (bool) {
        Channel storage c = channels[owner][id];
        if (!_commands(caller, c) || c.unlockAt != 0) return false;
        c.unlockAt = block.timestamp + c.terms.notice;
        return true;
    }

    function cancelUnlock(address caller, address owner, uint256 id) external returns (bool) {
        Channel storage c = channels[owner][id];
        if (!_commands(caller, c)) return false;
        c.unlockAt = 0;
        return true;
    }

    function close(address caller, address owner, uint256 id) external returns (bool) {
        Channel storage c = channels[owner][id];
        if (!_commands(caller, c) || !_noticePassed(c)) return false;
        _end(owner, id);
        return true;
    }

    function move(address caller, address owner, uint256 id, address oldMeter, address newMeter)
        external
        returns (bool)
    {
        Channel storage c = channels[owner][id];
        if (!_commands(caller, c) || !_noticePassed(c)) return false;
        if (c.meter != oldMeter || newMeter == owner || newMeter == oldMeter) return false;
        (c.meter, c.unlockAt, c.upTo) = (newMeter, 0, block.timestamp);
        return true;
    }

    // ---- the provider ----

    function submit(address owner, address meter, Item[] calldata items) external returns (Result[] memory results) {
        results = new Result[](items.length);
        for (uint256 i; i < items.length; ++i) {
            results[i] = _settle(owner, meter, items[i]);
            owed[owner] += results[i].paid;
        }
        for (uint256 i; i < items.length; ++i) {
            if (!items[i].asksRelease || results[i].flags & (8 | 16 | 32) != 0) continue;
            if (items[i].hasRef && channels[owner][items[i].id].live) {
                results[i].flags |= 64;
                _end(owner, items[i].id);
            } else {
                results[i].flags |= 128;
            }
        }
    }

    function release(address caller, address owner, uint256 id) external returns (bool) {
        if (caller != owner || !channels[owner][id].live) return false;
        _end(owner, id);
        return true;
    }

    struct Move {
        uint256 from; // with upTo and amount zero: only a move
        uint256 upTo;
        uint256 amount;
        uint256 asOf;
        bool whole;
        bool consented;
    }

    function rotate(
        address owner,
        uint256 id,
        address oldMeter,
        address newMeter,
        Move calldata m
    ) external returns (Result memory r) {
        Channel storage c = channels[owner][id];
        r.upTo = c.upTo;
        bool settles = m.from != 0 || m.upTo != 0 || m.amount != 0;
        if (!c.live || c.meter != oldMeter) r.flags = 32;
        else if (m.asOf <= c.upTo) r.flags = 16;
        else if (settles && (m.from != c.upTo || m.upTo <= m.from)) r.flags = 16;
        else if (m.upTo > block.timestamp) r.flags = 8;
        else if (!m.consented) r.flags = 128;
        else if (m.whole && m.amount > left(owner, id)) r.flags = 4 | 1;
        if (r.flags != 0) return r;
        r.paid = m.amount;
        if (m.amount > left(owner, id)) (r.paid, r.flags) = (left(owner, id), 1);
        c.claimed += r.paid;
        owed[owner] += r.paid;
        c.meter = newMeter;
        if (settles) c.upTo = r.upTo = m.upTo;
    }

    function withdraw(address who) external returns (uint256 amount) {
        amount = owed[who];
        owed[who] = 0;
        paidOut += amount;
    }

    // ---- inside ----

    function _commands(address caller, Channel storage c) private view returns (bool) {
        return c.live && caller == c.publisher;
    }

    function _noticePassed(Channel storage c) private view returns (bool) {
        return c.unlockAt != 0 && block.timestamp >= c.unlockAt;
    }

    function _end(address owner, uint256 id) private {
        refunded += left(owner, id);
        uint256 lives = channels[owner][id].lives;
        delete channels[owner][id];
        channels[owner][id].lives = lives;
    }

    function _settle(address owner, address meter, Item calldata item) private returns (Result memory r) {
        Channel storage c = channels[owner][item.id];
        r.upTo = c.upTo;
        if (!c.live || c.meter != meter) r.flags = 32;
        else if (item.from != c.upTo || item.upTo <= c.upTo) r.flags = 16;
        else if (item.upTo > block.timestamp) r.flags = 8;
        else if (item.asksVoucher && !item.hasVoucher) r.flags = 16 | 128;
        else if (left(owner, item.id) == 0) r.flags = 4;
        if (r.flags != 0) return r;
        (r.paid, r.flags) = _limited(c, item);
        if (item.asksWhole && !item.asksRelease && r.flags != 0) return Result(4 | r.flags, c.upTo, 0);
        _spend(c, item, r.paid);
        c.claimed += r.paid;
        c.upTo = r.upTo = item.upTo;
    }

    function _budget(Channel storage c, Item calldata item) private view returns (uint256) {
        return c.terms.capPerDay * (2 * c.carry + item.upTo - item.from); // times a day
    }

    function _limited(Channel storage c, Item calldata item) private view returns (uint256 paid, uint256 flags) {
        uint256 allowed = _budget(c, item) / 1 days;
        if (item.asksVoucher && item.most > allowed) allowed = item.most;
        paid = due(c.terms, item.used);
        if (paid > allowed) (paid, flags) = (allowed, 2);
        uint256 most = c.deposited - c.claimed;
        if (paid > most) (paid, flags) = (most, flags | 1);
    }

    function _spend(Channel storage c, Item calldata item, uint256 paid) private {
        (uint256 cap, uint256 budget) = (c.terms.capPerDay, _budget(c, item));
        c.carry = paid * 1 days < budget ? (budget - paid * 1 days) / (2 * cap) : 0;
        if (c.carry > 43_200) c.carry = 43_200;
        if (!item.asksVoucher) c.underCap += paid;
    }

    function due(Terms memory terms, uint256[5] memory used) public pure returns (uint256 amount) {
        for (uint256 k; k < 5; ++k) {
            amount += used[k] * terms.prices[k];
        }
        return amount * 2 ** 64 / 2 ** terms.scale;
    }
}
