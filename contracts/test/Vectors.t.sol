// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPodPayments} from "../src/IPodPayments.sol";
import {PodPayments} from "../src/PodPayments.sol";
import {UsageProof} from "../src/UsageProof.sol";
import {Words} from "../src/Words.sol";
import {Base} from "./Base.sol";

/// @notice Solidity against the frozen numbers that Python is held against too.
contract VectorsTest is Base {
    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("../tests/vectors/money.json");
    }

    function number(string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, key);
    }

    function numbers(string memory key) private view returns (uint256[] memory) {
        return vm.parseJsonUintArray(json, key);
    }

    function word(string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, key);
    }

    function who(string memory key) private view returns (address) {
        return vm.parseJsonAddress(json, key);
    }

    function domainDigest(bytes32 structHash) private view returns (bytes32) {
        (, string memory name, string memory version,,,,) = pay.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                number(".signed.chainId"),
                who(".signed.payments")
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", domain, structHash));
    }

    function test_channelId() public view {
        uint256 id = pay.idOf(who(".channel.owner"), who(".channel.publisher"), word(".channel.salt"));
        vm.assertEq(id, number(".channel.id"));
    }

    function test_due() public view {
        uint256[] memory terms_ = numbers(".due.terms");
        uint256[] memory quantities = numbers(".due.quantities");
        uint256[] memory amounts = numbers(".due.amounts");
        vm.assertTrue(amounts.length > 20);
        for (uint256 i; i < amounts.length; ++i) {
            vm.assertEq(Words.due(terms_[i], quantities[i]), amounts[i]);
        }
    }

    function test_settle() public view {
        holdSettlements(".settle");
    }

    function test_settleWithVoucher() public view {
        holdSettlements(".settleWithVoucher");
    }

    function holdSettlements(string memory place) private view {
        uint256[][8] memory c;
        string[8] memory names = ["hot", "terms", "upTo", "quantities", "most", "paid", "flags", "next"];
        for (uint256 k; k < 8; ++k) {
            c[k] = numbers(string.concat(place, ".", names[k]));
        }
        vm.assertTrue(c[0].length > 20);
        for (uint256 i; i < c[0].length; ++i) {
            (uint256 paid, uint256 flags, uint256 next) = Words.settle(c[0][i], c[1][i], c[2][i], c[3][i], c[4][i]);
            vm.assertEq(paid, c[5][i]);
            vm.assertEq(flags, c[6][i]);
            vm.assertEq(next, c[7][i]);
        }
    }

    function test_usageDigest() public view {
        IPodPayments.Ref[] memory refs = refsOf(who(".channel.publisher"), word(".channel.salt"));
        bytes32 hash = usageHash(who(".channel.owner"), word(".signed.root"), numbers(".signed.words"), refs);
        vm.assertEq(domainDigest(hash), word(".signed.usageDigest"));
    }

    function test_moveDigest() public view {
        uint256 plan = number(".signed.plan");
        bytes32 hash = keccak256(
            abi.encode(
                pay.MOVE_TYPEHASH(),
                who(".channel.owner"),
                word(".channel.salt"),
                who(".signed.oldMeter"),
                who(".signed.newMeter"),
                uint32(plan >> 120),
                uint32(plan >> 88),
                uint88(plan),
                uint32(plan >> 184),
                uint32(plan >> 152)
            )
        );
        vm.assertEq(domainDigest(hash), word(".signed.moveDigest"));
    }

    function test_voucherDigest() public view {
        uint256[] memory words = numbers(".signed.words");
        bytes32 hash = keccak256(
            abi.encode(
                pay.VOUCHER_TYPEHASH(),
                who(".channel.owner"),
                word(".channel.salt"),
                who(".signed.oldMeter"),
                uint32(words[0] >> 32),
                uint32(words[0]),
                uint88(number(".signed.most"))
            )
        );
        vm.assertEq(domainDigest(hash), word(".signed.voucherDigest"));
    }

    function test_leafAndProof() public view {
        uint256[] memory words = numbers(".signed.words");
        uint48[5] memory quantities;
        for (uint256 i; i < 5; ++i) {
            quantities[i] = uint48(words[1] >> 48 * i);
        }
        bytes32 leaf = UsageProof.leaf(
            number(".signed.chainId"),
            who(".signed.payments"),
            who(".channel.owner"),
            words[0] >> 64,
            uint32(words[0] >> 32),
            uint32(words[0]),
            quantities
        );
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, ".report.proof");
        vm.assertEq(leaf, vm.parseJsonBytes32Array(json, ".report.leaves")[0]);
        vm.assertTrue(UsageProof.holds(word(".signed.root"), leaf, proof));
        vm.assertTrue(!UsageProof.holds(word(".signed.root"), leaf ^ bytes32(uint256(1)), proof));
    }
}
