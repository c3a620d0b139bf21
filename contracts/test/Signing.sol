// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {Test, Vm} from "./Test.sol";

/// @notice EIP-712 by hand, so that a digest is not checked against the code that made it.
abstract contract Signing is Test {
    bytes32 private constant USAGE = keccak256(
        "Usage(address owner,bytes32 root,uint256[] words,Ref[] refs)Ref(address publisher,bytes32 salt)"
    );
    bytes32 private constant REF = keccak256("Ref(address publisher,bytes32 salt)");
    bytes32 private constant MOVE = keccak256(
        "Move(address owner,bytes32 salt,address oldMeter,address newMeter,uint32 from,uint32 upTo,uint88 pay,uint32 asOf,uint32 deadline)"
    );
    bytes32 private constant VOUCHER =
        keccak256("Voucher(address owner,bytes32 salt,address meter,uint32 from,uint32 upTo,uint88 most)");

    function digestOf(PodPayments target, bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("PodPayments"),
                keccak256("1"),
                block.chainid,
                address(target)
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", domain, structHash));
    }

    function usageHash(address owner, bytes32 root, uint256[] memory words, IPodPayments.Ref[] memory refs)
        internal
        pure
        returns (bytes32)
    {
        bytes memory hashes;
        for (uint256 i; i < refs.length; ++i) {
            hashes = bytes.concat(hashes, keccak256(abi.encode(REF, refs[i].publisher, refs[i].salt)));
        }
        return keccak256(abi.encode(USAGE, owner, root, keccak256(abi.encodePacked(words)), keccak256(hashes)));
    }

    function voucherHash(address owner, bytes32 salt, address meter, uint32 from, uint32 upTo, uint88 most)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(VOUCHER, owner, salt, meter, from, upTo, most));
    }

    function signUsage(
        PodPayments target,
        uint256 key,
        address owner,
        bytes32 root,
        uint256[] memory words,
        IPodPayments.Ref[] memory refs
    ) internal view returns (bytes memory) {
        return sign(key, digestOf(target, usageHash(owner, root, words, refs)));
    }

    function moveHash(
        address owner,
        bytes32 salt,
        address oldMeter,
        address newMeter,
        uint32 from,
        uint32 upTo,
        uint88 amount,
        uint32 asOf,
        uint32 deadline
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(MOVE, owner, salt, oldMeter, newMeter, from, upTo, amount, asOf, deadline));
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @notice Results of the last UsageSubmitted or Rotated since `vm.recordLogs`; none when there is no such event.
    function resultsLogged() internal returns (uint256[] memory results) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = logs.length; i > 0; --i) {
            bytes32 topic = logs[i - 1].topics[0];
            if (topic == IPodPayments.UsageSubmitted.selector || topic == IPodPayments.Rotated.selector) {
                (, results) = abi.decode(logs[i - 1].data, (uint256, uint256[]));
                return results;
            }
        }
    }
}
