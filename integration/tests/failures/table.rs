//! The table of what was said.

use std::io::Write;

use crate::ask::Answer;

/// Columns for kubelet's words.
const WORDS: usize = 96;

/// Prints the table past the test harness, which shows only what failing tests
/// print.
pub(crate) fn print(answers: &[Answer]) {
    let mut text = String::from("\nscenario | kubelet, after seconds | verdict | confidence | seconds\n");
    for answer in answers {
        text += &format!(
            "{:<22} {:<18} {:>4.1}  {:<24} {:<9} {:>4.1}\n    {}\n    {}\n",
            answer.name,
            answer.reason,
            answer.said_after,
            answer.cause.as_str(),
            answer.confidence.as_str(),
            answer.seconds,
            cut(&answer.words),
            answer.summary,
        );
    }
    // Nobody reads it when standard error is closed.
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// The end of the words says most: what comes before is who passed them on.
fn cut(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = one_line.chars().count();
    if length <= WORDS {
        return one_line;
    }
    let end: String = one_line.chars().skip(length - WORDS).collect();
    format!("…{end}")
}
