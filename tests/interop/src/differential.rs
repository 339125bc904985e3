//! The comparison as a whole.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use cells::{Cell, Decoder, decode_message};
use serde_json::Value;

use crate::case::{self, Case, Code, Ours};
use crate::chain::{self, Chain};
use crate::compare::{Aspect, Findings};
use crate::known;
use crate::oracle::{Oracle, OracleError};
use crate::rng::Rng;
use crate::subject::{Subject, name_panics};
use crate::transactions::Keys;

/// Executions that are sent to the oracle together.
const BATCH: usize = 200;
/// One case in this many is a chain of blocks.
const CHAIN_EVERY: u64 = 40;
/// Rounds of making a failing case smaller.
const SHRINK_ROUNDS: usize = 60;
/// Smaller cases that are tried in a round at most.
const SHRINK_WIDTH: usize = 120;
/// Processes of the reference that are asked whether they agree with one another.
const JURY: usize = 6;
/// Longest text of an encoding that the oracle sends in full; longer ones are compared by their hash.
const LIMITS: &str = "limit 4096 600";

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Command that starts the oracle.
    pub oracle: String,
    /// Number of cases.
    pub cases: u64,
    /// Number of the first case.
    pub first: u64,
    /// Seed of all of them.
    pub seed: u64,
    /// Failures after which it stops.
    pub most_failures: usize,
    /// Chains only (true), no chains (false), or both.
    pub chains: Option<bool>,
    /// Also shows differences of texts that consensus doesn't see, this many.
    pub show_texts: usize,
    /// Says how far it is on standard error.
    pub progress: bool,
}

/// Why the comparison can't be made.
#[derive(Debug, thiserror::Error)]
pub enum DifferentialError {
    /// Something about the oracle.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// The genesis state.
    #[error("the genesis state {0} can't be used: {1}")]
    Genesis(String, String),
    /// A release that nothing is known of.
    #[error(
        "the oracle runs release {0:?}; this tree can be compared with 0.8.0 and with the release that it follows"
    )]
    Release(String),
}

/// What came out.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Release of the reference.
    pub version: String,
    /// Programs and ops.
    pub executions: u64,
    /// Of these, ended with an error in the reference.
    pub errors: u64,
    /// Chains of blocks.
    pub chains: u64,
    /// Blocks in them.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Of these, succeeded.
    pub succeeded: u64,
    /// Of the blocks, invalid.
    pub invalid: u64,
    /// Cases of which the reference has no outcome, because its host ran out of stack or memory.
    pub no_verdict: u64,
    /// Documented differences, by line of [`known::TABLE`].
    pub known: BTreeMap<usize, u64>,
    /// Cases in which only texts differ.
    pub texts: u64,
    /// Differences, as they are shown.
    pub failures: Vec<String>,
}

impl Report {
    /// Cases compared.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.executions + self.transactions
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "reference {}: {} programs and ops ({} ended with an error), {} chains of {} blocks ({} invalid) and {} \
             transactions ({} succeeded): {} cases",
            self.version,
            self.executions,
            self.errors,
            self.chains,
            self.blocks,
            self.invalid,
            self.transactions,
            self.succeeded,
            self.cases()
        )?;
        for (line, count) in &self.known {
            let known = &known::TABLE[*line];
            writeln!(f, "documented: {count} × {} ({})", known.name, known.source)?;
        }
        writeln!(
            f,
            "only texts differ: {}; no outcome in the reference: {}; differences: {}",
            self.texts,
            self.no_verdict,
            self.failures.len()
        )
    }
}

/// The genesis state of the shared vectors, where it is.
#[must_use]
pub fn shared_genesis() -> Option<PathBuf> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/genesis-085.bin");
    path.canonicalize().ok()
}

/// Both sides, in the same state.
struct Bench {
    command: String,
    oracle: Oracle,
    subject: Subject,
    genesis: Cell,
    keys: Keys,
    rules: &'static cvm::Rules,
    /// Documented differences are excused.
    lenient: bool,
}

