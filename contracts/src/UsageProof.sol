// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title Proves one line of a bill against the root that stands in UsageSubmitted
/// @notice Leaves are hashed twice, so that no inner node of a tree can pass as one; pairs are sorted.
library UsageProof {
    /// @notice Leaf of one channel's period.
    /// @param chainId chain of the payment contract
    /// @param payments the payment contract
    /// @param owner whom the channel pays
    /// @param channel the channel's id
    /// @param from start of the period
    /// @param upTo end of the period
    /// @param quantities the five quantities, in the order of the prices
    function leaf(
        uint256 chainId,
        address payments,
        address owner,
        uint256 channel,
        uint32 from,
        uint32 upTo,
        uint48[5] memory quantities
    ) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(keccak256(abi.encode(chainId, payments, owner, channel, from, upTo, quantities)))
        );
    }

    /// @notice Whether `leaf_` lies under `root`.
    function holds(bytes32 root, bytes32 leaf_, bytes32[] memory proof) internal pure returns (bool) {
        return MerkleProof.verify(proof, root, leaf_);
    }
}
