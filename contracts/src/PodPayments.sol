// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPodPayments} from "./IPodPayments.sol";
import {Words} from "./Words.sol";

/// @title Metered payment channels for pods
/// @notice One instance per ERC-20, immutable: no owner, no upgrade, no fee, no pause.
///         A publisher opens and funds a channel that names the owner (the provider's cold address, which is paid)
///         and the meter (a key made inside attested hardware, which alone can claim). The meter submits quantities,
///         the contract multiplies them by the prices that the publisher accepted, within a rate cap.
///         Neither key alone can steal: the owner cannot claim, and the meter cannot say where money goes.
/// @dev Channels live at channels[owner][id]; id = low 192 bits of keccak256(abi.encode(owner, publisher, salt)), so
///      publisher and salt prove who may command a channel and neither is stored. Layout of the words: Words.sol.
contract PodPayments is IPodPayments, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice Flag of a result: paid less than due, the deposit is used up.
    uint256 public constant CUT_DEPOSIT = Words.CUT_DEPOSIT;
    /// @notice Flag of a result: paid less than due, the allowance is used up.
    uint256 public constant CUT_CAP = Words.CUT_CAP;
    /// @notice Flag of a result: nothing written, still claimable after a top-up. Alone: nothing is left; with a flag of
    ///         a cut: the item asks to be paid whole, and could not be.
    uint256 public constant DRY = Words.DRY;
    /// @notice Flag of a result: skipped, upTo lies after this block's time.
    uint256 public constant FUTURE = 8;
    /// @notice Flag of a result: skipped, from is not the stored upTo, the period is empty, or a move was signed before
    ///         the channel came to stand where it stands.
    uint256 public constant STALE = 16;
    /// @notice Flag of a result: skipped, no such channel under this meter.
    uint256 public constant FOREIGN = 32;
    /// @notice Flag of a result: the channel was released, its rest refunded.
    uint256 public constant RELEASED = 64;
    /// @notice Flag of a result: a release or move with a wrong publisher, salt, signature or deadline; together with
    ///         STALE an item that was skipped because its voucher is missing or does not hold.
    uint256 public constant BAD_REF = 128;
    uint256 private constant SKIPPED = FUTURE | STALE | FOREIGN;

    /// @dev What a contract wallet is given to check a signature: enough for several owners behind a proxy, and little
    ///      enough that a batch of 50, all of whose wallets burn it, fits a transaction of 5 million.
    uint256 private constant WALLET_GAS = 60_000;
    /// @dev What must be there before it is called: a call leaves a 64th of the gas behind (EIP-150), and costs itself.
    uint256 private constant WALLET_CALL_GAS = WALLET_GAS + WALLET_GAS / 63 + 1_000;
    /// @dev A move's word that it is to be paid whole, and the bits of it that mean nothing.
    uint256 private constant WHOLE_MOVE = 1 << 255;
    uint256 private constant NO_MOVE = uint256(type(uint40).max >> 1) << 216;
    /// @dev Marks a result, before its item is settled, as the ceiling of a voucher that holds.
    uint256 private constant LIFTED = 1 << 255;

    /// @notice EIP-712 type of what a meter signs.
    bytes32 public constant USAGE_TYPEHASH = keccak256(
        "Usage(address owner,bytes32 root,uint256[] words,Ref[] refs)Ref(address publisher,bytes32 salt)"
    );
    /// @notice EIP-712 type of a reference inside Usage.
    bytes32 public constant REF_TYPEHASH = keccak256("Ref(address publisher,bytes32 salt)");
    /// @notice EIP-712 type of what a publisher signs for another meter.
    bytes32 public constant MOVE_TYPEHASH = keccak256(
        "Move(address owner,bytes32 salt,address oldMeter,address newMeter,uint32 from,uint32 upTo,uint88 pay,uint32 asOf,uint32 deadline)"
    );

    /// @notice EIP-712 type of what a publisher signs to lift the cap of one period.
    bytes32 public constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address owner,bytes32 salt,address meter,uint32 from,uint32 upTo,uint88 most)");

    /// @notice The only token of this instance.
    IERC20 public immutable token;
    mapping(address owner => mapping(uint256 id => Channel)) private channels;
    /// @notice Payout address and balance of owners, and of publishers whose refund the token refused.
    mapping(address who => Account) public accounts;
    /// @notice Who may hand in moves for an owner; an operator has no other right.
    mapping(address owner => mapping(address operator => bool)) public isOperator;

    /// @notice A market for one token.
    /// @param token_ the ERC-20 of every channel; fee-on-transfer tokens are refused at the first deposit
    constructor(IERC20 token_) EIP712("PodPayments", "1") {
        token = token_;
    }

    /// @notice The id under which a channel is kept.
    /// @param owner whom it pays
    /// @param publisher who opens it
    /// @param salt as it is opened
    /// @return the id, 192 bits
    function idOf(address owner, address publisher, bytes32 salt) public pure returns (uint256) {
        return uint192(uint256(keccak256(abi.encode(owner, publisher, salt))));
    }

    // ---- the owner: the provider's cold address ----

    /// @notice Sets where the caller's credit is paid; zero means to the caller itself.
    /// @param to the payout
    function setPayout(address to) external {
        accounts[msg.sender].payout = to;
        emit PayoutSet(msg.sender, to);
    }

    /// @notice Allows an operator to hand in moves that publishers signed, or takes that back.
    /// @param operator whose right it is
    /// @param allowed whether it has it from now on
    function setOperator(address operator, bool allowed) external {
        isOperator[msg.sender][operator] = allowed;
        emit OperatorSet(msg.sender, operator, allowed);
    }

    /// @notice Ends channels of the calling owner at once and refunds their publishers; nothing is claimed.
    /// @param refs which ones; Unknown when one of them is not there
    function release(Ref[] calldata refs) external nonReentrant {
        for (uint256 i; i < refs.length; ++i) {
            uint256 id = idOf(msg.sender, refs[i].publisher, refs[i].salt);
            Channel storage c = channels[msg.sender][id];
            uint256 h = c.hot;
            if (h == 0) revert Unknown();
            _close(c, Words.leftIn(h), msg.sender, id, refs[i].publisher);
        }
    }

    // ---- the publisher ----

    /// @notice Opens and funds a channel from a standing allowance.
    /// @param order what to open
    /// @return id under which it is kept
    function open(Open calldata order) external nonReentrant returns (uint256 id) {
        id = _open(order);
        _pull(order.amount);
    }

    /// @notice Opens and funds a channel in one transaction with a signed allowance.
    /// @dev A permit that somebody else handed in first fails here; the allowance decides then.
    /// @param order what to open
    /// @param value the allowance that the caller signed (ERC-2612)
    /// @param deadline until when that signature is good
    /// @param v recovery bit of the signature
    /// @param r first half of the signature
    /// @param s second half of the signature
    /// @return id under which it is kept
    function openWithPermit(Open calldata order, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (uint256 id)
    {
        _permit(value, deadline, v, r, s);
        id = _open(order);
        _pull(order.amount);
    }

    /// @notice Opens and funds several channels with one transfer.
    /// @param orders what to open
    function openMany(Open[] calldata orders) external nonReentrant {
        uint256 sum = 0;
        for (uint256 i; i < orders.length; ++i) {
            _open(orders[i]);
            sum += orders[i].amount;
        }
        _pull(sum);
    }

    /// @notice Adds to a deposit; anybody may. It never cancels a notice, so nobody can hold a publisher's exit up.
    /// @param owner whom the channel pays
    /// @param id the channel
    /// @param amount what to add
    function topUp(address owner, uint256 id, uint88 amount) external nonReentrant {
        _topUp(owner, id, amount);
    }

    /// @notice Adds to a deposit with a signed allowance of the caller's.
    /// @param owner whom the channel pays
    /// @param id the channel
    /// @param amount what to add
    /// @param value the allowance that the caller signed (ERC-2612)
    /// @param deadline until when that signature is good
    /// @param v recovery bit of the signature
    /// @param r first half of the signature
    /// @param s second half of the signature
    function topUpWithPermit(
        address owner,
        uint256 id,
        uint88 amount,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        _permit(value, deadline, v, r, s);
        _topUp(owner, id, amount);
    }

    /// @notice Raises the cap of the caller's channel; it never sinks. The period that is not claimed yet, and the
    ///         carried allowance (at most a day), count at the new cap.
    /// @param owner whom the channel pays
    /// @param salt as the channel was opened
    /// @param mantissa of the new cap, in base units a day
    /// @param exponent binary exponent of the new cap
    function raiseCap(address owner, bytes32 salt, uint24 mantissa, uint8 exponent) external {
        (Channel storage c, uint256 id, uint256 terms) = _mine(owner, salt);
        uint256 raised = Words.withCap(terms, mantissa, exponent);
        if (exponent > Words.MAX_CAP_EXPONENT || Words.capIn(raised) <= Words.capIn(terms)) revert BadTerms();
        c.terms = raised;
        emit CapRaised(owner, id, raised);
    }

    /// @notice Gives notice: after it the caller may close its channel. Claims go on until then.
    /// @param owner whom the channel pays
    /// @param salt as the channel was opened
    function unlock(address owner, bytes32 salt) external {
        (Channel storage c, uint256 id, uint256 terms) = _mine(owner, salt);
        if (Words.unlockAtIn(terms) != 0) revert Locked(); // a second call must not push the first
        uint256 ending = Words.ending(terms, block.timestamp);
        c.terms = Words.withUnlockAt(terms, ending);
        emit UnlockStarted(owner, id, ending);
    }

    /// @notice Takes the notice back.
    /// @param owner whom the channel pays
    /// @param salt as the channel was opened
    function cancelUnlock(address owner, bytes32 salt) external {
        (Channel storage c, uint256 id, uint256 terms) = _mine(owner, salt);
        c.terms = Words.withUnlockAt(terms, 0);
        emit UnlockCancelled(owner, id);
    }

    /// @notice Ends the caller's channel after its notice and refunds what is left.
    /// @param owner whom the channel pays
    /// @param salt as the channel was opened
    function close(address owner, bytes32 salt) external nonReentrant {
        (Channel storage c, uint256 id, uint256 terms) = _mine(owner, salt);
        _requireNoticePassed(terms);
        _close(c, Words.leftIn(c.hot), owner, id, msg.sender);
    }

    /// @notice Moves the caller's channel to another meter without the provider; only after the notice, as it cuts
    ///         the old meter off like a close does: what was not claimed until now is not claimed any more, and what was
    ///         signed before it is void. It ends the notice.
    /// @param owner whom the channel pays
    /// @param salt as the channel was opened
    /// @param oldMeter who may claim now
    /// @param newMeter who may claim afterwards
    function move(address owner, bytes32 salt, address oldMeter, address newMeter) external {
        (Channel storage c, uint256 id, uint256 terms) = _mine(owner, salt);
        _requireNoticePassed(terms);
        uint256 h = c.hot;
        uint256 tag = Words.tagOf(newMeter);
        if (Words.tagIn(h) != Words.tagOf(oldMeter) || tag == 0 || newMeter == owner) revert Denied();
        if (tag == Words.tagIn(h)) revert Denied(); // no move at all
        uint256 moved = Words.dated(block.timestamp);
        c.hot = Words.hot(tag, Words.carryIn(h), moved, Words.leftIn(h));
        c.terms = Words.withUnlockAt(terms, 0);
        uint256[] memory results = new uint256[](1);
        results[0] = _result(id, 0, moved, 0);
        emit Rotated(owner, oldMeter, newMeter, 0, results);
    }

    // ---- the meter ----

    /// @notice Settles a batch of the calling meter's channels; nothing reverts because of one item.
    /// @param owner whose channels these are
    /// @param root Merkle root over the usage leaves of the batch
    /// @param words pairs: id u192 | from u32 | upTo u32, then release u1 | voucher u1 | whole u1 | 0 u13 |
    ///        5 x quantity u48; an item with the voucher bit is skipped here, one with the whole bit wherever it would be
    ///        paid less than is due
    /// @param refs one for each item with the release bit, in order
    /// @return paid what the owner was credited
    function submitUsage(address owner, bytes32 root, uint256[] calldata words, Ref[] calldata refs)
        external
        nonReentrant
        returns (uint256 paid)
    {
        return _submit(owner, msg.sender, root, words, refs, _room(words));
    }

    /// @notice The same, signed by the meter and sent by anybody: a meter needs no coin, and what it signed last can be
    ///         sent after its machine is gone. Sending it again changes nothing, as `from` does not match any more.
    /// @dev The refs are signed too, so that nobody can strip a release.
    /// @param owner whose channels these are
    /// @param root Merkle root over the usage leaves of the batch
    /// @param words as in submitUsage
    /// @param refs one for each item with the release bit, in order
    /// @param signature the meter's over Usage, 65 bytes
    /// @return paid what the owner was credited
    function submitUsageFor(
        address owner,
        bytes32 root,
        uint256[] calldata words,
        Ref[] calldata refs,
        bytes calldata signature
    ) external nonReentrant returns (uint256 paid) {
        return _submit(owner, _signer(owner, root, words, refs, signature), root, words, refs, _room(words));
    }

    /// @notice The same with vouchers, which lift the caps of single items: for bursts, for last settlements, and for
    ///         publishers who countersign all usage. An item that asks for a voucher counts with one only, so whoever
    ///         sends the batch without them cannot have it cut.
    /// @param owner whose channels these are
    /// @param root Merkle root over the usage leaves of the batch
    /// @param words as in submitUsage; the bit below the release asks for a voucher
    /// @param refs one for each item with the release bit, in order
    /// @param vouchers one for each item that asks for it, in order
    /// @param signature the meter's, over the same as in submitUsageFor
    /// @return paid what the owner was credited
    function redeem(
        address owner,
        bytes32 root,
        uint256[] calldata words,
        Ref[] calldata refs,
        Voucher[] calldata vouchers,
        bytes calldata signature
    ) external nonReentrant returns (uint256 paid) {
        address meter = _signer(owner, root, words, refs, signature);
        uint256[] memory results = _room(words);
        _lift(owner, meter, words, vouchers, results);
        return _submit(owner, meter, root, words, refs, results);
    }

    /// @notice Moves channels to a newly attested meter. Each needs its publisher's signature, and the call must come
    ///         from the old meter, the owner or an operator. A move may settle a period that a dead meter never claimed;
    ///         it is limited by the deposit alone, as the publisher signed the amount, and gives no allowance.
    /// @dev No reentrancy guard: the only outside call is a static one, to a contract wallet.
    /// @param owner whom the channels pay
    /// @param oldMeter who may claim now
    /// @param newMeter who may claim afterwards
    /// @param moves the publishers' words; those that do not hold are flagged and change nothing
    /// @return paid what the owner was credited
    function rotate(address owner, address oldMeter, address newMeter, Move[] calldata moves)
        external
        returns (uint256 paid)
    {
        if (msg.sender != oldMeter && msg.sender != owner && !isOperator[owner][msg.sender]) revert Denied();
        uint256 tag = Words.tagOf(newMeter);
        if (Words.tagOf(oldMeter) == 0 || tag == 0 || newMeter == owner) revert BadTerms();
        if (tag == Words.tagOf(oldMeter)) revert BadTerms(); // it would be good again and again
        uint256[] memory results = new uint256[](moves.length);
        for (uint256 i; i < moves.length; ++i) {
            (uint256 pay, uint256 result) = _rotate(owner, oldMeter, newMeter, moves[i]);
            paid += pay;
            results[i] = result;
        }
        _credit(owner, paid);
        emit Rotated(owner, oldMeter, newMeter, paid, results);
    }

    // ---- anybody ----

    /// @notice Pays what `who` is owed, only to the payout that `who` set itself.
    /// @param who is paid; BadAmount when it is owed nothing
    function withdraw(address who) external nonReentrant {
        Account storage account = accounts[who];
        uint256 amount = account.owed;
        if (amount == 0) revert BadAmount();
        address to = account.payout == address(0) ? who : account.payout;
        account.owed = 0;
        emit Withdrawn(who, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @notice Words of many channels in one call; two zeros where there is none.
    /// @param owner whom they pay
    /// @param ids which ones
    /// @return found their words, in the same order
    function status(address owner, uint256[] calldata ids) external view returns (Channel[] memory found) {
        found = new Channel[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            found[i] = channels[owner][ids[i]];
        }
    }

    // ---- inside ----

    function _open(Open calldata order) private returns (uint256 id) {
        if (order.amount == 0) revert BadAmount();
        uint256 tag = Words.tagOf(order.meter);
        if (!Words.acceptable(order.terms)) revert BadTerms();
        if (order.owner == address(0) || order.owner == order.meter || tag == 0) revert BadTerms();
        id = idOf(order.owner, msg.sender, order.salt);
        Channel storage c = channels[order.owner][id];
        if (c.hot != 0) revert Live();
        c.hot = Words.hot(tag, 0, Words.dated(block.timestamp), order.amount); // no allowance yet
        c.terms = order.terms;
        emit Opened(order.owner, msg.sender, id, order.meter, order.terms, order.amount);
    }

    function _topUp(address owner, uint256 id, uint88 amount) private {
        Channel storage c = channels[owner][id];
        uint256 h = c.hot;
        if (h == 0) revert Unknown();
        if (amount == 0 || Words.leftIn(h) + amount > type(uint88).max) revert BadAmount();
        c.hot = h + amount; // the sum fits the low field
        emit ToppedUp(owner, id, amount);
        _pull(amount);
    }

    /// @dev Terms of a live channel are never zero: the cap's mantissa is not.
    function _mine(address owner, bytes32 salt) private view returns (Channel storage c, uint256 id, uint256 terms) {
        id = idOf(owner, msg.sender, salt);
        c = channels[owner][id];
        terms = c.terms;
        if (terms == 0) revert Unknown();
    }

    function _requireNoticePassed(uint256 terms) private view {
        uint256 ending = Words.unlockAtIn(terms);
        if (ending == 0 || block.timestamp < ending) revert Locked();
    }

    /// @dev Results lie in memory behind room for the event's two head words, so that it is logged without a copy.
    function _room(uint256[] calldata words) private pure returns (uint256[] memory results) {
        if (words.length % 2 != 0) revert BadLength();
        uint256 n = words.length / 2;
        results = new uint256[](n + 2);
        assembly ("memory-safe") {
            results := add(results, 64)
            mstore(results, n)
        }
    }

    /// @dev `results` comes from `_room`; where it is not zero, it is the ceiling of a voucher.
    function _submit(
        address owner,
        address meter,
        bytes32 root,
        uint256[] calldata words,
        Ref[] calldata refs,
        uint256[] memory results
    ) private returns (uint256 paid) {
        paid = _settleAll(channels[owner], Words.tagOf(meter), words, results);
        if (refs.length != 0) _releaseAsked(owner, words, refs, results);
        _credit(owner, paid);
        bytes32 topic = UsageSubmitted.selector;
        assembly ("memory-safe") {
            mstore(sub(results, 64), paid)
            mstore(sub(results, 32), 64)
            log4(sub(results, 64), add(96, shl(5, mload(results))), topic, owner, meter, root)
        }
    }

    /// @dev First pass of a redemption: the ceilings of the vouchers that hold, where the results will be.
    function _lift(
        address owner,
        address meter,
        uint256[] calldata words,
        Voucher[] calldata vouchers,
        uint256[] memory results
    ) private view {
        uint256 k = 0;
        for (uint256 i; i < results.length && k < vouchers.length; ++i) {
            if (words[2 * i + 1] & Words.VOUCHED == 0) continue;
            Voucher calldata v = vouchers[k++];
            uint256 item = words[2 * i];
            if (idOf(owner, v.publisher, v.salt) != item >> 64) continue;
            bytes32 hash = keccak256(
                abi.encode(VOUCHER_TYPEHASH, owner, v.salt, meter, uint32(item >> 32), uint32(item), v.most)
            );
            if (_signed(v.publisher, hash, v.signature)) results[i] = LIFTED | v.most;
        }
    }

    /// @dev results.length is half of words.length; the assembly reads pair i and finds channel id's slot.
    function _settleAll(
        mapping(uint256 id => Channel) storage mine,
        uint256 tag,
        uint256[] calldata words,
        uint256[] memory results
    ) private returns (uint256 paid) {
        uint256 n = results.length;
        unchecked {
            for (uint256 i; i < n; ++i) {
                uint256 item;
                uint256 quantities;
                uint256 place; // of result i in memory
                Channel storage c;
                assembly ("memory-safe") {
                    let pair := add(words.offset, shl(6, i))
                    item := calldataload(pair)
                    quantities := calldataload(add(pair, 32))
                    place := add(add(results, 32), shl(5, i))
                    mstore(0, shr(64, item))
                    mstore(32, mine.slot)
                    c.slot := keccak256(0, 64)
                }
                paid += _settle(c, item, quantities, tag, place); // below 2^88 each, and fewer than 2^32 items
            }
        }
    }

    /// @dev Never reverts, so that a bad item cannot spoil a batch. Memory at `place` holds the ceiling of a voucher or
    ///      zero before, the result afterwards.
    function _settle(Channel storage c, uint256 item, uint256 quantities, uint256 tag, uint256 place)
        private
        returns (uint256 pay)
    {
        uint256 h = c.hot;
        uint256 settled = uint32(h >> 88);
        uint256 upTo = uint32(item);
        uint256 lift;
        assembly ("memory-safe") {
            lift := mload(place)
        }
        uint256 flags;
        if (h >> 136 != tag) {
            flags = FOREIGN;
        } else if (uint32(item >> 32) != settled || upTo <= settled) {
            flags = STALE;
        } else if (upTo > block.timestamp) {
            flags = FUTURE;
        } else if (quantities & Words.VOUCHED > lift) { // asks for a voucher and has none: LIFTED is the higher bit
            flags = STALE | BAD_REF;
        } else if (uint88(h) == 0) {
            flags = DRY;
        } else {
            (pay, flags, h) = Words.settle(h, c.terms, upTo, quantities, uint88(lift));
            c.hot = h;
        }
        h = item >> 64 << 128 | flags << 120 | h & Words.UP_TO | pay; // its upTo as it is stored now
        assembly ("memory-safe") {
            mstore(place, h)
        }
    }

    /// @dev Second pass, after every item was settled: items that hold and ask for it end their channel.
    function _releaseAsked(address owner, uint256[] calldata words, Ref[] calldata refs, uint256[] memory results)
        private
    {
        uint256 k = 0;
        for (uint256 i; i < results.length && k < refs.length; ++i) {
            if (words[2 * i + 1] & Words.RELEASE == 0) continue;
            Ref calldata ref = refs[k++];
            if ((results[i] >> 120) & SKIPPED != 0) continue;
            uint256 id = words[2 * i] >> 64;
            Channel storage c = channels[owner][id];
            uint256 h = c.hot;
            if (h == 0 || idOf(owner, ref.publisher, ref.salt) != id) {
                results[i] |= BAD_REF << 120;
            } else {
                results[i] |= RELEASED << 120;
                _close(c, Words.leftIn(h), owner, id, ref.publisher);
            }
        }
    }

    function _rotate(address owner, address oldMeter, address newMeter, Move calldata m)
        private
        returns (uint256 pay, uint256 result)
    {
        uint256 id = idOf(owner, m.publisher, m.salt);
        Channel storage c = channels[owner][id];
        uint256 h = c.hot;
        uint256 settled = Words.upToIn(h);
        uint256 from = uint32(m.plan >> 120);
        uint256 upTo = uint32(m.plan >> 88);
        pay = uint88(m.plan);
        uint256 flags = 0;
        if (Words.tagIn(h) != Words.tagOf(oldMeter)) {
            flags = FOREIGN;
        } else if (settled >= uint32(m.plan >> 184)) {
            flags = STALE; // signed before the channel came to stand here
        } else if ((from | upTo | pay) != 0 && (from != settled || upTo <= from)) {
            flags = STALE;
        } else if (upTo > block.timestamp) {
            flags = FUTURE;
        } else if (m.plan & NO_MOVE != 0 || block.timestamp > uint32(m.plan >> 152) || !_consents(owner, oldMeter, newMeter, m)) {
            flags = BAD_REF;
        } else if (pay > Words.leftIn(h) && m.plan & WHOLE_MOVE != 0) {
            flags = DRY | CUT_DEPOSIT;
        }
        if (flags != 0) {
            pay = 0;
        } else {
            if (pay > Words.leftIn(h)) {
                pay = Words.leftIn(h);
                flags = CUT_DEPOSIT;
            }
            if (upTo != 0) settled = upTo;
            c.hot = Words.hot(Words.tagOf(newMeter), Words.carryIn(h), settled, Words.leftIn(h) - pay);
        }
        result = _result(id, flags, settled, pay);
    }

    function _consents(address owner, address oldMeter, address newMeter, Move calldata m) private view returns (bool) {
        bytes32 hash = keccak256(
            abi.encode(
                MOVE_TYPEHASH,
                owner,
                m.salt,
                oldMeter,
                newMeter,
                uint32(m.plan >> 120),
                uint32(m.plan >> 88),
                uint88(m.plan),
                uint32(m.plan >> 184),
                uint32(m.plan >> 152)
            )
        );
        return _signed(m.publisher, hash, m.signature);
    }

    /// @dev Who signed a batch. A malformed signature reverts; another signer is some other meter.
    function _signer(
        address owner,
        bytes32 root,
        uint256[] calldata words,
        Ref[] calldata refs,
        bytes calldata signature
    ) private view returns (address) {
        bytes32 hash =
            keccak256(abi.encode(USAGE_TYPEHASH, owner, root, keccak256(abi.encodePacked(words)), _hashRefs(refs)));
        return ECDSA.recoverCalldata(_hashTypedDataV4(hash), signature);
    }

    /// @dev Whether `who`, a key or a contract wallet, signed. Never reverts. A plain signature is tried first: asking
    ///      for the code size of a cold account costs 2,600 gas.
    function _signed(address who, bytes32 structHash, bytes calldata signature) private view returns (bool) {
        bytes32 digest = _hashTypedDataV4(structHash);
        // slither-disable-next-line unused-return  the third answer only explains a failure, and failure is enough here
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && signer == who) return true;
        return who.code.length != 0 && _walletSigned(who, digest, signature);
    }

    /// @dev Whether a contract wallet takes a signature (ERC-1271), asked with a bounded amount of gas, so that one item
    ///      cannot use up what the others need. Whoever sends less gas than that is refused as a whole: else an estimate
    ///      of gas would find that the batch needs none for its wallets.
    function _walletSigned(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool takes) {
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        if (gasleft() < WALLET_CALL_GAS) revert TooLittleGas();
        bytes4 magic = IERC1271.isValidSignature.selector;
        assembly ("memory-safe") {
            takes := staticcall(WALLET_GAS, wallet, add(question, 32), mload(question), 0, 32)
            takes := and(takes, and(gt(returndatasize(), 31), eq(mload(0), magic)))
        }
    }

    function _hashRefs(Ref[] calldata refs) private pure returns (bytes32 hash) {
        bytes32[] memory hashes = new bytes32[](refs.length);
        for (uint256 i; i < refs.length; ++i) {
            hashes[i] = keccak256(abi.encode(REF_TYPEHASH, refs[i].publisher, refs[i].salt));
        }
        assembly ("memory-safe") {
            hash := keccak256(add(hashes, 32), shl(5, mload(hashes))) // their words back to back, without a copy
        }
    }

    function _result(uint256 id, uint256 flags, uint256 upTo, uint256 pay) private pure returns (uint256) {
        return id << 128 | flags << 120 | upTo << 88 | pay;
    }

    /// @dev u96 is passed only by tokens with a supply over 2^96 base units; a withdrawal clears it.
    function _credit(address who, uint256 amount) private {
        if (amount == 0) return;
        Account storage account = accounts[who];
        uint256 sum = account.owed + amount;
        if (sum > type(uint96).max) revert BadAmount();
        account.owed = uint96(sum);
    }

    /// @dev The refund is pushed; where the token refuses (a blocked receiver) it is credited, so that one publisher
    ///      cannot spoil a batch.
    function _close(Channel storage c, uint256 left, address owner, uint256 id, address publisher) private {
        (c.hot, c.terms) = (0, 0);
        bool pushed = true;
        if (left != 0) {
            pushed = token.trySafeTransfer(publisher, left);
            if (!pushed) _credit(publisher, left);
        }
        emit Closed(owner, id, left, pushed);
    }

    /// @dev Whoever sees a permit may hand it in first, so its failure says nothing.
    function _permit(uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) private {
        try IERC20Permit(address(token)).permit(msg.sender, address(this), value, deadline, v, r, s) {} catch {}
    }

    /// @dev A token that takes a fee would leave the contract short.
    function _pull(uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        if (token.balanceOf(address(this)) - before != amount) revert BadAmount();
    }
}
