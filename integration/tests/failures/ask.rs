//! Asks the real program, and judges its answer.

use std::collections::BTreeMap;
use std::process::Command;

use syncd::report::{Cause, Confidence, DiagnoseReport};
use syncd_integration::error::Context;
use syncd_integration::process::outcome;
use syncd_integration::secrets::assert_none;
use syncd_integration::{Apiserver, Node, Result};
use tokio::time::Instant;

use crate::cluster::Waiting;
use crate::scenarios::Scenario;
use crate::world::World;

/// What syncd said about a scenario.
pub(crate) struct Answer {
    pub(crate) name: &'static str,
    pub(crate) reason: String,
    pub(crate) words: String,
    pub(crate) cause: Cause,
    pub(crate) confidence: Confidence,
    pub(crate) summary: String,
    /// How long kubelet took to say it.
    pub(crate) said_after: f64,
    /// How long syncd took.
    pub(crate) seconds: f64,
    expected: &'static [Cause],
    least: Confidence,
    exit: Option<i32>,
    /// The whole report, for a complaint.
    report: String,
}

/// Runs `syncd diagnose pod/app` for each scenario.
pub(crate) async fn all(
    world: &World,
    node: &Node,
    apiserver: &Apiserver,
    scenarios: &[Scenario],
    waiting: &BTreeMap<String, Waiting>,
) -> Result<Vec<Answer>> {
    let mut secrets: Vec<&str> = vec![&world.password];
    secrets.extend(
        scenarios
            .iter()
            .flat_map(|scenario| &scenario.secrets)
            .map(|given| given.secret.as_str()),
    );
    let kubeconfig = apiserver.kubeconfig().to_string_lossy();
    let mut answers = Vec::new();
    for scenario in scenarios {
        let said = &waiting[scenario.name];
        let arguments = [
            "diagnose",
            "pod/app",
            "--namespace",
            scenario.name,
            "--kubeconfig",
            &kubeconfig,
            "--output",
            "json",
        ];
        let command = world.setup.command(&arguments)?;
        let answer = one(scenario, said, &mut node.with_resolver(&command)?, &secrets)?;
        answers.push(answer);
    }
    Ok(answers)
}

fn one(scenario: &Scenario, said: &Waiting, command: &mut Command, secrets: &[&str]) -> Result<Answer> {
    let started = Instant::now();
    let (output, text) = outcome(command)?;
    let seconds = started.elapsed().as_secs_f64();
    assert_none(&format!("what is said on {}", scenario.name), &text, secrets)?;
    let report: DiagnoseReport = serde_json::from_slice(&output.stdout)
        .context(format!("read a report of {}: {text}", scenario.name))?;
    Ok(Answer {
        name: scenario.name,
        reason: said.reason.clone(),
        words: said.message.clone(),
        cause: report.verdict.cause,
        confidence: report.verdict.confidence,
        summary: report.verdict.summary.clone(),
        said_after: said.seconds,
        seconds,
        expected: scenario.causes,
        least: scenario.least,
        exit: output.status.code(),
        report: format!(
            "{}\nevents: {:#?}",
            String::from_utf8_lossy(&output.stdout),
            said.events
        ),
    })
}

impl Answer {
    /// What is wrong with it.
    pub(crate) fn complaint(&self) -> Option<String> {
        let right = self.expected.first() == Some(&self.cause);
        let fault = if right && self.confidence < self.least {
            format!("only {}", self.confidence.as_str())
        } else if right && self.exit != Some(1) {
            format!("exit code {:?}", self.exit)
        } else if right {
            return None;
        } else if !self.expected.contains(&self.cause) {
            format!("not {:?}", self.expected)
        } else if self.confidence == Confidence::Certain {
            "and nothing shows that for certain".to_owned()
        } else {
            return None;
        };
        let said = format!("{} ({})", self.cause, self.confidence.as_str());
        Some(format!(
            "{}: {said}, {fault}\n{}\n{}",
            self.name, self.words, self.report
        ))
    }
}
