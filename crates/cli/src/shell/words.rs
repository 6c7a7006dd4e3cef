//! A line as words, and words as options and arguments.

/// Splits a line as zkCli.sh does: at blanks, except in a word that starts with a quote, which
/// ends at the next quote of that kind. There is no escape character, and a quote inside a word
/// stands for itself.
pub(crate) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = matches!(first, '"' | '\'')
            .then(|| rest[1..].split_once(first))
            .flatten();
        let (word, tail) = match quoted {
            Some((word, tail)) => (word, tail),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = tail.trim_start();
    }
    words
}

/// Options that are whole words, and the letter that stands for each.
const LONG: [(&str, char); 4] = [
    ("-file", 'F'),
    ("-members", 'M'),
    ("-add", 'A'),
    ("-remove", 'D'),
];

/// The options and arguments of a command. Options may stand anywhere, as in zkCli.sh.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    flags: Vec<char>,
    values: Vec<(char, String)>,
    /// What is no option.
    pub(crate) plain: Vec<String>,
}

impl Args {
    /// `flags` are the options without a value, `values` those with one: `-v 3` or `-v3`.
    pub(crate) fn parse(words: &[String], flags: &str, values: &str) -> Result<Args, String> {
        let mut args = Args::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(letters) = word.strip_prefix('-') else {
                args.plain.push(word.clone());
                continue;
            };
            if letters == "-" {
                args.plain.extend(words.by_ref().cloned());
                break;
            }
            // A negative number is data; zkCli.sh refuses it.
            if letters.is_empty() || letters.starts_with(|c: char| c.is_ascii_digit()) {
                args.plain.push(word.clone());
                continue;
            }
            let long = LONG.iter().find(|(long, _)| long == word);
            if let Some(&(_, letter)) = long.filter(|(_, letter)| values.contains(*letter)) {
                let value = words.next().cloned();
                let value = value.ok_or_else(|| format!("option {word} needs a value"))?;
                args.values.push((letter, value));
                continue;
            }
            for (at, letter) in letters.char_indices() {
                if flags.contains(letter) {
                    args.flags.push(letter);
                } else if values.contains(letter) {
                    let value = match &letters[at + letter.len_utf8()..] {
                        "" => words.next().cloned(),
                        rest => Some(rest.to_owned()),
                    };
                    let value = value.ok_or_else(|| format!("option -{letter} needs a value"))?;
                    args.values.push((letter, value));
                    break;
                } else {
                    return Err(format!("unknown option {word}"));
                }
            }
        }
        Ok(args)
    }

    /// Whether an option was given.
    pub(crate) fn has(&self, flag: char) -> bool {
        self.flags.contains(&flag)
    }

    /// The value of an option; of several the last.
    pub(crate) fn value(&self, letter: char) -> Option<&str> {
        let mut found = self.values.iter().rev();
        let value = found.find_map(|(name, value)| (*name == letter).then_some(value));
        value.map(String::as_str)
    }

    /// The value of an option as a number.
    pub(crate) fn number<N: std::str::FromStr>(&self, letter: char) -> Result<Option<N>, String> {
        self.value(letter)
            .map(|text| {
                text.parse()
                    .map_err(|_| format!("option -{letter}: {text} is not a number"))
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[&str]) -> Vec<String> {
        text.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn lines_split_as_in_zkcli() {
        assert_eq!(
            split("  set /a \"two words\" 'it is' "),
            ["set", "/a", "two words", "it is"]
        );
        assert_eq!(split("set /a b\"c d"), ["set", "/a", "b\"c", "d"]);
        assert_eq!(split("set /a \"\""), ["set", "/a", ""]);
        assert_eq!(split("set /a \"x"), ["set", "/a", "\"x"]);
        assert_eq!(split("set /a 'x'y"), ["set", "/a", "x", "y"]);
        assert!(split(" \t").is_empty());
    }

    #[test]
    fn options_stand_anywhere() {
        let args = Args::parse(&words(&["/a", "x", "-s", "-v", "3"]), "s", "v").unwrap();
        assert!(args.has('s') && !args.has('w'));
        assert_eq!(args.number::<i32>('v'), Ok(Some(3)));
        assert_eq!(args.plain, ["/a", "x"]);
        let args = Args::parse(&words(&["-sev7", "-5", "-", "--", "-s"]), "se", "v").unwrap();
        assert_eq!(args.value('v'), Some("7"));
        assert_eq!(args.plain, ["-5", "-", "-s"]);
    }

    #[test]
    fn wrong_options_are_named() {
        let error = |text: &[&str]| Args::parse(&words(text), "s", "v").unwrap_err();
        assert_eq!(error(&["-q", "/a"]), "unknown option -q");
        assert_eq!(error(&["/a", "-v"]), "option -v needs a value");
        let args = Args::parse(&words(&["-v", "x"]), "", "v").unwrap();
        assert_eq!(
            args.number::<i32>('v').unwrap_err(),
            "option -v: x is not a number"
        );
    }
}
