-- A call by pgbench; each client is the officer of a programme of its own, so that no two wait for the same row.
\set number :number + 1
\set beneficiary :number % 100
\set period :number / 100
SELECT disburse_chained('officer-' || :client_id, :client_id, :beneficiary, :period, 100);
