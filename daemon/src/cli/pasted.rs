//! A text that somebody pastes: from the command line, a file or standard input. Bounded, and not
//! trusted to be text.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::output::Failure;

/// What is kept of each end of a long text.
const END: usize = 32 * 1024;

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
enum PastedError {
    /// Nothing in it.
    #[error("the message is empty")]
    Empty,
    /// The file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The text of `--message`, else of the file (`-` is standard input).
pub(super) fn text(message: Option<&str>, file: Option<&Path>) -> Result<String, Failure> {
    let text = match (message, file) {
        (Some(message), _) => message.to_owned(),
        (None, Some(path)) => from_file(path)?,
        (None, None) => String::new(),
    };
    if text.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, PastedError::Empty)
            .hint("give the words of the event or of the pod's waiting message"));
    }
    Ok(text)
}

fn from_file(path: &Path) -> Result<String, Failure> {
    let read = if path == Path::new("-") {
        ends(io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(ends)
    };
    let bytes = read.map_err(|source| {
        let path = path.to_owned();
        Failure::new(Exit::Usage, PastedError::Read { path, source })
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The head and the tail, whatever the length.
fn ends(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    from.by_ref().take(END as u64).read_to_end(&mut kept)?;
    let mut tail = Vec::new();
    let mut chunk = vec![0; END];
    loop {
        let n = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        tail.extend_from_slice(chunk.get(..n).unwrap_or_default());
        if tail.len() > END {
            tail.drain(..tail.len() - END);
        }
    }
    kept.extend_from_slice(&tail);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::{END, ends, text};

    #[test]
    fn a_long_text_keeps_its_ends() {
        let mut long = vec![b'x'; 10 * END];
        long[0] = b'a';
        let last = long.len() - 1;
        long[last] = b'z';
        let kept = ends(long.as_slice()).unwrap();
        assert_eq!(kept.len(), 2 * END);
        assert_eq!((kept[0], kept[2 * END - 1]), (b'a', b'z'));
        assert_eq!(ends(&b"short"[..]).unwrap(), b"short");
    }

    #[test]
    fn nothing_is_an_error() {
        for empty in ["", " \n"] {
            let failure = text(Some(empty), None).expect_err("nothing to read");
            assert_eq!(failure.exit as u8, 2);
        }
    }
}
