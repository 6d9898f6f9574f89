//! Slow statistical and end-to-end tests live in `tests/`.
