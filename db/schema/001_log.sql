-- Version 1. docs/database.md explains each column. A later version is a new file; this one is never
-- edited, since databases made by it exist.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,  -- 'database_id'
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per record, in the order of arrival. AUTOINCREMENT: a number is never given twice, so that
-- (database_id, sequence) names a state of the log for ever, as long as no copy of it is written to.
CREATE TABLE log (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid     TEXT NOT NULL UNIQUE,
  kind     TEXT NOT NULL CHECK (kind IN ('measurement', 'winner', 'sweep'))
) STRICT;

CREATE TABLE device (
  id                     INTEGER PRIMARY KEY,
  name                   TEXT NOT NULL,
  compute_capability     INTEGER NOT NULL,
  sm_count               INTEGER NOT NULL,
  shared_bytes_per_block INTEGER NOT NULL,
  shared_bytes_per_sm    INTEGER NOT NULL,
  registers_per_sm       INTEGER NOT NULL,
  l2_bytes               INTEGER NOT NULL,
  memory_bytes           INTEGER NOT NULL,
  read_gbps              REAL NOT NULL,
  write_gbps             REAL NOT NULL,
  copy_gbps              REAL NOT NULL,
  matrix_tflops          REAL NOT NULL,
  fma_tflops             REAL NOT NULL,
  UNIQUE (name, compute_capability, sm_count, shared_bytes_per_block, shared_bytes_per_sm,
          registers_per_sm, l2_bytes, memory_bytes, read_gbps, write_gbps, copy_gbps, matrix_tflops,
          fma_tflops)
) STRICT;

CREATE TABLE environment (
  id                 INTEGER PRIMARY KEY,
  driver             TEXT NOT NULL,
  nvrtc              TEXT NOT NULL,
  kernel_fingerprint TEXT NOT NULL,
  policy             TEXT NOT NULL,
  UNIQUE (driver, nvrtc, kernel_fingerprint, policy)
) STRICT;

-- The key says it all; the other columns are its parts, for WHERE and GROUP BY.
CREATE TABLE problem (
  id      INTEGER PRIMARY KEY,
  key     TEXT NOT NULL UNIQUE,
  op      TEXT NOT NULL,
  dtype   TEXT NOT NULL,
  fusions TEXT NOT NULL,
  experts INTEGER NOT NULL,
  tokens  INTEGER NOT NULL,
  top_k   INTEGER NOT NULL,
  n       INTEGER NOT NULL,
  k       INTEGER NOT NULL,
  rows    INTEGER NOT NULL,
  routing TEXT NOT NULL
) STRICT;

-- Parameter lists as canonical text. The family stands beside each reference: a list means nothing
-- without it.
CREATE TABLE config (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE measurement (
  sequence      INTEGER PRIMARY KEY REFERENCES log (sequence),
  sweep         TEXT NOT NULL,
  problem       INTEGER NOT NULL REFERENCES problem (id),
  device        INTEGER NOT NULL REFERENCES device (id),
  environment   INTEGER NOT NULL REFERENCES environment (id),
  family        TEXT NOT NULL,
  config        INTEGER NOT NULL REFERENCES config (id),
  effort        TEXT NOT NULL,
  outcome       TEXT NOT NULL,
  error         TEXT NOT NULL,
  time_us       REAL NOT NULL,
  time_us_mad   REAL NOT NULL,
  samples       INTEGER NOT NULL,
  compile_ms    REAL NOT NULL,
  cubin_sha256  TEXT NOT NULL,
  seed          INTEGER NOT NULL,
  sm_mhz        INTEGER NOT NULL,
  memory_mhz    INTEGER NOT NULL,
  power_watts   REAL NOT NULL,
  temperature_c INTEGER NOT NULL,
  measured_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX measurement_by_problem ON measurement (problem, device);

CREATE TABLE winner (
  sequence        INTEGER PRIMARY KEY REFERENCES log (sequence),
  sweep           TEXT NOT NULL,
  problem         INTEGER NOT NULL REFERENCES problem (id),
  device          INTEGER NOT NULL REFERENCES device (id),
  environment     INTEGER NOT NULL REFERENCES environment (id),
  family          TEXT NOT NULL,
  config          INTEGER NOT NULL REFERENCES config (id),
  cubin_sha256    TEXT NOT NULL,
  estimated       INTEGER NOT NULL CHECK (estimated IN (0, 1)),
  time_us         REAL NOT NULL,
  time_us_low     REAL NOT NULL,
  time_us_high    REAL NOT NULL,
  default_family  TEXT NOT NULL,
  default_config  INTEGER NOT NULL REFERENCES config (id),
  default_time_us REAL NOT NULL,
  reason          TEXT NOT NULL,
  measured_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX winner_by_problem ON winner (problem, device);

CREATE TABLE sweep (
  sequence INTEGER PRIMARY KEY REFERENCES log (sequence),
  id       TEXT NOT NULL,
  state    TEXT NOT NULL,
  strategy TEXT NOT NULL,
  seed     INTEGER NOT NULL,
  spec     TEXT NOT NULL,
  host     TEXT NOT NULL,
  version  TEXT NOT NULL,
  at       INTEGER NOT NULL
) STRICT;
