//! Benchmarks only: see `benches/`. Each group holds a yardstick, so that a
//! figure is a ratio within one run; absolute times mean nothing on shared
//! machines.
