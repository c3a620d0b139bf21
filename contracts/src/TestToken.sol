// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title The money of a localnet: an ERC-20 with permit that its deployer may mint
contract TestToken is ERC20Permit {
    /// @notice Who may mint: the deployer.
    address public immutable minter;
    uint8 private immutable _decimals;

    /// @notice Somebody other than the minter wanted to mint.
    error NotMinter();

    /// @notice A token without supply.
    /// @param name_ name of the token, also in its EIP-712 domain
    /// @param symbol_ symbol of the token
    /// @param decimals_ how many digits a whole token has behind the point
    constructor(string memory name_, string memory symbol_, uint8 decimals_) ERC20(name_, symbol_) ERC20Permit(name_) {
        minter = msg.sender;
        _decimals = decimals_;
    }

    /// @notice How many digits a whole token has behind the point.
    /// @return the digits
    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    /// @notice Makes new money.
    /// @param to who gets it
    /// @param amount how much, in base units
    function mint(address to, uint256 amount) external {
        if (msg.sender != minter) revert NotMinter();
        _mint(to, amount);
    }
}
