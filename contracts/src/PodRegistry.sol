// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title List of providers: one row per owner and daemon number
/// @notice A row is a claim, not a proof: a client verifies the evidence and the profile before it trusts one.
/// @dev `remove` puts the last row into the gap, so a reader of several pages reads all of them at one block.
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

    /// @notice A stored row: five words, then the endpoint.
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

    /// @notice A row was added or replaced as a whole.
    event Registered(address indexed owner, uint32 indexed daemon);
    /// @notice Prices or least terms changed.
    event Priced(address indexed owner, uint32 indexed daemon, uint256 offer);
    /// @notice Endpoint or profile changed.
    event Moved(address indexed owner, uint32 indexed daemon, bytes32 profile, bytes endpoint);
    /// @notice The daemon says that it is there.
    event Heartbeat(address indexed owner, uint32 indexed daemon);
    /// @notice A row was removed.
    event Removed(address indexed owner, uint32 indexed daemon);
    /// @notice `operator` may (or may no longer) update endpoints and send heartbeats for `owner`.
    event OperatorSet(address indexed owner, address indexed operator, bool allowed);

    /// @notice Longest endpoint.
    uint256 public constant MAX_ENDPOINT = 128;
    uint256 private constant STATIC_WORDS = 5;

    Row[] private rows;
    /// @notice Position of a row plus one; 0 when there is none.
    mapping(address owner => mapping(uint32 daemon => uint256)) public positionOf;
    /// @notice Who may move rows of an owner and keep them fresh.
    mapping(address owner => mapping(address operator => bool)) public isOperator;

    // ---- the owner ----

    /// @notice Adds or replaces the caller's row of this number.
    function register(uint32 daemon, Entry calldata entry) external {
        if (entry.trust == 0 || entry.trust > 2 || entry.token == address(0) || entry.endpoint.length > MAX_ENDPOINT) {
            revert BadEntry();
        }
        _checkOffer(entry.offer);
        uint256 position = positionOf[msg.sender][daemon];
        if (position == 0) {
            rows.push();
            position = rows.length;
            positionOf[msg.sender][daemon] = position;
        }
        Row storage row = rows[position - 1];
        (row.owner, row.daemon, row.updatedAt) = (msg.sender, daemon, uint32(block.timestamp));
        (row.trust, row.tee, row.token, row.region) = (entry.trust, entry.tee, entry.token, entry.region);
        (row.offer, row.chip, row.profile) = (entry.offer, entry.chip, entry.profile);
        row.endpoint = entry.endpoint;
        emit Registered(msg.sender, daemon);
    }

    /// @notice Changes prices and least terms; channels that are open keep theirs.
    function setPrices(uint32 daemon, uint256 offer) external {
        _checkOffer(offer);
        Row storage row = _row(msg.sender, daemon);
        row.offer = offer;
        row.updatedAt = uint32(block.timestamp);
        emit Priced(msg.sender, daemon, offer);
    }

    /// @notice Removes the caller's row of this number.
    function remove(uint32 daemon) external {
        uint256 position = positionOf[msg.sender][daemon];
        if (position == 0) revert Unknown();
        delete positionOf[msg.sender][daemon];
        uint256 last = rows.length;
        if (position != last) {
            Row storage moved = rows[last - 1];
            rows[position - 1] = moved;
            positionOf[moved.owner][moved.daemon] = position;
        }
        rows.pop();
        emit Removed(msg.sender, daemon);
    }

    /// @notice Allows an operator to move rows and keep them fresh, or takes that back.
    function setOperator(address operator, bool allowed) external {
        isOperator[msg.sender][operator] = allowed;
        emit OperatorSet(msg.sender, operator, allowed);
    }

    // ---- the owner or an operator ----

    /// @notice A daemon has another address or profile, as after a reboot.
    function update(address owner, uint32 daemon, bytes32 profile, bytes calldata endpoint) external {
        if (endpoint.length > MAX_ENDPOINT) revert BadEntry();
        Row storage row = _operated(owner, daemon);
        row.profile = profile;
        row.endpoint = endpoint;
        row.updatedAt = uint32(block.timestamp);
        emit Moved(owner, daemon, profile, endpoint);
    }

    /// @notice A daemon is still there.
    function heartbeat(address owner, uint32 daemon) external {
        _operated(owner, daemon).updatedAt = uint32(block.timestamp);
        emit Heartbeat(owner, daemon);
    }

    // ---- anybody ----

    /// @notice How many rows there are.
    function count() external view returns (uint256) {
        return rows.length;
    }

    /// @notice One row.
    function get(address owner, uint32 daemon) external view returns (Row memory) {
        return _row(owner, daemon);
    }

    /// @notice Rows [from, from + n), as far as there are.
    function page(uint256 from, uint256 n) external view returns (Row[] memory out) {
        uint256 end = _end(from, n);
        out = new Row[](end - from);
        for (uint256 i = from; i < end; ++i) {
            out[i - from] = rows[i];
        }
    }

    /// @notice The same as bare words, for readers of thousands of rows: five words a row and, if asked for,
    ///         the endpoint's length and its bytes padded to whole words.
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
            Row storage row = rows[i];
            assembly ("memory-safe") {
                for { let k := 0 } lt(k, STATIC_WORDS) { k := add(k, 1) } {
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
    function select(Filter calldata filter, uint256 from, uint256 n, uint256 most)
        external
        view
        returns (uint256[] memory found, uint256 next)
    {
        uint256 end = _end(from, n);
        found = new uint256[](most);
        uint256 k;
        for (next = from; next < end && k < most; ++next) {
            if (_matches(rows[next], filter)) found[k++] = next;
        }
        assembly ("memory-safe") {
            mstore(found, k)
        }
    }

    // ---- inside ----

    function _row(address owner, uint32 daemon) private view returns (Row storage) {
        uint256 position = positionOf[owner][daemon];
        if (position == 0) revert Unknown();
        return rows[position - 1];
    }

    function _operated(address owner, uint32 daemon) private view returns (Row storage) {
        if (msg.sender != owner && !isOperator[owner][msg.sender]) revert Denied();
        return _row(owner, daemon);
    }

    /// @dev Out-of-range pages are empty, and n may be as large as it likes.
    function _end(uint256 from, uint256 n) private view returns (uint256) {
        uint256 length = rows.length;
        if (from >= length) return from;
        return n > length - from ? length : from + n;
    }

    function _checkOffer(uint256 offer) private pure {
        if (uint8(offer >> 160) > 128 || uint8(offer >> 248) > 60) revert BadEntry();
    }

    function _matches(Row storage row, Filter calldata f) private view returns (bool) {
        if (f.trust != 0 && row.trust != f.trust) return false;
        if ((row.tee & f.tee) != f.tee || row.updatedAt < f.notBefore) return false;
        if (f.region != 0 && row.region != f.region) return false;
        if (f.token != address(0) && row.token != f.token) return false;
        return f.ceiling == 0 || _within(row.offer, f.ceiling);
    }

    /// @dev Prices of different scales are compared at the scale 0; a price is below 2^32, so 2^160 holds both sides.
    function _within(uint256 offer, uint256 ceiling) private pure returns (bool) {
        uint256 up = 128 - uint8(offer >> 160);
        uint256 scale = uint8(ceiling >> 160);
        if (scale > 128) revert BadEntry();
        for (uint256 i; i < 160; i += 32) {
            if (uint256(uint32(offer >> i)) << up > uint256(uint32(ceiling >> i)) << (128 - scale)) return false;
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
