// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Words of the payment contract: what is handed in, what is answered, what can go wrong
/// @notice Quantities are core-milliseconds, MiB-seconds and KiB; money is in base units of the token; times are
///         Unix seconds of blocks. Layout of packed words: Words.sol.
interface IPodPayments {
    /// @notice The two words of a channel; both are zero when there is none.
    /// @param hot meter tag, carried allowance, end of the last settled period, what is left of the deposit
    /// @param terms prices, cap, notice; and when a notice that runs ends
    struct Channel {
        uint256 hot;
        uint256 terms;
    }

    /// @notice Where an address wants to be paid, and what it is owed.
    /// @param payout zero: to the address itself
    /// @param owed base units that `withdraw` pays
    struct Account {
        address payout;
        uint96 owed;
    }

    /// @notice What a publisher opens.
    /// @param owner the provider's cold address, which is paid
    /// @param meter the attested key that alone may claim
    /// @param salt makes the id unguessable, and distinguishes channels of the same two parties
    /// @param terms as in Words.sol, with unlockAt 0
    /// @param amount the first deposit
    struct Open {
        address owner;
        address meter;
        bytes32 salt;
        uint256 terms;
        uint88 amount;
    }

    /// @notice What, with the owner, a channel's id is made of.
    /// @param publisher who opened the channel
    /// @param salt as it was opened
    struct Ref {
        address publisher;
        bytes32 salt;
    }

    /// @notice A publisher's consent to another meter.
    /// @dev With from, upTo and pay zero the channel only moves; otherwise `from` must be the stored upTo, the period
    ///      must not be empty, and it is settled for `pay`.
    ///      `asOf` binds a move to the channel as its publisher saw it: it is the chain's time then, and the stored upTo
    ///      must lie before it. A later life of the channel begins with an upTo of its opening, which is not before
    ///      `asOf`, and so does what a publisher moves by itself.
    /// @param publisher who opened the channel
    /// @param salt as it was opened
    /// @param plan whole u1 | 0 u39 | asOf u32 | deadline u32 | from u32 | upTo u32 | pay u88; `whole`, the word of who
    ///        hands it in and not signed: skip it rather than pay less than `pay`
    /// @param signature the publisher's over Move: 65 bytes, or what its contract wallet takes
    struct Move {
        address publisher;
        bytes32 salt;
        uint256 plan;
        bytes signature;
    }

    /// @notice A publisher's word that one period of a meter may be paid up to `most` whatever the cap says. Usage is
    ///         still metered and still limited by the deposit.
    /// @dev Good once: the period is signed, and a period is settled once. Who sends it does not matter.
    /// @param publisher who opened the channel
    /// @param salt as it was opened
    /// @param most what the period may cost
    /// @param signature the publisher's over Voucher: 65 bytes, or what its contract wallet takes
    struct Voucher {
        address publisher;
        bytes32 salt;
        uint88 most;
        bytes signature;
    }

    /// @notice An amount is zero, too large, or not what arrived.
    error BadAmount();
    /// @notice Terms, owner, meter or cap are not acceptable.
    error BadTerms();
    /// @notice The words of a submission do not come in pairs.
    error BadLength();
    /// @notice A channel with this id exists already.
    error Live();
    /// @notice There is no such channel.
    error Unknown();
    /// @notice The notice has not passed, or runs already.
    error Locked();
    /// @notice The caller may not do this.
    error Denied();
    /// @notice A block's time does not fit the field that it would be kept in.
    error TooLate();
    /// @notice Less gas was sent than a contract wallet is given to check a signature.
    error TooLittleGas();

    /// @notice A channel was opened; its first period starts at this block's time.
    /// @param owner whom it pays
    /// @param publisher who opened and funded it
    /// @param id under which it is kept
    /// @param meter who may claim
    /// @param terms the whole word
    /// @param amount the first deposit
    event Opened(
        address indexed owner, address indexed publisher, uint256 indexed id, address meter, uint256 terms, uint256 amount
    );
    /// @notice A deposit grew.
    /// @param owner whom the channel pays
    /// @param id the channel
    /// @param amount what was added
    event ToppedUp(address indexed owner, uint256 indexed id, uint256 amount);
    /// @notice The publisher raised the cap.
    /// @param owner whom the channel pays
    /// @param id the channel
    /// @param terms the whole new word
    event CapRaised(address indexed owner, uint256 indexed id, uint256 terms);
    /// @notice A batch was settled.
    /// @param owner whom it pays
    /// @param meter who signed or sent it
    /// @param root Merkle root over its usage leaves
    /// @param paid what the owner was credited for all items
    /// @param results one an item: id's low u128 | flags u8 | upTo u32 | paid u88
    event UsageSubmitted(
        address indexed owner, address indexed meter, bytes32 indexed root, uint256 paid, uint256[] results
    );
    /// @notice Channels moved to another meter.
    /// @param owner whom they pay
    /// @param oldMeter who could claim before
    /// @param newMeter who can claim from now on
    /// @param paid what the owner was credited for all of them
    /// @param results one a move, as in UsageSubmitted
    event Rotated(
        address indexed owner, address indexed oldMeter, address indexed newMeter, uint256 paid, uint256[] results
    );
    /// @notice The publisher gave notice.
    /// @param owner whom the channel pays
    /// @param id the channel
    /// @param unlockAt from when on the publisher may close
    event UnlockStarted(address indexed owner, uint256 indexed id, uint256 unlockAt);
    /// @notice The publisher took its notice back.
    /// @param owner whom the channel pays
    /// @param id the channel
    event UnlockCancelled(address indexed owner, uint256 indexed id);
    /// @notice A channel ended.
    /// @param owner whom it paid
    /// @param id the channel
    /// @param refunded what was left, and is the publisher's
    /// @param pushed false when the token refused the refund and it was credited instead
    event Closed(address indexed owner, uint256 indexed id, uint256 refunded, bool pushed);
    /// @notice A credit was paid out.
    /// @param who was owed it
    /// @param to where it went
    /// @param amount how much
    event Withdrawn(address indexed who, address indexed to, uint256 amount);
    /// @notice Where somebody is paid from now on.
    /// @param who is paid
    /// @param payout where; zero: to `who` itself
    event PayoutSet(address indexed who, address payout);
    /// @notice Who may hand in moves changed.
    /// @param owner whose channels
    /// @param operator who may, or may no longer
    /// @param allowed which of the two
    event OperatorSet(address indexed owner, address indexed operator, bool allowed);
}
