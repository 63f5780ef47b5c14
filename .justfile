# One verb a task; `just` alone lists them. CI uses the same ones.
# `.ci/install` puts `just` itself at target/tools/bin/just.

export PATH := justfile_directory() / "target/tools/bin:" + env("PATH")

[private]
default:
    @just --list --unsorted

# Install what building and testing need beyond Rust
install:
    .ci/install

# Format the code
fmt:
    cargo fmt --all
    cargo fmt --manifest-path gateway/fuzz/Cargo.toml
    cargo fmt --manifest-path shard/fuzz/Cargo.toml

# Fail where the code is not formatted
fmt-check:
    cargo fmt --all -- --check
    cargo fmt --manifest-path gateway/fuzz/Cargo.toml -- --check
    cargo fmt --manifest-path shard/fuzz/Cargo.toml -- --check

# Clippy on everything, warnings are errors
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Licences, duplicate and banned crates, where crates come from
deny:
    .ci/deny check bans licenses sources

# Known vulnerabilities in our dependencies, and withdrawn crates; fails with 75 where that cannot be known
advisories:
    .ci/advisories

# What the released programs are made of, as CycloneDX, in target/sbom.cdx.json
sbom:
    .ci/sbom

# The released programs, built without a trace of where
release *PROGRAMS:
    .ci/release {{ PROGRAMS }}

# Debian packages of the released programs, in target/debian
deb:
    .ci/deb

# Build remoteexec_proxy twice, in two directories, and compare the bytes; ten minutes
reproducible:
    .ci/reproducible

# Every test and acceptance script; `just test-unit NAME` runs some
test:
    .ci/test

# Cargo's tests alone, those whose name contains the given word
test-unit *FILTER: install
    GOMA_TEST_CASD_DIR="${GOMA_TEST_CASD_DIR:-$PWD/target/tools/casd}" cargo test --workspace --locked {{ FILTER }}

# Every command line of every compiler on every backend, each against a local compile; a quarter of an hour
matrix EVERY="1": install
    MATRIX_EVERY={{ EVERY }} GOMA_TESTS_MUST_RUN=1 GOMA_TEST_CASD_DIR="${GOMA_TEST_CASD_DIR:-$PWD/target/tools/casd}" \
        cargo test --locked -p goma-standalone --test compilers -- --nocapture

# Steady load on a cluster for so many seconds: it may not grow
soak SECONDS="3600" *ARGS: install
    .ci/acceptance/load --soak {{ SECONDS }} {{ ARGS }}

# Real projects in debug builds, by absolute names and out of their trees, each object against a local one
debug-builds *ARGS: install
    .ci/debug-builds {{ ARGS }}

# One acceptance script by name, as `just accept balancer`
accept NAME: install
    .ci/acceptance/{{ NAME }}

# Fuzz every decoder that faces the network or files, each for a TIME as 10m; without one, some seconds each, as CI does
fuzz *TIME:
    .ci/fuzz {{ TIME }}

# zstd, SQLite and all 40 files of RocksDB through both backends; about ten minutes
accept-whole: install
    .ci/acceptance/projects --whole

# A cluster on this machine in the foreground: gateways, shards, Redis, a backend; `just cluster --help`
cluster *ARGS:
    deploy/local {{ ARGS }}

# Builds under every fault a cluster must survive, each object checked; about half an hour
chaos SCENARIO="all" TIME="120s" *ARGS: install
    cargo build --release --locked -p goma-gateway -p goma-shard -p goma-standalone -p goma-loadtest
    "${CARGO_TARGET_DIR:-target}/release/goma-loadtest" chaos --scenario {{ SCENARIO }} --for {{ TIME }} {{ ARGS }}

# Schedules of faults in virtual time, each checked; 100,000 take three minutes. SEED=N plays one again
schedules COUNT="100000":
    COUNT={{ COUNT }} cargo test --release --locked -p goma-loadtest --test schedules -- --nocapture no_schedule_breaks

# What a server takes while it is attacked, and how long an honest user waits, as a table; two minutes
under-attack SECONDS="25":
    SECONDS_EACH={{ SECONDS }} cargo test --release --locked -p goma-standalone --test under_attack -- --nocapture

# Orders in which the tasks of a shard may get at what they share, so many of each kind for each property
interleavings COUNT="1000000":
    SCHEDULES={{ COUNT }} cargo test --release --locked -p goma-shard --test interleavings

# Unit tests under ThreadSanitizer, the standard library included: wants a nightly toolchain with rust-src
thread-sanitizer *ARGS="-p goma-common -p goma-shard --lib":
    RUSTFLAGS=-Zsanitizer=thread CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan" cargo +nightly test \
        -Zbuild-std --target x86_64-unknown-linux-gnu --locked {{ ARGS }}

# A day of 10,000 developers on 20 gateways and 100 shards, in virtual time; about ten minutes
simulate *ARGS:
    cargo build --release --locked -p goma-loadtest
    "${CARGO_TARGET_DIR:-target}/release/goma-loadtest" simulate --report target/simulate.html {{ ARGS }}

# What a shard weighs that knows ten million files, in memory and in a Redis of its own; two minutes
ten-million *ARGS: install
    cargo run --release --locked -p goma-shard --example ten_million -- {{ ARGS }}

# What a gateway weighs for each file that it knows
million-files:
    cargo run --release --locked -p goma-gateway --example million_files

# What a server takes at rest, under many idle connections and under many compiles at once
memory *ARGS: install
    .ci/memory {{ ARGS }}

# Real projects by the compiler alone, through ccache and through this server, from nothing and again
against-ccache *ARGS: install
    .ci/against-ccache {{ ARGS }}

# Benchmarks; the README's numbers come from here
bench *ARGS:
    cargo bench --workspace --locked {{ ARGS }}

# Instructions per cached Exec, and of the least that any server must do for it
instructions: install
    cargo bench --locked -p goma-gateway --bench instructions

# What traces cost in CPU a request: off, 1 %, 100 %; a minute. `--duration 1s` to try it
overhead *ARGS: install
    .ci/overhead {{ ARGS }}

# What became slower, by instruction count, than was last written down; `just regressions --write` writes it down
regressions MODE="--against": install
    cargo bench --locked -p goma-gateway --bench instructions -- {{ MODE }} "{{ justfile_directory() }}/gateway/benches/instructions/baseline.txt"

# zstd, SQLite and RocksDB with a compile_commands.json each, under target/projects
projects:
    .ci/projects

# How long a newcomer takes from a clone to a compile's trace on screen; with a DIRECTORY of programs without the build
newcomer *DIRECTORY: install
    .ci/newcomer {{ DIRECTORY }}

# Start buildbox-casd in the foreground, a Remote Execution server that is not ours
casd PORT="8980" CACHE="target/casd": install
    .ci/casd {{ PORT }} {{ CACHE }}

# Build, serve and compile a small program: the README's first command
quickstart:
    deploy/quickstart

# All that CI does
ci:
    .ci/run
