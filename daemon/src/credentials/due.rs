//! When the next pass is useful: a pure function of what the last one saw.

use jiff::{SignedDuration, Timestamp};

use crate::report::{CredentialReport, RegistryCredential, TargetOutcome};

/// Fan-outs are at least this far apart: each one changes every secret, and each changed secret is
/// another credential that every node remembers.
const FAN_OUT: SignedDuration = SignedDuration::from_mins(5);
/// With less life than this left at the end of [`FAN_OUT`] a token is not made to wait for it.
const URGENT: SignedDuration = SignedDuration::from_mins(10);
/// After a token that could not be had or was refused, after one that nobody could prove yet, after
/// a secret that was contested, and after one that could not be written.
const AGAIN_TOKEN: SignedDuration = SignedDuration::from_mins(5);
const AGAIN_PROOF: SignedDuration = SignedDuration::from_mins(15);
const AGAIN_CONTEST: SignedDuration = SignedDuration::from_mins(10);
const AGAIN_WRITE: SignedDuration = SignedDuration::from_mins(1);
/// What a watch missed is found this late at the latest.
const LOOK: SignedDuration = SignedDuration::from_hours(1);

/// When the pass after the one of `report` is useful: at the earliest refresh or retry, after an
/// hour at the latest, never in the past. `None` when nothing is kept anywhere.
#[must_use]
pub fn next_due(report: &CredentialReport, now: Timestamp) -> Option<Timestamp> {
    if report.registries.is_empty() && report.targets.is_empty() && report.incomplete.is_empty() {
        return None;
    }
    let after = |wait: SignedDuration| report.started.checked_add(wait).unwrap_or(Timestamp::MAX);
    let written = |outcome| outcome != TargetOutcome::Failed;
    let whole = report.incomplete.is_empty() && report.targets.iter().all(|target| written(target.outcome));
    let contested = report
        .targets
        .iter()
        .any(|target| target.kind.as_deref() == Some("contested"));
    let writes = (!whole).then(|| after(AGAIN_WRITE));
    let contest = contested.then(|| after(AGAIN_CONTEST));
    let registries = report
        .registries
        .iter()
        .filter_map(|registry| of_registry(registry, &after));
    let earliest = registries.chain(writes).chain(contest).min();
    Some(earliest.map_or(after(LOOK), |due| due.min(after(LOOK))).max(now))
}

fn of_registry(
    registry: &RegistryCredential,
    after: &impl Fn(SignedDuration) -> Timestamp,
) -> Option<Timestamp> {
    let fan_out = after(FAN_OUT);
    let retry = match (&registry.error, registry.proven) {
        (Some(_), _) => Some(after(AGAIN_TOKEN)),
        (None, false) => Some(after(AGAIN_PROOF)),
        (None, true) => None,
    };
    let urgent = |ends: Timestamp| ends.duration_since(fan_out) < URGENT;
    let refresh = registry
        .next_refresh
        .map(|due| match registry.expires.is_some_and(urgent) {
            true => due,
            false => due.max(fan_out),
        });
    refresh.into_iter().chain(retry).min()
}

#[cfg(test)]
mod tests {
    use super::next_due;
    use crate::report::{
        CredentialError, CredentialReport, CredentialResult, CredentialTotals, RegistryCredential,
        TargetOutcome, TargetReport,
    };
    use jiff::Timestamp;

    fn at(clock: &str) -> Timestamp {
        format!("2026-05-01T{clock}Z").parse().unwrap()
    }

    fn registry(refresh: Option<&str>, expires: Option<&str>, error: bool) -> RegistryCredential {
        RegistryCredential {
            name: "r".to_owned(),
            host: "r.example".to_owned(),
            identity: "basic".to_owned(),
            result: CredentialResult::Kept,
            minted: None,
            expires: expires.map(at),
            next_refresh: refresh.map(at),
            proven: true,
            proof: String::new(),
            error: error.then(|| CredentialError {
                kind: "undecided".to_owned(),
                message: String::new(),
                hint: None,
            }),
        }
    }

    fn target(outcome: TargetOutcome) -> TargetReport {
        TargetReport {
            namespace: None,
            secret: None,
            file: None,
            outcome,
            reason: String::new(),
            kind: None,
            hint: None,
        }
    }

    #[test]
    fn the_next_pass_is_at_the_earliest_use() {
        let cases = [
            (vec![], vec![], None, "10:00:00"),
            (
                vec![registry(None, None, false)],
                vec![],
                Some("11:00:00"),
                "10:00:00",
            ),
            (
                vec![registry(Some("10:30:00"), Some("12:00:00"), false)],
                vec![],
                Some("10:30:00"),
                "10:00:00",
            ),
            (
                vec![registry(Some("16:30:00"), Some("22:00:00"), false)],
                vec![],
                Some("11:00:00"),
                "10:00:00",
            ),
            (
                vec![registry(Some("10:02:00"), Some("12:00:00"), false)],
                vec![],
                Some("10:05:00"),
                "10:00:00",
            ),
            (
                vec![registry(Some("10:02:00"), Some("10:14:59"), false)],
                vec![],
                Some("10:02:00"),
                "10:00:00",
            ),
            (
                vec![registry(Some("10:02:00"), Some("10:15:00"), false)],
                vec![],
                Some("10:05:00"),
                "10:00:00",
            ),
            (
                vec![registry(Some("10:30:00"), None, true)],
                vec![],
                Some("10:05:00"),
                "10:00:00",
            ),
            (
                vec![registry(None, None, true)],
                vec![],
                Some("10:20:00"),
                "10:20:00",
            ),
            (
                vec![
                    registry(Some("10:30:00"), None, false),
                    registry(Some("10:20:00"), None, false),
                ],
                vec![target(TargetOutcome::Unchanged), target(TargetOutcome::Refused)],
                Some("10:20:00"),
                "10:00:00",
            ),
            (
                vec![registry(None, None, false)],
                vec![target(TargetOutcome::Updated), target(TargetOutcome::Failed)],
                Some("10:01:00"),
                "10:00:00",
            ),
        ];
        for (n, (registries, targets, due, now)) in cases.into_iter().enumerate() {
            let report = CredentialReport {
                started: at("10:00:00"),
                registries,
                targets,
                removal: None,
                incomplete: Vec::new(),
                totals: CredentialTotals::default(),
            };
            assert_eq!(next_due(&report, at(now)), due.map(at), "case {n}");
        }
    }

    #[test]
    fn what_was_not_seen_is_looked_at_again_soon() {
        let report = CredentialReport {
            started: at("10:00:00"),
            registries: Vec::new(),
            targets: Vec::new(),
            removal: None,
            incomplete: vec!["failed to list namespaces".to_owned()],
            totals: CredentialTotals::default(),
        };
        assert_eq!(next_due(&report, at("10:00:00")), Some(at("10:01:00")));
    }
}
