//! What a long copy tells while it goes on.

use crate::report::ImageReport;

/// Told about the course of a mirror pass. Called from many tasks at once, often; must not block.
pub trait Progress: Send + Sync {
    /// The pass begins with that many images.
    fn pass_started(&self, images: usize) {
        let _ = images;
    }

    /// Work on the image `index` (its place in the configuration) begins.
    fn image_started(&self, index: usize, source: &str, destination: &str) {
        let _ = (index, source, destination);
    }

    /// The image turned out to have that many bytes of blobs.
    fn image_sized(&self, index: usize, bytes: u64) {
        let _ = (index, bytes);
    }

    /// More bytes of the image are where they should be: read from the source, or found there.
    fn image_advanced(&self, index: usize, bytes: u64) {
        let _ = (index, bytes);
    }

    /// The image is done, well or not.
    fn image_finished(&self, index: usize, report: &ImageReport) {
        let _ = (index, report);
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
