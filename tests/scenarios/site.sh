#!/usr/bin/env bash
# The documentation as a site: built, and every page looked at by a real browser, on a phone and a desk, light and dark.
source "$(dirname "$0")/lib.sh"

[[ -d $repo/crates/app/tests/browser/node_modules ]] || fail "the browser's driver is not installed: run 'cargo xtask setup'"
cd "$repo"
pictures=$(cargo metadata --format-version 1 --no-deps | jq -r .target_directory)/site-pictures
cargo xtask docs --site --out "$scratch/site" >"$scratch/build.log" 2>&1 || fail "the site could not be made"
node crates/app/tests/browser/site.mjs "$scratch/site" "$pictures" >"$scratch/browser.log" 2>&1 || fail "a page is not as it should be"
cat "$scratch/browser.log"