impl Bench {
    fn new(command: &str) -> Result<Self, DifferentialError> {
        let mut oracle = Oracle::start(command)?;
        let (rules, lenient) = known::rules_for(oracle.version())
            .ok_or_else(|| DifferentialError::Release(oracle.version().to_owned()))?;
        oracle.set_up(LIMITS)?;
        let keys = Keys::new();
        let bytes = match shared_genesis() {
            Some(path) => {
                oracle.set_up(&format!("state @{}", path.display()))?;
                std::fs::read(&path).map_err(|why| unusable(&path, &why))?
            }
            None => {
                oracle.set_up(&keys.genesis_request())?;
                let path = std::env::temp_dir().join(format!("genesis-{}.bin", std::process::id()));
                oracle.ask(&[format!("dump {}", path.display())])?;
                let bytes = std::fs::read(&path).map_err(|why| unusable(&path, &why));
                // What is left of a file in the temporary folder harms nobody.
                let _ = std::fs::remove_file(&path);
                bytes?
            }
        };
        let place = || PathBuf::from("of the oracle");
        let genesis =
            decode_message(&bytes, &Decoder::new()).map_err(|why| unusable(&place(), &why))?;
        let subject = Subject::new(&genesis, rules).map_err(|why| unusable(&place(), &why))?;
        Ok(Self {
            command: command.to_owned(),
            oracle,
            subject,
            genesis,
            keys,
            rules,
            lenient,
        })
    }

    fn check_chain(&mut self, chain: &Chain) -> Result<chain::Checked, OracleError> {
        chain::check(
            chain,
            &mut self.oracle,
            &self.genesis,
            &self.keys,
            self.rules,
        )
    }

    /// Runs cases on both sides.
    fn check(&mut self, cases: &[Case]) -> Result<Vec<Findings>, OracleError> {
        // Chains move the oracle's current state.
        let mut requests = vec!["reset".to_owned()];
        requests.extend(cases.iter().map(Case::request));
        self.oracle.send(&requests);
        let ours: Vec<Ours> = cases.iter().map(|c| c.run(&mut self.subject)).collect();
        let replies = self.oracle.answers(&requests)?;
        Ok(ours
            .iter()
            .zip(&replies[1..])
            .map(|(ours, reply): (_, &Value)| case::compare(ours, reply))
            .collect())
    }

    /// The line of the table that explains the findings. What takes longest to find out comes last.
    fn explained(
        &mut self,
        case: &Case,
        findings: &Findings,
    ) -> Result<Option<usize>, OracleError> {
        if self.lenient
            && let Some(line) = self.documented(case, findings)?
        {
            return Ok(Some(line));
        }
        if findings.aspects().iter().all(|a| *a == Aspect::Memory)
            && let Code::Program(_) = &case.code
            && let Some(bytes) = case.form_bytes()
        {
            let from_bytes = Case {
                code: Code::Bytes(bytes),
                ..case.clone()
            };
            let again = self.check(std::slice::from_ref(&from_bytes))?;
            if again[0].aspects().is_empty() {
                return Ok(Some(known::READ_FORM));
            }
        }
        if (self.lenient || case.text().contains('{')) && self.is_undefined(case)? {
            return Ok(Some(known::UNDEFINED));
        }
        Ok(None)
    }

    /// The difference between releases that explains the findings.
    fn documented(
        &mut self,
        case: &Case,
        findings: &Findings,
    ) -> Result<Option<usize>, OracleError> {
        if let Some(line) = known::explains(findings, &case.text()) {
            return Ok(Some(line));
        }
        let Code::Program(form) = &case.code else {
            return Ok(known::refuses_a_sequence(findings, &case.text()).then_some(known::APPLY));
        };
        for rewrite in known::REWRITES {
            let changed = (rewrite.change)(form);
            if changed == *form {
                continue;
            }
            let changed = Case {
                code: Code::Program(changed),
                ..case.clone()
            };
            let again = self.check(std::slice::from_ref(&changed))?;
            if again[0].aspects().is_empty() {
                return Ok(Some(rewrite.line));
            }
        }
        // `apply` as a value, or on what another function makes, is out of a rewrite's reach.
        Ok(known::refuses_a_sequence(findings, &case.text()).then_some(known::APPLY))
    }

