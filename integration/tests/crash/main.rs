//! The store survives what may happen to it: the process killed at any system call, system calls
//! that fail, and the power cut. Whatever happened, each tag and manifest that is visible leads to
//! whole content, and what was acknowledged is there.
//!
//! Needs root, strace, loop devices and `mkfs.ext4`.

#[cfg(test)]
mod check;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod order;
#[cfg(test)]
mod power;
#[cfg(test)]
mod strace;
