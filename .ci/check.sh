#!/usr/bin/env bash
# Style and types: what a pull request must pass before its tests count.
set -euo pipefail
cd "$(dirname "$0")/.."
ruff format --check .
ruff check .
mypy