    /// True when processes of the reference give this case different outcomes.
    fn is_undefined(&mut self, case: &Case) -> Result<bool, OracleError> {
        let request = [case.request()];
        let first = self
            .oracle
            .ask(&[vec!["reset".to_owned()], request.to_vec()].concat())?;
        for _ in 0..JURY {
            let mut other = Oracle::start(&self.command)?;
            for set_up in self.oracle.requests_of_set_up() {
                other.set_up(set_up)?;
            }
            if other.ask(&request)?.last() != first.last() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn shrink(&mut self, case: Case, findings: Findings) -> Result<(Case, Findings), OracleError> {
        let (mut least, mut least_findings) = (case, findings);
        for _ in 0..SHRINK_ROUNDS {
            let mut candidates = least.smaller();
            candidates.truncate(SHRINK_WIDTH);
            let checked = self.check(&candidates)?;
            let mut better = None;
            for (candidate, findings) in candidates.into_iter().zip(checked) {
                let same_kind = least_findings
                    .aspects()
                    .iter()
                    .any(|a| findings.aspects().contains(a));
                if same_kind && (!self.lenient || self.explained(&candidate, &findings)?.is_none())
                {
                    better = Some((candidate, findings));
                    break;
                }
            }
            match better {
                Some((case, findings)) => (least, least_findings) = (case, findings),
                None => break,
            }
        }
        Ok((least, least_findings))
    }

    /// As [`Bench::explained`], of a chain.
    fn chain_explained(
        &mut self,
        chain: &Chain,
        findings: &Findings,
    ) -> Result<Option<usize>, OracleError> {
        if !self.lenient {
            return Ok(None);
        }
        if let Some(line) = known::explains(findings, &chain.text()) {
            return Ok(Some(line));
        }
        for rewrite in known::REWRITES {
            let changed = chain.with_programs(&rewrite.change);
            let again = self.check_chain(&changed)?.findings;
            if again.aspects().is_empty() {
                return Ok(Some(rewrite.line));
            }
        }
        Ok(None)
    }

    fn shrink_chain(
        &mut self,
        chain: Chain,
        findings: Findings,
    ) -> Result<(Chain, Findings), OracleError> {
        let (mut least, mut least_findings) = (chain, findings);
        for _ in 0..SHRINK_ROUNDS {
            let mut better = None;
            for candidate in least.smaller().into_iter().take(SHRINK_WIDTH) {
                let findings = self.check_chain(&candidate)?.findings;
                let same_kind = least_findings
                    .aspects()
                    .iter()
                    .any(|a| findings.aspects().contains(a));
                if same_kind && self.chain_explained(&candidate, &findings)?.is_none() {
                    better = Some((candidate, findings));
                    break;
                }
            }
            match better {
                Some((chain, findings)) => (least, least_findings) = (chain, findings),
                None => break,
            }
        }
        Ok((least, least_findings))
    }
}

fn unusable(path: &Path, why: &impl std::fmt::Display) -> DifferentialError {
    DifferentialError::Genesis(path.display().to_string(), why.to_string())
}

/// True when case `number` is a chain of blocks.
fn is_chain(options: &Options, number: u64) -> bool {
    options
        .chains
        .unwrap_or(number % CHAIN_EVERY == CHAIN_EVERY - 1)
}

/// Runs the comparison.
///
/// # Errors
/// When it can't be made at all; differences are no error but in the report.
pub fn run(options: &Options) -> Result<Report, DifferentialError> {
    name_panics();
    let mut bench = Bench::new(&options.oracle)?;
    let mut report = Report {
        version: bench.oracle.version().to_owned(),
        ..Report::default()
    };
    let last = options.first + options.cases;
    let mut next = options.first;
    while next < last && report.failures.len() < options.most_failures {
        if options.progress {
            let done = (next - options.first) * 100 / options.cases.max(1);
            eprint!(
                "\r{done:3} %  {} cases, {} differences ",
                report.cases(),
                report.failures.len()
            );
            let _ = std::io::stderr().flush();
        }
        let until = last.min(next + BATCH as u64);
        let mut cases = Vec::new();
        for number in next..until {
            if is_chain(options, number) {
                one_chain(&mut bench, options, number, &mut report)?;
            } else {
                let mut rng = Rng::of_case(options.seed, number);
                let case = if rng.chance(15) {
                    Case::op(&mut rng, &mut bench.subject, !bench.lenient)
                } else {
                    Case::program(&mut rng, !bench.lenient)
                };
                cases.push((number, case));
            }
        }
        let (numbers, cases): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        let checked = bench.check(&cases)?;
        for ((number, case), findings) in numbers.into_iter().zip(cases).zip(checked) {
            one_execution(&mut bench, options, number, case, findings, &mut report)?;
        }
        next = until;
    }
    if options.progress {
        eprintln!();
    }
    Ok(report)
}

/// How to have a case again.
fn repeat(options: &Options, number: u64) -> String {
    let kind = match options.chains {
        None => "",
        Some(true) => " --only chains",
        Some(false) => " --only executions",
    };
    format!("--seed {} --first {number} --cases 1{kind}", options.seed)
}

fn one_execution(
    bench: &mut Bench,
    options: &Options,
    number: u64,
    case: Case,
    findings: Findings,
    report: &mut Report,
) -> Result<(), OracleError> {
    report.executions += 1;
    report.errors += u64::from(findings.error);
    report.no_verdict += u64::from(findings.no_verdict);
    if findings.aspects().is_empty() {
        if let Some(text) = findings.differences.first() {
            report.texts += 1;
            if report.texts <= options.show_texts as u64 {
                println!(
                    "text: {} ({})\n  {:.600}\n  {text}",
                    case.request().len(),
                    repeat(options, number),
                    case.text()
                );
            }
        }
        return Ok(());
    }
    if let Some(line) = bench.explained(&case, &findings)? {
        *report.known.entry(line).or_default() += 1;
        return Ok(());
    }
    let original = case.text();
    let (case, findings) = bench.shrink(case, findings)?;
    let mut text = format!(
        "difference in case {number} ({})\n  as #{} with juice limit {}:\n    {}\n",
        repeat(options, number),
        case.setting.account,
        case.setting.limit,
        case.text()
    );
    show(&mut text, &findings);
    if original != case.text() {
        text.push_str(&format!("  made smaller from {original:.1200}\n"));
    }
    fail(options, report, text);
    Ok(())
}

fn one_chain(
    bench: &mut Bench,
    options: &Options,
    number: u64,
    report: &mut Report,
) -> Result<(), OracleError> {
    let mut rng = Rng::of_case(options.seed, number);
    let chain = Chain::random(&mut rng);
    let checked = bench.check_chain(&chain)?;
    report.chains += 1;
    report.blocks += checked.blocks;
    report.transactions += checked.transactions;
    report.succeeded += checked.succeeded;
    report.invalid += checked.invalid;
    report.no_verdict += u64::from(checked.findings.no_verdict);
    if checked.findings.aspects().is_empty() {
        if let Some(text) = checked.findings.differences.first() {
            report.texts += 1;
            if report.texts <= options.show_texts as u64 {
                println!("text: ({})\n  {text}", repeat(options, number));
            }
        }
        return Ok(());
    }
    if let Some(line) = bench.chain_explained(&chain, &checked.findings)? {
        *report.known.entry(line).or_default() += 1;
        return Ok(());
    }
    let (chain, findings) = bench.shrink_chain(chain, checked.findings)?;
    let mut text = format!(
        "difference in case {number} ({}), a chain of blocks:\n{}",
        repeat(options, number),
        chain.text()
    );
    show(&mut text, &findings);
    fail(options, report, text);
    Ok(())
}

fn show(text: &mut String, findings: &Findings) {
    for difference in findings.differences.iter().take(8) {
        text.push_str(&format!("    {difference}\n"));
    }
}

fn fail(options: &Options, report: &mut Report, text: String) {
    if options.progress {
        println!("\n{text}");
        let _ = std::io::stdout().flush();
    }
    report.failures.push(text);
}
