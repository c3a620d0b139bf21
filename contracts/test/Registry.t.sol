// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PodRegistry} from "../src/PodRegistry.sol";
import {Test} from "./Test.sol";

contract RegistryTest is Test {
    PodRegistry private registry;
    address private owner = address(0xB1);
    address private operator = address(0xC1);
    address private constant TOKEN = address(0x70);

    function setUp() public {
        vm.warp(1_800_000_000);
        registry = new PodRegistry();
    }

    function entry(uint256 seed) private pure returns (PodRegistry.Entry memory e) {
        e.trust = uint8(1 + seed % 2);
        e.tee = uint8(1 + seed % 3);
        e.region = bytes12("eu-west");
        e.token = TOKEN;
        e.offer = uint256(64) << 160 | (100 + seed);
        e.chip = bytes32(seed);
        e.profile = keccak256(abi.encode(seed));
        e.endpoint = new bytes(seed % (registry_max() + 1));
        for (uint256 i; i < e.endpoint.length; ++i) {
            e.endpoint[i] = bytes1(uint8(i + seed));
        }
    }

    function registry_max() private pure returns (uint256) {
        return 128;
    }

    function add(address who, uint32 daemon, uint256 seed) private {
        vm.prank(who);
        registry.register(daemon, entry(seed));
    }

    function assertRow(PodRegistry.Row memory row, address who, uint32 daemon, uint256 seed) private pure {
        PodRegistry.Entry memory e = entry(seed);
        vm.assertEq(row.owner, who);
        vm.assertEq(row.daemon, daemon);
        vm.assertEq(
            keccak256(abi.encode(row.trust, row.tee, row.region, row.token, row.offer, row.chip, row.profile)),
            keccak256(abi.encode(e.trust, e.tee, e.region, e.token, e.offer, e.chip, e.profile))
        );
        vm.assertEq(keccak256(row.endpoint), keccak256(e.endpoint));
    }

    function test_oneRowAnOwnerAndDaemon() public {
        add(owner, 1, 40);
        add(owner, 2, 41);
        add(operator, 1, 42);
        add(owner, 1, 49); // again: replaced
        vm.assertEq(registry.count(), 3);
        assertRow(registry.get(owner, 1), owner, 1, 49);
        assertRow(registry.get(owner, 2), owner, 2, 41);
        assertRow(registry.get(operator, 1), operator, 1, 42);
        vm.expectRevert(PodRegistry.Unknown.selector);
        registry.get(operator, 2);
    }

    function test_removeClosesTheGap() public {
        for (uint32 i; i < 4; ++i) {
            add(owner, i, i);
        }
        vm.startPrank(owner);
        registry.remove(1);
        vm.expectRevert(PodRegistry.Unknown.selector);
        registry.remove(1);
        vm.stopPrank();
        vm.assertEq(registry.count(), 3);
        assertRow(registry.page(1, 1)[0], owner, 3, 3);
        vm.prank(owner);
        registry.remove(3);
        assertRow(registry.get(owner, 0), owner, 0, 0);
        assertRow(registry.get(owner, 2), owner, 2, 2);
    }

    function test_entriesOutOfRangeAreRefused() public {
        PodRegistry.Entry[5] memory bad;
        for (uint256 i; i < 5; ++i) {
            bad[i] = entry(5);
        }
        bad[0].trust = 0;
        bad[1].trust = 3;
        bad[2].token = address(0);
        bad[3].endpoint = new bytes(129);
        bad[4].offer = uint256(129) << 160;
        for (uint256 i; i < 5; ++i) {
            vm.expectRevert(PodRegistry.BadEntry.selector);
            registry.register(0, bad[i]);
        }
        vm.assertEq(registry.count(), 0);
    }

    function test_pricesHeartbeatAndUpdate() public {
        add(owner, 1, 40);
        vm.warp(1_800_000_100);
        vm.prank(owner);
        registry.setPrices(1, 77);
        vm.assertEq(registry.get(owner, 1).offer, 77);
        vm.assertEq(registry.get(owner, 1).updatedAt, 1_800_000_100);
        vm.warp(1_800_000_200);
        vm.prank(owner);
        registry.heartbeat(owner, 1);
        vm.assertEq(registry.get(owner, 1).updatedAt, 1_800_000_200);
    }

    function test_operatorsMoveRowsAndNothingElse() public {
        add(owner, 1, 40);
        vm.startPrank(operator);
        vm.expectRevert(PodRegistry.Denied.selector);
        registry.heartbeat(owner, 1);
        vm.stopPrank();
        vm.prank(owner);
        registry.setOperator(operator, true);
        vm.startPrank(operator);
        registry.heartbeat(owner, 1);
        registry.update(owner, 1, bytes32(uint256(9)), hex"0102");
        vm.expectRevert(PodRegistry.Unknown.selector);
        registry.setPrices(1, 5); // its own row, which it has not
        vm.expectRevert(PodRegistry.Unknown.selector);
        registry.remove(1);
        vm.expectRevert(PodRegistry.BadEntry.selector);
        registry.update(owner, 1, 0, new bytes(129));
        vm.stopPrank();
        PodRegistry.Row memory row = registry.get(owner, 1);
        vm.assertEq(row.profile, bytes32(uint256(9)));
        vm.assertEq(keccak256(row.endpoint), keccak256(hex"0102"));
        vm.assertEq(row.offer, entry(40).offer);
    }

    function test_pagesEndWhereTheRowsEnd() public {
        for (uint32 i; i < 5; ++i) {
            add(owner, i, i);
        }
        vm.assertEq(registry.page(3, 100).length, 2);
        vm.assertEq(registry.page(5, 1).length, 0);
        vm.assertEq(registry.page(2, type(uint256).max).length, 3);
        vm.assertEq(registry.pageRaw(9, 9, true).length, 0);
        vm.assertEq(registry.pageRaw(0, 5, false).length, 5 * 160);
    }

    function testFuzz_rawPagesHoldTheSameAsGet(uint8[3] memory seeds) public {
        uint256 expected;
        for (uint32 i; i < 3; ++i) {
            add(owner, i, seeds[i]);
            expected += 192 + (entry(seeds[i]).endpoint.length + 31) / 32 * 32;
        }
        bytes memory raw = registry.pageRaw(0, 3, true);
        vm.assertEq(raw.length, expected);
        uint256 cursor;
        for (uint32 i; i < 3; ++i) {
            PodRegistry.Row memory row = registry.get(owner, i);
            bytes memory static_ = abi.encodePacked(
                row.tee, row.trust, row.updatedAt, row.daemon, row.owner, row.region, row.token, row.offer, row.chip, row.profile
            );
            bytes memory whole = abi.encodePacked(bytes2(0), static_, row.endpoint.length, row.endpoint);
            for (uint256 k; k < whole.length; ++k) {
                vm.assertTrue(raw[cursor + k] == whole[k], "raw differs");
            }
            cursor += 192 + (row.endpoint.length + 31) / 32 * 32;
        }
    }

    function test_selectFilters() public {
        for (uint32 i; i < 20; ++i) {
            add(owner, i, i);
        }
        PodRegistry.Filter memory f;
        (uint256[] memory found, uint256 next) = registry.select(f, 0, 100, 100);
        vm.assertEq(found.length, 20);
        vm.assertEq(next, 20);
        (found, next) = registry.select(f, 0, 100, 7);
        vm.assertEq(found.length, 7);
        vm.assertEq(next, 7);
        f.trust = 2;
        f.tee = 2;
        (found,) = registry.select(f, 0, 100, 100);
        for (uint256 i; i < found.length; ++i) {
            vm.assertEq(found[i] % 2, 1);
            vm.assertTrue(found[i] % 3 != 0, "tee");
        }
        vm.assertTrue(found.length != 0, "some");
        f.region = bytes12("us-east");
        (found,) = registry.select(f, 0, 100, 100);
        vm.assertEq(found.length, 0);
    }

    function test_selectComparesPricesOfDifferentScales() public {
        for (uint32 i; i < 20; ++i) {
            add(owner, i, i); // cpu price 100 + i at scale 64
        }
        PodRegistry.Filter memory f;
        f.token = TOKEN;
        f.ceiling = uint256(65) << 160 | 210; // 105 at scale 64
        (uint256[] memory found,) = registry.select(f, 0, 100, 100);
        vm.assertEq(found.length, 6);
        f.notBefore = uint32(block.timestamp + 1);
        (found,) = registry.select(f, 0, 100, 100);
        vm.assertEq(found.length, 0);
    }

    function test_selectLooksAtTokensAndRefusesScalesThatNoOfferHas() public {
        add(owner, 1, 40);
        PodRegistry.Filter memory f;
        f.token = address(0x71);
        (uint256[] memory found, uint256 next) = registry.select(f, 0, 100, 100);
        vm.assertEq(found.length, 0);
        vm.assertEq(next, 1);
        f.token = address(0);
        f.ceiling = uint256(129) << 160 | 1;
        vm.expectRevert(PodRegistry.BadEntry.selector);
        registry.select(f, 0, 100, 100);
        f.ceiling = uint256(64) << 160 | uint256(139); // one below the row's first price
        (found,) = registry.select(f, 0, 100, 100);
        vm.assertEq(found.length, 0);
        f.ceiling = uint256(64) << 160 | uint256(140);
        (found,) = registry.select(f, 0, type(uint256).max, type(uint256).max); // as far as there are rows
        vm.assertEq(found.length, 1);
    }

    function test_aRowThatComesBackIsNewAndOthersKeepTheirPlaces() public {
        for (uint32 i; i < 3; ++i) {
            add(owner, i, 100 + i);
        }
        vm.startPrank(owner);
        registry.remove(0);
        vm.stopPrank();
        add(owner, 0, 7);
        vm.assertEq(registry.count(), 3);
        assertRow(registry.page(0, 1)[0], owner, 2, 102);
        assertRow(registry.page(1, 1)[0], owner, 1, 101);
        assertRow(registry.page(2, 1)[0], owner, 0, 7);
        vm.startPrank(owner);
        registry.setPrices(2, 5); // through its new place
        registry.remove(2);
        registry.remove(1);
        registry.remove(0);
        vm.assertEq(registry.count(), 0);
        vm.expectRevert(PodRegistry.Unknown.selector);
        registry.setPrices(2, 5);
        vm.expectRevert(PodRegistry.BadEntry.selector);
        registry.setPrices(2, uint256(61) << 248);
    }

    function test_nobodyElsesKeyMovesARow() public {
        add(owner, 1, 40);
        vm.startPrank(operator);
        vm.expectRevert(PodRegistry.Denied.selector);
        registry.update(owner, 1, 0, "");
        registry.setOperator(operator, true); // of its own rows
        vm.expectRevert(PodRegistry.Denied.selector);
        registry.heartbeat(owner, 1);
        vm.stopPrank();
        vm.startPrank(owner);
        registry.setOperator(operator, true);
        registry.setOperator(operator, false);
        vm.expectRevert(PodRegistry.Unknown.selector);
        registry.heartbeat(owner, 2);
        vm.stopPrank();
        vm.prank(operator);
        vm.expectRevert(PodRegistry.Denied.selector);
        registry.heartbeat(owner, 1);
    }

    function test_rowsRefuseTimesThatTheyCannotHold() public {
        add(owner, 1, 40);
        vm.warp(uint256(type(uint32).max) + 1);
        vm.startPrank(owner);
        vm.expectRevert(PodRegistry.TooLate.selector);
        registry.register(1, entry(40));
        vm.expectRevert(PodRegistry.TooLate.selector);
        registry.setPrices(1, 1);
        vm.expectRevert(PodRegistry.TooLate.selector);
        registry.update(owner, 1, 0, "");
        vm.expectRevert(PodRegistry.TooLate.selector);
        registry.heartbeat(owner, 1);
        registry.remove(1); // leaving works for ever
    }
}
