-- One payment out of a programme's budget, as a stored procedure: what contracts/disburse-bench does, with the same refusals and a row of audit for each call.
CREATE TABLE programmes (id int PRIMARY KEY, officer text NOT NULL, budget bigint NOT NULL);
CREATE TABLE totals (programme int, beneficiary bigint, total bigint NOT NULL, PRIMARY KEY (programme, beneficiary));
CREATE TABLE payments (programme int, beneficiary bigint, period int, amount bigint NOT NULL, PRIMARY KEY (programme, beneficiary, period));
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    officer text NOT NULL, programme int NOT NULL, beneficiary bigint NOT NULL, period int NOT NULL, amount bigint NOT NULL,
    outcome text NOT NULL,
    hash bytea
);
-- The hash of the last row of audit, for the variant whose rows are chained.
CREATE TABLE chain (hash bytea NOT NULL);

INSERT INTO programmes SELECT id, 'officer-' || id, 1::bigint << 60 FROM generate_series(0, 63) id;
INSERT INTO totals SELECT programme, beneficiary, 0 FROM generate_series(0, 63) programme, generate_series(0, 99) beneficiary;
INSERT INTO chain VALUES (sha256(''));

CREATE FUNCTION decide(by text, of int, to_whom bigint, for_period int, paid bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    programme programmes%ROWTYPE;
BEGIN
    SELECT * INTO programme FROM programmes WHERE id = of FOR UPDATE;
    IF programme.officer IS DISTINCT FROM by THEN RETURN 'not the officer'; END IF;
    IF paid <= 0 THEN RETURN 'not positive'; END IF;
    IF NOT EXISTS (SELECT FROM totals t WHERE t.programme = of AND t.beneficiary = to_whom) THEN RETURN 'not enrolled'; END IF;
    IF EXISTS (SELECT FROM payments p WHERE p.programme = of AND p.beneficiary = to_whom AND p.period = for_period) THEN RETURN 'already paid'; END IF;
    IF programme.budget < paid THEN RETURN 'over budget'; END IF;
    INSERT INTO payments VALUES (of, to_whom, for_period, paid);
    UPDATE totals t SET total = total + paid WHERE t.programme = of AND t.beneficiary = to_whom;
    UPDATE programmes SET budget = budget - paid WHERE id = of;
    RETURN 'done';
END $$;

CREATE FUNCTION disburse(by text, of int, to_whom bigint, for_period int, paid bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    outcome text := decide(by, of, to_whom, for_period, paid);
BEGIN
    INSERT INTO audit (officer, programme, beneficiary, period, amount, outcome) VALUES (by, of, to_whom, for_period, paid, outcome);
    RETURN outcome;
END $$;

-- The same, each row with the hash of the one before: the last thing that a call does, since the lock is held until it is durable.
CREATE FUNCTION disburse_chained(by text, of int, to_whom bigint, for_period int, paid bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    outcome text := decide(by, of, to_whom, for_period, paid);
    next bytea;
BEGIN
    UPDATE chain SET hash = sha256(hash || convert_to(concat_ws('|', by, of, to_whom, for_period, paid, outcome), 'UTF8')) RETURNING hash INTO next;
    INSERT INTO audit (officer, programme, beneficiary, period, amount, outcome, hash) VALUES (by, of, to_whom, for_period, paid, outcome, next);
    RETURN outcome;
END $$;
