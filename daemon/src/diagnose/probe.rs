//! Gathers what a diagnosis is judged by: one question after the other, until one has no answer.

use super::facts::Facts;
use super::{DiagnoseContext, DiagnoseOptions};

/// Everything that could be seen.
pub(crate) async fn look(_context: &DiagnoseContext, image: &str, options: &DiagnoseOptions) -> Facts {
    Facts::new(image, options.platform.clone())
}
