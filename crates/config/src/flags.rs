//! `-D` words of the command line and of the variables that pass flags to a Java server.

use crate::problem::PropertySource;

/// A Java system property from a `-Dname=value` word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemProperty {
    /// The full name.
    pub name: String,
    /// The value, not trimmed; empty for a word without `=`.
    pub value: String,
    /// Who said it.
    pub by: PropertySource,
}

impl SystemProperty {
    /// Reads `-Dname=value` or `name=value` from the command line. As in Java the value is empty
    /// when there is no `=`. `None` when there is no name.
    pub fn from_word(word: &str) -> Option<SystemProperty> {
        Self::read(
            word.strip_prefix("-D").unwrap_or(word),
            PropertySource::CommandLine,
        )
    }

    fn read(definition: &str, by: PropertySource) -> Option<SystemProperty> {
        let (name, value) = definition.split_once('=').unwrap_or((definition, ""));
        let property = SystemProperty {
            name: name.to_owned(),
            value: value.to_owned(),
            by,
        };
        (!name.is_empty()).then_some(property)
    }
}

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// The weakest first, in the order of the words.
    pub(crate) properties: Vec<SystemProperty>,
    /// Words that only a Java virtual machine understands, such as `-Xmx1g`.
    pub(crate) other: Vec<(PropertySource, String)>,
}

/// Reads the variables as the scripts of Apache ZooKeeper pass them on: first the switch of
/// `ZOO_DATADIR_AUTOCREATE_DISABLE`, then `SERVER_JVMFLAGS`, then `JVMFLAGS`; the last word wins.
/// Words end at blanks, and quotes are ordinary characters: the shell does not look for them in
/// the value of a variable.
pub(crate) fn from_environment(env: &[(String, String)]) -> Flags {
    let variable = |name: &str| {
        env.iter()
            .rev()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value.as_str())
    };
    let mut flags = Flags::default();
    if !variable("ZOO_DATADIR_AUTOCREATE_DISABLE").is_empty() {
        flags.properties.push(SystemProperty {
            name: "zookeeper.datadir.autocreate".to_owned(),
            value: "false".to_owned(),
            by: PropertySource::AutocreateVariable,
        });
    }
    for (name, by) in [
        ("SERVER_JVMFLAGS", PropertySource::ServerJvmFlags),
        ("JVMFLAGS", PropertySource::JvmFlags),
    ] {
        for word in variable(name).split_ascii_whitespace() {
            match word
                .strip_prefix("-D")
                .and_then(|word| SystemProperty::read(word, by))
            {
                Some(property) => flags.properties.push(property),
                None => flags.other.push((by, word.to_owned())),
            }
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_in_the_order_of_the_java_command_line() {
        let env = [
            ("JVMFLAGS", "-Da=3"),
            ("SERVER_JVMFLAGS", " -Xmx1g\t-Da=2 -Db -D=x"),
            ("ZOO_DATADIR_AUTOCREATE_DISABLE", "1"),
        ];
        let env: Vec<_> = env
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect();
        let flags = from_environment(&env);
        let read: Vec<_> = flags
            .properties
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_str()))
            .collect();
        assert_eq!(
            read,
            [
                ("zookeeper.datadir.autocreate", "false"),
                ("a", "2"),
                ("b", ""),
                ("a", "3")
            ]
        );
        let other: Vec<_> = flags.other.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(other, ["-Xmx1g", "-D=x"]);
    }

    #[test]
    fn the_shell_does_not_look_for_quotes_in_a_value() {
        let env = [("JVMFLAGS".to_owned(), "-Da=\"1".to_owned())];
        assert_eq!(from_environment(&env).properties[0].value, "\"1");
    }

    #[test]
    fn a_word_of_the_command_line_may_come_without_its_d() {
        assert_eq!(SystemProperty::from_word("-Da=b=c").unwrap().value, "b=c");
        assert_eq!(SystemProperty::from_word("a=1").unwrap().name, "a");
        assert!(SystemProperty::from_word("-D").is_none());
    }
}
