// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title List of providers: one row per owner and daemon number
/// @notice A row is a claim, not a proof: a client verifies the evidence and the profile before it trusts one.
/// @dev Rows lie under their owner and daemon, so a heartbeat reads nothing else; `keys` enumerates them. Its first
///      element is a sentinel: position 0 means none, and the first owner to register pays no more than the others.
///      `remove` puts the last key into the gap, so a reader of several pages reads all of them at one block.
///      Nothing here calls another contract or holds money.
contract PodRegistry {
    /// @notice What an owner says of one of its daemons.
    /// @param trust 1 sealed, 2 open
    /// @param tee kinds of hardware as a mask: 1 SEV-SNP, 2 TDX; 0 for none
    /// @param region short text, zero-padded
    /// @param token the ERC-20 that the prices are in
    /// @param offer deposit exponent u8 | deposit mantissa u32 | idle MiB u32 | unlock minutes u16 | scale u8 | 5 x price u32;
    ///              scale and prices lie as in a channel's terms; least deposit = mantissa * 10^exponent
    /// @param chip digest of the chip's id
    /// @param profile SHA-256 of the profile, which the daemon hands out over its endpoint
    /// @param endpoint a multiaddr in its binary form
    struct Entry {
        uint8 trust;
        uint8 tee;
        bytes12 region;
        address token;
        uint256 offer;
        bytes32 chip;
        bytes32 profile;
        bytes endpoint;
    }

    /// @notice A row as it is read: five words, then the endpoint.
    /// @param owner who registered it
    /// @param daemon which of the owner's daemons it describes
    /// @param updatedAt block time of the last write or heartbeat
    /// @param trust as in Entry
    /// @param tee as in Entry
    /// @param token as in Entry
    /// @param region as in Entry
    /// @param offer as in Entry
    /// @param chip as in Entry
    /// @param profile as in Entry
    /// @param endpoint as in Entry
    struct Row {
        address owner;
        uint32 daemon;
        uint32 updatedAt;
        uint8 trust;
        uint8 tee;
        address token;
        bytes12 region;
        uint256 offer;
        bytes32 chip;
        bytes32 profile;
        bytes endpoint;
    }

    /// @dev A row as it lies in storage. The first word holds the position where a read row has owner and daemon.
    struct Stored {
        uint192 position;
        uint32 updatedAt;
        uint8 trust;
        uint8 tee;
        address token;
        bytes12 region;
        uint256 offer;
        bytes32 chip;
        bytes32 profile;
        bytes endpoint;
    }

    /// @notice What `select` looks for; zero fields match everything.
    /// @param trust class that the row must have
    /// @param tee kinds of which the row must have all
    /// @param region region that the row must have
    /// @param token token that the row must have
    /// @param ceiling scale u8 | 5 x highest price u32, as in an offer
    /// @param notBefore the row must have been touched since
    struct Filter {
        uint8 trust;
        uint8 tee;
        bytes12 region;
        address token;
        uint256 ceiling;
        uint32 notBefore;
    }

    /// @notice There is no such row.
    error Unknown();
    /// @notice The caller may not do this.
    error Denied();
    /// @notice A field is out of its range.
    error BadEntry();
    /// @notice A block's time does not fit the 32 bits that rows keep of it.
    error TooLate();

    /// @notice A row was added or replaced as a whole.
    /// @param owner whose row it is
    /// @param daemon which of the owner's rows
    event Registered(address indexed owner, uint32 indexed daemon);
    /// @notice Prices or least terms changed.
    /// @param owner whose row it is
    /// @param daemon which of the owner's rows
    /// @param offer the new word
    event Priced(address indexed owner, uint32 indexed daemon, uint256 offer);
    /// @notice Endpoint or profile changed.
    /// @param owner whose row it is
    /// @param daemon which of the owner's rows
    /// @param profile SHA-256 of the new profile
    /// @param endpoint the new multiaddr in its binary form
    event Moved(address indexed owner, uint32 indexed daemon, bytes32 profile, bytes endpoint);
    /// @notice A row was removed.
    /// @param owner whose row it is
    /// @param daemon which of the owner's rows
    event Removed(address indexed owner, uint32 indexed daemon);
    /// @notice Who may update endpoints and send heartbeats changed.
    /// @param owner whose rows
    /// @param operator who may, or may no longer
    /// @param allowed which of the two
    event OperatorSet(address indexed owner, address indexed operator, bool allowed);

    /// @notice Longest endpoint.
    uint256 public constant MAX_ENDPOINT = 128;
    uint256 private constant STATIC_WORDS = 5;
    uint256 private constant MAX_SCALE = 128;
    uint256 private constant MAX_DECIMALS = 60;

    mapping(address owner => mapping(uint32 daemon => Stored)) private rows;
    /// @dev daemon u32 | owner u160, as in the first word of a row; element 0 is the sentinel.
    uint192[] private keys;
    /// @notice Who may move rows of an owner and keep them fresh.
    mapping(address owner => mapping(address operator => bool)) public isOperator;

    /// @notice An empty list.
    constructor() {
        keys.push();
    }

    // ---- the owner ----

    /// @notice Adds or replaces the caller's row of this number.
    /// @param daemon which of the caller's daemons the row describes
    /// @param entry what it says
    function register(uint32 daemon, Entry calldata entry) external {
        if (entry.trust == 0 || entry.trust > 2 || entry.token == address(0) || entry.endpoint.length > MAX_ENDPOINT) {
            revert BadEntry();
        }
        _checkOffer(entry.offer);
        Stored storage row = rows[msg.sender][daemon];
        uint192 position = row.position;
        if (position == 0) {
            position = uint192(keys.length); // no list is as long as 2^192 keys
            keys.push(_keyOf(msg.sender, daemon));
        }
        (row.position, row.updatedAt) = (position, _now());
        (row.trust, row.tee, row.token, row.region) = (entry.trust, entry.tee, entry.token, entry.region);
        (row.offer, row.chip, row.profile) = (entry.offer, entry.chip, entry.profile);
        row.endpoint = entry.endpoint;
        emit Registered(msg.sender, daemon);
    }

    /// @notice Changes prices and least terms; channels that are open keep theirs.
    /// @param daemon which of the caller's rows
    /// @param offer the new word, as in Entry
    function setPrices(uint32 daemon, uint256 offer) external {
        _checkOffer(offer);
        Stored storage row = _row(msg.sender, daemon);
        row.offer = offer;
        row.updatedAt = _now();
        emit Priced(msg.sender, daemon, offer);
    }

    /// @notice Removes the caller's row of this number.
    /// @param daemon which of the caller's rows
    function remove(uint32 daemon) external {
        uint192 position = _row(msg.sender, daemon).position;
        uint192 last = keys[keys.length - 1];
        keys[position] = last;
        rows[_ownerIn(last)][_daemonIn(last)].position = position;
        keys.pop();
        delete rows[msg.sender][daemon];
        emit Removed(msg.sender, daemon);
    }

    /// @notice Allows an operator to move rows and keep them fresh, or takes that back.
    /// @param operator whose right it is
    /// @param allowed whether it has it from now on
    function setOperator(address operator, bool allowed) external {
        isOperator[msg.sender][operator] = allowed;
        emit OperatorSet(msg.sender, operator, allowed);
    }

    // ---- the owner or an operator ----

    /// @notice A daemon has another address or profile, as after a reboot.
    /// @param owner whose row it is
    /// @param daemon which of the owner's rows
    /// @param profile SHA-256 of the new profile
    /// @param endpoint the new multiaddr in its binary form
    function update(address owner, uint32 daemon, bytes32 profile, bytes calldata endpoint) external {
        if (endpoint.length > MAX_ENDPOINT) revert BadEntry();
        Stored storage row = _operated(owner, daemon);
        row.profile = profile;
        row.endpoint = endpoint;
        row.updatedAt = _now();
        emit Moved(owner, daemon, profile, endpoint);
    }

    /// @notice A daemon is still there. The row's `updatedAt` tells it; an event for it would be dearer than the rest.
    /// @param owner whose row it is
    /// @param daemon which of the owner's rows
    function heartbeat(address owner, uint32 daemon) external {
        _operated(owner, daemon).updatedAt = _now();
    }

    // ---- anybody ----

    /// @notice How many rows there are.
    /// @return how many
    function count() public view returns (uint256) {
        return keys.length - 1;
    }

    /// @notice One row.
    /// @param owner whose row it is
    /// @param daemon which of the owner's rows
    /// @return the row; Unknown when there is none
    function get(address owner, uint32 daemon) external view returns (Row memory) {
        return _read(_keyOf(owner, daemon), _row(owner, daemon));
    }

    /// @notice Rows [from, from + n), as far as there are.
    /// @param from position of the first row, counted from 0
    /// @param n how many, at most
    /// @return out the rows in the order of their positions
    function page(uint256 from, uint256 n) external view returns (Row[] memory out) {
        uint256 end = _end(from, n);
        out = new Row[](end - from);
        for (uint256 i = from; i < end; ++i) {
            (uint192 key, Stored storage row) = _at(i);
            out[i - from] = _read(key, row);
        }
    }

    /// @notice The same as bare words, for readers of thousands of rows: five words a row and, if asked for,
    ///         the endpoint's length and its bytes padded to whole words. The first word is
    ///         0 u16 | tee u8 | trust u8 | updatedAt u32 | daemon u32 | owner u160, the second region | token.
    /// @param from position of the first row, counted from 0
    /// @param n how many, at most
    /// @param withEndpoints whether the endpoints are read too
    /// @return out the words, back to back
    function pageRaw(uint256 from, uint256 n, bool withEndpoints) external view returns (bytes memory out) {
        uint256 end = _end(from, n);
        uint256 most = STATIC_WORDS * 32 + (withEndpoints ? 32 + MAX_ENDPOINT : 0);
        out = new bytes((end - from) * most);
        uint256 start;
        assembly ("memory-safe") {
            start := add(out, 32)
        }
        uint256 cursor = start;
        for (uint256 i = from; i < end; ++i) {
            (uint192 key, Stored storage row) = _at(i);
            assembly ("memory-safe") {
                mstore(cursor, or(shl(192, shr(192, sload(row.slot))), key)) // the position gives way to the key
                cursor := add(cursor, 32)
                for { let k := 1 } lt(k, STATIC_WORDS) { k := add(k, 1) } {
                    mstore(cursor, sload(add(row.slot, k)))
                    cursor := add(cursor, 32)
                }
            }
            if (withEndpoints) cursor = _copyEndpoint(row.endpoint, cursor);
        }
        assembly ("memory-safe") {
            mstore(out, sub(cursor, start))
        }
    }

    /// @notice Positions of matching rows among [from, from + n), at most `most` of them, and where to go on.
    /// @param filter what they must be like
    /// @param from position of the first row to look at
    /// @param n how many to look at
    /// @param most how many to find, at most
    /// @return found their positions, as `page` takes them
    /// @return next the first position that was not looked at
    function select(Filter calldata filter, uint256 from, uint256 n, uint256 most)
        external
        view
        returns (uint256[] memory found, uint256 next)
    {
        uint256 end = _end(from, n);
        found = new uint256[](most < end - from ? most : end - from);
        uint256 k;
        for (next = from; next < end && k < most; ++next) {
            (, Stored storage row) = _at(next);
            if (_matches(row, filter)) found[k++] = next;
        }
        assembly ("memory-safe") {
            mstore(found, k)
        }
    }

    // ---- inside ----

    function _now() private view returns (uint32) {
        if (block.timestamp > type(uint32).max) revert TooLate();
        return uint32(block.timestamp);
    }

    function _keyOf(address owner, uint32 daemon) private pure returns (uint192) {
        return uint192(daemon) << 160 | uint160(owner);
    }

    function _ownerIn(uint192 key) private pure returns (address) {
        return address(uint160(key));
    }

    function _daemonIn(uint192 key) private pure returns (uint32) {
        return uint32(key >> 160);
    }

    /// @dev Positions in storage are one higher than those that readers see.
    function _at(uint256 position) private view returns (uint192 key, Stored storage row) {
        key = keys[position + 1];
        row = rows[_ownerIn(key)][_daemonIn(key)];
    }

    function _row(address owner, uint32 daemon) private view returns (Stored storage row) {
        row = rows[owner][daemon];
        if (row.position == 0) revert Unknown();
    }

    function _operated(address owner, uint32 daemon) private view returns (Stored storage) {
        if (msg.sender != owner && !isOperator[owner][msg.sender]) revert Denied();
        return _row(owner, daemon);
    }

    function _read(uint192 key, Stored storage row) private view returns (Row memory) {
        return Row({
            owner: _ownerIn(key),
            daemon: _daemonIn(key),
            updatedAt: row.updatedAt,
            trust: row.trust,
            tee: row.tee,
            token: row.token,
            region: row.region,
            offer: row.offer,
            chip: row.chip,
            profile: row.profile,
            endpoint: row.endpoint
        });
    }

    /// @dev Out-of-range pages are empty, and n may be as large as it likes.
    function _end(uint256 from, uint256 n) private view returns (uint256) {
        uint256 length = count();
        if (from >= length) return from;
        return n > length - from ? length : from + n;
    }

    function _checkOffer(uint256 offer) private pure {
        if (uint8(offer >> 160) > MAX_SCALE || uint8(offer >> 248) > MAX_DECIMALS) revert BadEntry();
    }

    function _matches(Stored storage row, Filter calldata f) private view returns (bool) {
        if (f.trust != 0 && row.trust != f.trust) return false;
        if ((row.tee & f.tee) != f.tee || row.updatedAt < f.notBefore) return false;
        if (f.region != 0 && row.region != f.region) return false;
        if (f.token != address(0) && row.token != f.token) return false;
        return f.ceiling == 0 || _within(row.offer, f.ceiling);
    }

    /// @dev Prices of different scales are compared at the scale 0; a price is below 2^32, so 2^160 holds both sides.
    function _within(uint256 offer, uint256 ceiling) private pure returns (bool) {
        uint256 up = MAX_SCALE - uint8(offer >> 160);
        uint256 scale = uint8(ceiling >> 160);
        if (scale > MAX_SCALE) revert BadEntry();
        for (uint256 i; i < 160; i += 32) {
            if (uint256(uint32(offer >> i)) << up > uint256(uint32(ceiling >> i)) << (MAX_SCALE - scale)) return false;
        }
        return true;
    }

    /// @dev Memory behind `cursor` was allocated for MAX_ENDPOINT bytes and is zero.
    function _copyEndpoint(bytes storage endpoint, uint256 cursor) private pure returns (uint256 next) {
        bytes memory data = endpoint;
        uint256 padded = (data.length + 31) & ~uint256(31);
        assembly ("memory-safe") {
            mcopy(cursor, data, add(32, padded))
            next := add(add(cursor, 32), padded)
        }
    }
}
