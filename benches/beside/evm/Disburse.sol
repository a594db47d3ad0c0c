// SPDX-License-Identifier: Apache-2.0
// One payment out of a programme's budget: what contracts/disburse-bench does, with the same refusals.
pragma solidity ^0.8.20;

contract Disburse {
    error NotOfficer();
    error NotEnrolled();
    error AlreadyPaid();
    error OverBudget();
    error NotPositive();

    event Paid(uint64 indexed beneficiary, uint32 indexed period, uint64 amount);

    // Officer and budget share a slot, and so do a total and whether there is one: fewer loads and stores.
    address officer;
    uint64 budget;
    struct Total {
        bool enrolled;
        uint64 amount;
    }
    mapping(uint64 => Total) totals;
    // By beneficiary and period in one key: one hash instead of two.
    mapping(uint96 => uint64) payments;

    constructor(uint64 budget_) {
        officer = msg.sender;
        budget = budget_;
    }

    modifier officerOnly() {
        if (msg.sender != officer) revert NotOfficer();
        _;
    }

    function enrol(uint64 beneficiary) external officerOnly {
        totals[beneficiary].enrolled = true;
    }

    function disburse(uint64 beneficiary, uint32 period, uint64 amount) external officerOnly {
        if (amount == 0) revert NotPositive();
        Total memory before = totals[beneficiary];
        if (!before.enrolled) revert NotEnrolled();
        uint96 key = (uint96(beneficiary) << 32) | period;
        if (payments[key] != 0) revert AlreadyPaid();
        if (budget < amount) revert OverBudget();
        payments[key] = amount;
        totals[beneficiary].amount = before.amount + amount;
        budget -= amount;
        emit Paid(beneficiary, period, amount);
    }

    function total(uint64 beneficiary) external view returns (uint64) {
        if (!totals[beneficiary].enrolled) revert NotEnrolled();
        return totals[beneficiary].amount;
    }
}
