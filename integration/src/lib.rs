//! Real servers for the tests of syncd.
