// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {TestToken} from "../src/TestToken.sol";

/// @notice Takes one percent of every transfer, unless told otherwise.
contract FeeToken is TestToken("Fee", "FEE", 18) {
    uint256 public percent = 1;

    function setFee(uint256 percent_) external {
        percent = percent_;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(1), value * percent / 100);
    }
}

/// @notice Balances change by themselves.
contract RebasingToken is TestToken("Rebasing", "RB", 18) {
    function rebase(address who, uint256 balance) external {
        uint256 now_ = balanceOf(who);
        if (now_ < balance) _mint(who, balance - now_);
        else _burn(who, now_ - balance);
    }
}

/// @notice Swallows calls that it does not know, permits too, as WETH does.
contract FallbackToken {
    mapping(address who => uint256) public balanceOf;
    mapping(address holder => mapping(address spender => uint256)) public allowance;

    fallback() external {}

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        balanceOf[from] -= value;
        balanceOf[to] += value;
        return true;
    }
}

/// @notice Refuses receivers on a list, as USDC does.
contract BlockingToken is TestToken("Blocking", "BLK", 6) {
    mapping(address who => bool) public blocked;

    function setBlocked(address who, bool yes) external {
        blocked[who] = yes;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!blocked[to], "blocked");
        super._update(from, to, value);
    }
}

/// @notice Says false instead of reverting, and moves nothing.
contract FalseToken is TestToken("False", "FLS", 18) {
    bool public lying;

    function lie(bool yes) external {
        lying = yes;
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        return lying ? false : super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        return lying ? false : super.transferFrom(from, to, value);
    }
}

/// @notice Returns nothing from transfers, as USDT does.
contract SilentToken {
    mapping(address who => uint256) public balanceOf;
    mapping(address holder => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
    }

    function approve(address spender, uint256 value) external {
        allowance[msg.sender][spender] = value;
    }

    function transfer(address to, uint256 value) external {
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
    }

    function transferFrom(address from, address to, uint256 value) external {
        allowance[from][msg.sender] -= value;
        balanceOf[from] -= value;
        balanceOf[to] += value;
    }
}

/// @notice Calls back into a contract whenever that contract sends or takes money.
contract HookToken is TestToken("Hook", "HK", 18) {
    address public target;
    bytes public call;
    uint256 public entered;
    uint256 public refused;

    function arm(address target_, bytes calldata call_) external {
        (target, call) = (target_, call_);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (target == address(0) || (from != target && to != target)) return;
        (bool done,) = target.call(call);
        if (done) ++entered;
        else ++refused;
    }
}

/// @notice A contract wallet with one signer (ERC-1271).
contract Wallet {
    address public immutable signer;

    constructor(address signer_) {
        signer = signer_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return ECDSA.recover(digest, signature) == signer ? bytes4(0x1626ba7e) : bytes4(0);
    }

    function run(address to, bytes calldata data) external {
        (bool done,) = to.call(data);
        require(done, "failed");
    }
}

/// @notice A contract wallet that misbehaves whenever it is asked.
contract BadWallet {
    uint256 private manner;

    function behave(uint256 manner_) external {
        manner = manner_;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        if (manner == 0) {
            for (uint256 i; ; ++i) {} // until its gas is gone
        }
        assembly ("memory-safe") {
            let how := sload(manner.slot)
            if eq(how, 1) { invalid() }
            if eq(how, 2) { revert(0, 60000) } // much to copy
            if eq(how, 3) { return(0, 60000) }
            mstore(0, shl(224, 0x1626ba7e)) // the right word, and too short
            return(0, 4)
        }
    }
}
