//! The fenced blocks of a page of the book.
//!
//! The first word behind the fence is the language, as every renderer has it; the words behind it are for the test, and no
//! renderer shows them:
//!
//! ````text
//! ```sh                          commands; what they print is not shown
//! ```console                     commands behind `$ `, and what they print
//! ```console running             one command that goes on running, and what it prints first
//! ```console exit 2              the last command exits with 2
//! ```rust examples/…/api.rs      lines of a file of this repository
//! ```rust account/src/main.rs    a file that the reader writes
//! ````

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where its fence opens, counted from one.
    pub line: usize,
    /// The language; empty where the fence names none.
    pub language: String,
    /// The words behind the language.
    pub options: Vec<String>,
    /// What is between the fences.
    pub lines: Vec<String>,
}

/// A command of a block, and what the page shows of its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it stands, counted from one.
    pub line: usize,
    /// What is typed.
    pub command: String,
    /// What is printed; empty where the page shows nothing.
    pub shown: Vec<String>,
}

/// The fenced blocks of a page, in order.
#[must_use]
pub fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some(opened(index + 1, info)),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    blocks
}

fn opened(line: usize, info: &str) -> Block {
    let mut words = info.split_whitespace().map(str::to_owned);
    Block { line, language: words.next().unwrap_or_default(), options: words.collect(), lines: Vec::new() }
}

impl Block {
    /// Whether the test is told so behind the language.
    #[must_use]
    pub fn is(&self, option: &str) -> bool {
        self.options.iter().any(|known| known == option)
    }

    /// What the last command exits with.
    ///
    /// # Panics
    /// When the page says something else than a number.
    #[must_use]
    pub fn exit(&self) -> i32 {
        let code = self.options.iter().skip_while(|option| *option != "exit").nth(1);
        code.map_or(0, |code| code.parse().expect("a number behind `exit`"))
    }

    /// The commands of a `sh` or `console` block.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let line_number = self.line + index + 1;
            match (self.command(line), steps.last_mut()) {
                (Some(more), Some(step)) if step.command.ends_with('\\') => step.command = format!("{}\n{more}", step.command),
                (Some(command), _) => steps.push(Step { line: line_number, command, shown: Vec::new() }),
                (None, Some(step)) if step.command.ends_with('\\') => step.command = format!("{}\n{line}", step.command),
                (None, Some(step)) if self.language == "console" => step.shown.push(line.clone()),
                (None, _) => {}
            }
        }
        steps
    }

    /// What is typed in this line, if something is.
    fn command(&self, line: &str) -> Option<String> {
        match self.language.as_str() {
            "console" => line.strip_prefix("$ ").map(str::to_owned),
            _ => Some(line.to_owned()).filter(|line| !line.trim().is_empty() && !line.starts_with('#')),
        }
    }
}

/// Whether a program said what the page shows. `…` stands for anything within a line, and on a line of its own for any lines.
#[must_use]
pub fn is_shown(shown: &[String], said: &[String]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return said.is_empty() };
    if first.trim() == "…" {
        return (0..=said.len()).any(|left_out| is_shown(rest, &said[left_out..]));
    }
    said.split_first().is_some_and(|(line, said)| is_line(first.trim_end(), line.trim_end()) && is_shown(rest, said))
}

fn is_line(shown: &str, said: &str) -> bool {
    let Some((before, behind)) = shown.split_once('…') else { return shown == said };
    // Where blanks push something to the right, what is longer takes some of them.
    let Some(rest) = said.strip_prefix(before.trim_end()) else { return false };
    if before.ends_with(' ') && !rest.starts_with(' ') {
        return false;
    }
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| is_line(behind, &rest[at..]))
}

/// Whether `lines` stand in `source` as they are, but for how far they are indented. `// …` stands for any lines.
#[must_use]
pub fn is_excerpt(lines: &[String], source: &str) -> bool {
    let source: Vec<_> = source.lines().collect();
    let parts: Vec<_> = lines.split(|line| line.trim() == "// …").collect();
    let mut from = 0;
    parts.iter().all(|part| {
        let found = (from..source.len()).find(|start| is_part(part, &source[*start..]));
        from = found.map_or(source.len(), |start| start + part.len());
        part.is_empty() || found.is_some()
    })
}

fn is_part(part: &[String], source: &[&str]) -> bool {
    let Some(first) = part.iter().position(|line| !line.is_empty()) else { return true };
    let indent = source.get(first).and_then(|line| line.strip_suffix(part[first].as_str())).filter(|rest| rest.trim().is_empty());
    let Some(indent) = indent else { return false };
    let same = |(line, source): (&String, &&str)| match line.is_empty() {
        true => source.is_empty(),
        false => source.strip_prefix(indent) == Some(line.as_str()),
    };
    part.len() <= source.len() && part.iter().zip(source).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn commands_are_told_from_what_they_print() {
        let page = "words\n```console exit 2\n$ a \\\n    b\nout\n$ c\n```\n\n```sh\n# words\nd\n\ne f\n```\n```\n$ no\n```\n";
        let blocks = blocks(page);
        assert_eq!(
            blocks.iter().map(|block| (block.line, block.language.as_str())).collect::<Vec<_>>(),
            [(2, "console"), (9, "sh"), (15, "")]
        );
        let step = |line, command: &str, shown: &[&str]| Step {
            line,
            command: command.into(),
            shown: shown.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(blocks[0].steps(), [step(3, "a \\\n    b", &["out"]), step(6, "c", &[])]);
        assert_eq!((blocks[0].exit(), blocks[1].exit(), blocks[0].is("running")), (2, 0, false));
        assert_eq!(blocks[1].steps(), [step(11, "d", &[]), step(13, "e f", &[])]);
    }

    #[test]
    fn a_page_that_shows_something_else_is_seen() {
        let table = [
            ("a\nb", "a\nb", true),
            ("a\nb", "a", false),
            ("a", "a\nb", false),
            ("a\n…", "a\nb\nc", true),
            ("…\nc", "a\nb\nc", true),
            ("…\nc", "a\nb", false),
            ("took … ms, …", "took 12 ms, done", true),
            ("took … ms", "took 12 s", false),
            ("server    … ms", "server 1453 ms", true),
            ("server    … ms", "server1453 ms", false),
        ];
        for (shown, said, expected) in table {
            assert_eq!(is_shown(&lines(shown), &lines(said)), expected, "{shown:?} {said:?}");
        }
    }

    #[test]
    fn an_excerpt_that_is_no_longer_in_its_source_is_seen() {
        let source = "mod a {\n    fn b() {\n        c();\n\n        d();\n    }\n}\n";
        for excerpt in ["fn b() {\n    c();\n\n    d();\n}", "c();\n\nd();", "fn b() {\n// …\n    d();\n}", "mod a {\n// …\n}"]
        {
            assert!(is_excerpt(&lines(excerpt), source), "{excerpt}");
        }
        for changed in ["fn b() {\n    e();", "c();\nd();", "    d();\n// …\n    c();", "fn b() {\n        c();"] {
            assert!(!is_excerpt(&lines(changed), source), "{changed}");
        }
    }
}
