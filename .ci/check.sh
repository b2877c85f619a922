#!/usr/bin/env bash
# What must be green before a change goes in: style, types, and the tests with their doctests, warnings as errors.
set -euo pipefail
cd "$(dirname "$0")/.."
ruff format --check .
ruff check .
mypy
pytest -n 2
