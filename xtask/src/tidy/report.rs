//! What the rules found: offences, which fail the check, and notes, which do not.

use std::fmt;

/// The findings of all rules.
#[derive(Debug, Default)]
pub(crate) struct Report {
    offences: Vec<String>,
    notes: Vec<String>,
}

impl Report {
    /// `path` breaks a rule.
    pub(crate) fn offence(&mut self, path: &str, what: impl fmt::Display) {
        self.offences.push(format!("{path}: {what}"));
    }

    /// Line `line` of `path`, counted from one, breaks a rule.
    pub(crate) fn offence_at(&mut self, path: &str, line: usize, what: impl fmt::Display) {
        self.offences.push(format!("{path}:{line}: {what}"));
    }

    /// `path` is worth a look and breaks no rule.
    pub(crate) fn note(&mut self, path: &str, what: impl fmt::Display) {
        self.notes.push(format!("{path}: {what}"));
    }

    /// Everything that fails the check.
    pub(crate) fn offences(&self) -> &[String] {
        &self.offences
    }

    /// Everything that is only worth a look.
    #[cfg(test)]
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(out, "tidy: note: {note}"))?;
        self.offences.iter().try_for_each(|offence| writeln!(out, "tidy: {offence}"))
    }
}

/// What `rule` says of a tree made of these files.
#[cfg(test)]
pub(crate) fn report_on(rule: super::Rule, files: &[(&str, &str)]) -> Report {
    let mut report = Report::default();
    rule(&super::Tree::of(files), &mut report);
    report
}

/// The offences that `rule` sees in a tree made of these files.
#[cfg(test)]
pub(crate) fn offences(rule: super::Rule, files: &[(&str, &str)]) -> Vec<String> {
    report_on(rule, files).offences
}
