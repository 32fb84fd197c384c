-- Version 2: what a final takes beside the cold time. docs/database.md explains each column; rows of
-- version 1 have none of it.

ALTER TABLE measurement ADD COLUMN hot_us REAL NOT NULL DEFAULT 0;
ALTER TABLE measurement ADD COLUMN sm_clock_mhz REAL NOT NULL DEFAULT 0;
ALTER TABLE measurement ADD COLUMN throttle TEXT NOT NULL DEFAULT '';
ALTER TABLE measurement ADD COLUMN unsteady_rounds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE measurement ADD COLUMN routing_us TEXT NOT NULL DEFAULT '';
