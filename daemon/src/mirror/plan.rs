//! What to do about each image: a pure function of what was gathered and the time.

use jiff::Timestamp;
use syncd_config::Digest;

use crate::images::receipt::{MAX_AGE, Receipt};
use crate::report::ImageError;

/// How far the proof of presence goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Size and last byte of each blob.
    #[default]
    Touch,
    /// Every byte, read back and hashed.
    Full,
}

/// What was gathered about one image.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    /// The name of its place in the mirror, as receipts have it.
    pub(crate) destination: &'a str,
    /// What it resolved to at the source.
    pub(crate) source: Result<Digest, ImageError>,
    /// What stands at its destination.
    pub(crate) present: Result<Option<Digest>, ImageError>,
    /// The receipt about its destination.
    pub(crate) receipt: Option<&'a Receipt>,
    /// Whether the destination is our own store: a touch there costs no request.
    pub(crate) own_store: bool,
}

/// What to do about one image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Copy it.
    Copy {
        /// The digest to copy.
        digest: Digest,
        /// In a few words.
        why: Why,
    },
    /// It seems to be there: prove it.
    Prove {
        /// The digest to prove.
        digest: Digest,
        /// In a few words.
        why: Why,
    },
    /// It is there, by a receipt.
    Present {
        /// The digest that is there.
        digest: Digest,
    },
    /// Nothing can be done.
    Fail(ImageError),
}

/// Why a step is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The mirror has no such tag.
    New,
    /// The mirror's tag points to another digest.
    Changed(Digest),
    /// No receipt about this digest.
    Unproven,
    /// The receipt is too old.
    Aged,
    /// The store is our own, looking costs nothing.
    OwnStore,
    /// `--verify full`.
    Asked,
}

impl Why {
    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::New => "not in the mirror yet".to_owned(),
            Self::Changed(old) => format!("the mirror has {old}"),
            Self::Unproven => "in the mirror, not proven yet".to_owned(),
            Self::Aged => "in the mirror, proven too long ago".to_owned(),
            Self::OwnStore => "in the mirror".to_owned(),
            Self::Asked => "in the mirror, a full check was asked for".to_owned(),
        }
    }
}

/// Decides about one image. A failure at the source says more than one at the destination.
pub(crate) fn plan(facts: &Facts<'_>, verify: Verify, now: Timestamp) -> Step {
    let (digest, present) = match (&facts.source, &facts.present) {
        (Err(error), _) | (Ok(_), Err(error)) => return Step::Fail(error.clone()),
        (Ok(digest), Ok(present)) => (digest.clone(), present),
    };
    match present {
        None => Step::Copy {
            digest,
            why: Why::New,
        },
        Some(old) if *old != digest => Step::Copy {
            digest,
            why: Why::Changed(old.clone()),
        },
        Some(_) => proof(facts, digest, verify, now),
    }
}

fn proof(facts: &Facts<'_>, digest: Digest, verify: Verify, now: Timestamp) -> Step {
    let receipt = facts.receipt.filter(|r| r.is_about(&digest, facts.destination));
    let why = match receipt {
        _ if verify == Verify::Full => Why::Asked,
        _ if facts.own_store => Why::OwnStore,
        None => Why::Unproven,
        Some(receipt) if receipt.is_fresh(now, MAX_AGE) => return Step::Present { digest },
        Some(_) => Why::Aged,
    };
    Step::Prove { digest, why }
}

/// What a digest pin needs no question at the source for: the destination has it and a receipt
/// speaks for it (or the store is our own, where looking is free).
pub(crate) fn pin_needs_no_source(
    pin: &Digest,
    destination: &str,
    receipt: Option<&Receipt>,
    now: Timestamp,
) -> bool {
    receipt.is_some_and(|r| r.is_about(pin, destination) && r.is_fresh(now, MAX_AGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::verify::{Inventory, Part};
    use crate::report::Verified;

    const PLACE: &str = "h.example/a:1";

    fn digest(text: &str) -> Digest {
        Digest::sha256(text.as_bytes())
    }

    fn error(kind: &str) -> ImageError {
        ImageError {
            kind: kind.to_owned(),
            path: "tag".to_owned(),
            message: String::new(),
            hint: None,
        }
    }

    fn now() -> Timestamp {
        "2026-05-01T10:00:00Z".parse().unwrap()
    }

    fn receipt(of: &str, place: &str, hours_ago: i64) -> Receipt {
        let when = now() - jiff::SignedDuration::from_hours(hours_ago);
        let inventory = Inventory {
            manifests: vec![Part {
                digest: digest(of),
                size: 1,
                path: "1".to_owned(),
            }],
            blobs: Vec::new(),
        };
        Receipt::new(
            place.to_owned(),
            String::new(),
            digest(of),
            when,
            Verified::Touched,
            inventory,
        )
    }

    #[test]
    fn table() {
        let copy = |why| Step::Copy {
            digest: digest("new"),
            why,
        };
        let prove = |why| Step::Prove {
            digest: digest("new"),
            why,
        };
        let present = Step::Present {
            digest: digest("new"),
        };
        let new = || Ok(digest("new"));
        let there = || Ok(Some(digest("new")));
        let fresh = || Some(receipt("new", PLACE, 1));
        let touch = Verify::Touch;
        #[rustfmt::skip]
        let cases = [
            ("absent",              new(), Ok(None), None, false, touch, copy(Why::New)),
            ("absent, stale proof", new(), Ok(None), fresh(), false, touch, copy(Why::New)),
            ("moved",               new(), Ok(Some(digest("old"))), fresh(), false, touch, copy(Why::Changed(digest("old")))),
            ("proven",              new(), there(), fresh(), false, touch, present),
            ("unproven",            new(), there(), None, false, touch, prove(Why::Unproven)),
            ("other digest",        new(), there(), Some(receipt("old", PLACE, 1)), false, touch, prove(Why::Unproven)),
            ("other place",         new(), there(), Some(receipt("new", "h/b:1", 1)), false, touch, prove(Why::Unproven)),
            ("aged",                new(), there(), Some(receipt("new", PLACE, 24)), false, touch, prove(Why::Aged)),
            ("from the future",     new(), there(), Some(receipt("new", PLACE, -1)), false, touch, prove(Why::Aged)),
            ("own store",           new(), there(), fresh(), true, touch, prove(Why::OwnStore)),
            ("full",                new(), there(), fresh(), false, Verify::Full, prove(Why::Asked)),
            ("source fails",        Err(error("dns")), there(), fresh(), false, touch, Step::Fail(error("dns"))),
            ("destination fails",   new(), Err(error("tls")), fresh(), false, touch, Step::Fail(error("tls"))),
            ("both fail",           Err(error("dns")), Err(error("tls")), None, false, touch, Step::Fail(error("dns"))),
        ];
        for (name, source, present, receipt, own_store, verify, expected) in cases {
            let facts = Facts {
                destination: PLACE,
                source,
                present,
                receipt: receipt.as_ref(),
                own_store,
            };
            assert_eq!(plan(&facts, verify, now()), expected, "{name}");
        }
    }

    #[test]
    fn a_pin_with_a_fresh_receipt_costs_no_question() {
        let pin = digest("new");
        for (receipt, expected) in [
            (Some(receipt("new", PLACE, 1)), true),
            (Some(receipt("new", PLACE, 24)), false),
            (Some(receipt("old", PLACE, 1)), false),
            (None, false),
        ] {
            assert_eq!(
                pin_needs_no_source(&pin, PLACE, receipt.as_ref(), now()),
                expected
            );
        }
    }
}
