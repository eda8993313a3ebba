//! The command line.

pub mod diagnose_text;
