-- SPDX-License-Identifier: Apache-2.0
-- What drand 2.1 expects in its database and does not make there by itself.
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS beacons (
    id SERIAL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS beacon_details (
    beacon_id INT NOT NULL REFERENCES beacons (id) ON DELETE CASCADE,
    round BIGINT NOT NULL,
    signature BYTEA NOT NULL,
    PRIMARY KEY (beacon_id, round)
);
