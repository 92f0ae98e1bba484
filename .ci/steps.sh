# The steps of .ci/run and .ci/full, as functions. Both scripts source this file, which enters the root of the repository.
# Steps get their counts as arguments, so that each command is written once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s (after %d:%02d)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

# The tests of power loss and failing disks use strace. Without it they print NOT CHECKED and pass.
install_strace() {
  if ! command -v strace >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install --yes strace; } >/dev/null 2>&1 || echo "strace: cannot be installed here"
  fi
}

# Most tests wait for a disk or for a child process, so twice as many threads as processors are used.
all_tests() {
  step tests
  RUST_TEST_THREADS=$((2 * $(nproc))) cargo test --locked
}

# Repeats the tests of power loss, failing disks, injected faults, clocks and stalled processes to print their counts.
fault_counts() {
  step "fault injection, with counts"
  cargo test --locked --test suite -- --nocapture power_loss fault clock_skew stalled_process
}

# ignored_tests SOAK_SECONDS: the soak and the tests of long timeouts. Skipped: real_stripe needs an account.
ignored_tests() {
  step "ignored tests, with $1 seconds of soak"
  SOAK_SECONDS="$1" cargo test --locked --test suite -- \
    --ignored --nocapture --skip real_stripe
}

# soak SECONDS BACKEND: only the soak, with the release profile, for which `cargo test --test` does not build the fake Stripe CLI.
soak() {
  step "$1 seconds of soak on $2"
  cargo build --locked --release --example fake_stripe_cli
  SOAK_SECONDS="$1" SOAK_BACKEND="$2" cargo test --locked --release --test suite -- --ignored --nocapture soak
}

demo() {
  step demo
  cargo run --locked --quiet --example agent_demo
  cargo run --locked --quiet --example agent_demo -- --backend stripe-api --simulator
}

stripe_sdk() {
  step "Stripe's Python library against the simulator"
  tests/clients/stripe_sdk
}

# message_fuzzer RUNS: messages of each type and for each tool.
message_fuzzer() {
  step "mcp-fuzzer against the server, $1 messages of each type"
  RUNS="$1" tests/clients/fuzzer
}

stripe_cli() {
  step "the real Stripe CLI, not logged in"
  tests/clients/stripe_cli_logged_out
}

# clients [--short]: all clients, or one of each language and protocol era.
clients() {
  step "third-party clients ${*:-(all)}"
  tests/clients/run "$@"
}

hosts() {
  step "Claude Code and Codex"
  tests/clients/hosts
}

conformance() {
  step "the MCP conformance suite"
  tests/clients/conformance
}

# Checks that the benchmark works. Its figures are not meaningful, so the build is not optimized.
short_benchmark() {
  step "short benchmark"
  cargo bench --locked --quiet --profile dev --bench speed -- --short
}

benchmarks() {
  step benchmarks
  cargo bench --locked --quiet --bench speed
  cargo bench --locked --quiet --bench scan
}

# env_files [--long]
env_files() {
  step "env files, read by other parsers ${*:-}"
  tests/clients/env_files "$@"
}

# fuzz_targets SECONDS: the time of each target.
fuzz_targets() {
  step "fuzz targets, $1 seconds each"
  fuzz/run "$1"
}

# property_tests CASES: the properties of the env file editor.
property_tests() {
  step "properties of the env file, $1 cases each"
  PROPTEST_CASES="$1" cargo test --locked --release dotenv
}

lints() {
  step lints
  cargo fmt --all --check
  cargo clippy --locked --all-targets --all-features -- -D warnings
  RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet # as docs.rs builds it
  RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
}

dependencies() {
  step dependencies
  local deny=0.20.2
  if ! cargo deny --version 2>/dev/null | grep -qF "$deny"; then
    cargo install --locked --quiet --debug cargo-deny --version "=$deny"
  fi
  cargo fetch --locked --quiet # for all platforms; the build fetched only this one's
  cargo deny --locked --offline check bans licenses sources
  advisories
}

# Checks both lock files. Without a network it uses an archive of RustSec's database, ADVISORY_DB.
advisories() {
  if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --locked check advisories
    (cd fuzz && cargo deny --locked --config ../deny.toml check advisories)
    return
  fi
  local archive="${ADVISORY_DB:-../shared/data/advisory-db.tar.gz}"
  if [ ! -e "$archive" ]; then
    echo "advisories: NOT CHECKED, the database is not reachable and there is no archive $archive"
    return
  fi
  local work database
  work="$(mktemp -d)"
  database="$work/advisory-db-3157b0e258782691" # the name that cargo-deny derives from the URL of the database
  mkdir "$database"
  tar -xzf "$archive" -C "$database"
  # cargo-deny expects a repository that was fetched once.
  git -C "$database" init --quiet
  git -C "$database" add --all
  git -C "$database" -c user.name=ci -c user.email=ci@localhost commit --quiet --message "Unpack the archive"
  git -C "$database" fetch --quiet . HEAD
  sed "s|^\[advisories\]|&\ndb-path = \"$work\"\nmaximum-db-staleness = \"P365D\"|" deny.toml >"$work/deny.toml"
  local newest
  newest="$(find "$database" -name 'RUSTSEC-*.md' -printf '%Ts\n' | sort -n | tail -1)"
  echo "advisories: the archive $archive is $((($(date +%s) - newest) / 86400)) days old; what was published since is not checked"
  cargo deny --locked --offline --config "$work/deny.toml" check advisories
  (cd fuzz && cargo fetch --locked --quiet && cargo deny --locked --offline --config "$work/deny.toml" check advisories)
  rm -rf "$work"
}

published_files() {
  step "published files"
  bundle/check
}
